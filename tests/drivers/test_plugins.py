"""Drivers from elsewhere: the template is built as a wheel and used; and everything that must not be taken."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from drivers.errors import NotSupported
from drivers.plugins import API, GROUP, Plugin, load
from drivers.registry import DRIVERS, DriverEntry, DriverKind, entry, reader_class
from drivers.simulated.card_peer import CardPeer

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "docs/drivers/template"

USE = """
import json, sys
from drivers import plugins, registry
from drivers.readings import CardRead
from drivers.settings import parse
refused = plugins.load([])
assert "acme_cards" not in sys.modules, "what is not allowed is not imported"
found = plugins.load(["Acme_Cards"])
table = {**registry.DRIVERS, **found.drivers}
driver = registry.reader_class("acme-cards", table)
reader = driver("door", parse(driver.Settings, {"port": sys.argv[1]}))
reader.open()
print("open", flush=True)
events = []
while not events:
    events = reader.read(0.5)
reader.close()
print(json.dumps([
    [[one.name, one.distribution, one.why] for one in refused.refused],
    [one.why for one in found.refused],
    table["acme-cards"].distribution,
    events[0].uid.hex,
]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's wheel, built without a network and unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(TEMPLATE, folder / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_template_is_a_driver_once_it_is_allowed(site: Path, tmp_path: Path) -> None:
    with CardPeer(tmp_path / "usb-acme-if00") as peer:
        process = subprocess.Popen(
            [sys.executable, "-c", USE, str(peer.port)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])},
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        peer.send(b"04A3C6CAE26180\n")
        out, _ = process.communicate(timeout=60)
    refused, wrong, distribution, uid = json.loads(out)
    [[name, whose, why]] = refused
    assert (name, whose) == ("acme-cards", "acme-cards")
    assert 'drivers.allowed = ["acme-cards"]' in why
    assert (wrong, distribution, uid) == ([], "acme-cards", "04A3C6CAE26180")


def test_the_templates_own_tests_pass(site: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(TEMPLATE / "tests"),
        "-c",
        os.devnull,
    ]
    paths = os.pathsep.join([str(site), str(ROOT)])
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


class Named:
    """A distribution, as far as an entry point knows it."""

    def __init__(self, name: str) -> None:
        self.name = name


GOOD = Plugin(API, DriverEntry(DriverKind.READER, "somewhere:Reader", "something"))
OLD = Plugin(API - 1, GOOD.entry)


def point(name: str, distribution: str, value: str = "tests.drivers.test_plugins:GOOD") -> EntryPoint:
    made = EntryPoint(name, value, GROUP)
    vars(made)["dist"] = Named(distribution)  # as importlib.metadata does
    return made


def test_what_is_taken_carries_its_distribution() -> None:
    found = load(["acme.cards"], [point("acme", "Acme_Cards")])
    assert found.refused == ()
    assert entry("acme", {**DRIVERS, **found.drivers}).distribution == "acme-cards"


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ([point("acme", "stranger")], "not allowed"),
        ([EntryPoint("acme", "tests.drivers.test_plugins:GOOD", GROUP)], "not allowed"),
        ([point("em4100", "acme")], "one of our own"),
        ([point("Acme Cards", "acme")], "small letters"),
        ([point("cards", "acme"), point("cards", "other")], "neither is taken"),
        ([point("cards", "acme", "tests.drivers.test_plugins:OLD")], "interface"),
        ([point("cards", "acme", "tests.drivers.test_plugins:ROOT")], "no drivers.plugins.Plugin"),
        ([point("cards", "acme", "tests.drivers.test_plugins:NOTHING")], "cannot be imported"),
        ([point("cards", "acme", "no_such_module:X")], "cannot be imported"),
    ],
)
def test_what_is_refused_and_why(declared: list[EntryPoint], why: str) -> None:
    found = load(["acme", "other"], declared)
    assert found.drivers == {}
    told = [refused for refused in found.refused if refused.name]
    assert len(told) == len(declared)
    assert all(why in refused.why for refused in told)


def test_a_package_that_fails_in_its_own_way_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('no licence file')")
    monkeypatch.syspath_prepend(tmp_path)
    [refused] = load(["acme"], [point("cards", "acme", "acme_broken:PLUGIN")]).refused
    assert "no licence file" in refused.why


@pytest.mark.parametrize("target", ["no_such_module:Reader", "tests.drivers.test_plugins:NoSuchReader"])
def test_a_driver_from_elsewhere_that_cannot_be_imported_is_said_with_its_package(target: str) -> None:
    table = {"acme-cards": DriverEntry(DriverKind.READER, target, "cards", distribution="acme")}
    with pytest.raises(NotSupported, match="acme-cards of acme cannot be imported"):
        reader_class("acme-cards", table)


def test_a_name_in_the_settings_that_nobody_brings_is_told() -> None:
    [refused] = load(["acme"], []).refused
    assert "not installed" in refused.why


def test_an_unknown_driver_names_those_from_elsewhere_too() -> None:
    table = {**DRIVERS, **load(["acme"], [point("acme-cards", "acme")]).drivers}
    with pytest.raises(NotSupported, match="did you mean acme-cards"):
        entry("acme-card", table)
