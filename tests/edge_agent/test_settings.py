"""The settings file: every fault is named, with where it stands, what was found and what is accepted."""

import re
import sys
from pathlib import Path

import pytest

from edge_agent.errors import SettingsWrong
from edge_agent.settings.credentials import read_credential
from edge_agent.settings.reading import load_settings, parse_settings
from edge_agent.settings.tables import Settings

SETTINGS_PATH = Path("agent.toml")
EXAMPLE = Path(__file__).parents[2] / "config" / "agent.example.toml"


def faults(text: str) -> list[str]:
    with pytest.raises(SettingsWrong) as caught:
        parse_settings(text, SETTINGS_PATH)
    return str(caught.value).splitlines()


def device_faults(text: str) -> list[str]:
    return list(parse_settings(text, SETTINGS_PATH).device_faults)


def test_an_empty_file_gives_every_default() -> None:
    assert parse_settings("", SETTINGS_PATH).settings == Settings()


def test_the_example_is_sound_and_shows_the_source_of_values() -> None:
    loaded = load_settings(EXAMPLE)
    rows = {key: (value, source) for key, value, source in loaded.list_values()}
    assert rows["kiosk.name"] == ("canteen, left door", str(EXAMPLE))
    assert rows["rules.early_s"] == (0.0, "default")
    assert rows["readers[0].driver"] == ("em4100", str(EXAMPLE))
    assert rows["readers[0].baud"] == (9600, "driver's default")


def test_all_faults_are_named_together() -> None:
    text = """
        [rules]
        debouce_s = 5
        stay_min_s = "long"
        [screen]
        port = 70000
        [tea]
    """
    unknown, misspelt, wrong, too_large = faults(text)
    assert unknown.startswith("agent.toml: tea: nobody knows this table; known are ")
    assert misspelt.startswith("agent.toml: rules.debouce_s: found a key that nobody knows; accepted: did you mean deb")
    assert wrong == "agent.toml: rules.stay_min_s: found 'long'; accepted: a number from 0 to 86400"
    assert too_large == "agent.toml: screen.port: found 70000; accepted: a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('kiosk = "A"', "kiosk: found 'A'; accepted: a table, [kiosk]"),
        ('[kiosk]\nlanguage = "de"', "kiosk.language: found 'de'; accepted: one of en, kk, ru"),
        ('[kiosk]\ntimezone = "Asia/Almatty"', "an IANA name such as 'Asia/Almaty'"),
        ('[kiosk]\nstaff_pin = "1234"', "secrets never stand in this file"),
        ("[rules]\ndebounce_s = -1", "rules.debounce_s: found -1; accepted: a number from 0 to 86400"),
        ('readers = "door"', "readers: found 'door'; accepted: a list of tables"),
        ("[kiosk", "not TOML"),
        (
            '[tablets]\nnetworks = ["192.168.1.7/24"]',
            "tablets.networks: found '192.168.1.7/24' (192.168.1.7/24 has host",
        ),
        ('[tablets]\nname = "canteen.example"', "tablets.name: found 'canteen.example'"),
        ("[screen]\nenabled = false\n[tablets]\nenabled = true", "accepted: with screen.enabled = true"),
    ],
)
def test_a_fault_says_what_to_do(text: str, fault: str) -> None:
    assert any(fault in line for line in faults(text)), faults(text)


@pytest.mark.parametrize(
    ("table", "name", "fault"),
    [
        ('driver = "em4100"\nport = "/dev/x"', "readers-1", "readers[1].name: found nothing"),
        ('name = "Door 1"\ndriver = "em4100"\nport = "/dev/x"', "readers-1", "readers[1].name: found 'Door 1'"),
        ('name = "d"\ndriver = "em410"\nport = "/dev/x"', "d", "did you mean em4100?"),
        ('name = "d"\ndriver = "em4100"', "d", "readers[1].port: found nothing"),
        ('name = "d"\ndriver = "em4100"\nport = "/dev/x"\nboud = 1', "d", "did you mean baud?"),
        ('name = "d"\ndriver = "em4100"\nport = "/x"\ndirection = "up"', "d", "readers[1].direction: found 'up'"),
        ('name = "good"\ndriver = "em4100"\nport = "/x"', "readers-1", "readers[1].name: found 'good' twice"),
        ('name = "d"\ndriver = "lcus"\nport = "/x"', "d", "move it to the table of indicators"),
    ],
)
def test_a_wrong_reader_is_its_own_fault_and_the_others_stay(table: str, name: str, fault: str) -> None:
    text = f'[[readers]]\nname = "good"\ndriver = "em4100"\nport = "/dev/x"\n[[readers]]\n{table}\n'
    good, wrong = parse_settings(text, SETTINGS_PATH).settings.readers
    assert (good.name, good.fault) == ("good", "")
    assert (wrong.name, fault in wrong.fault) == (name, True), wrong.fault
    assert device_faults(text) == [wrong.fault]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match=r"copy agent\.example\.toml"):
        load_settings(tmp_path / "agent.toml")


def test_a_credential_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "staff-pin").write_bytes(b"2468\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_credential("staff-pin", environ) == b"2468"
    assert read_credential("other", environ) is None
    assert read_credential("staff-pin", {}) is None


def test_a_missing_extra_is_that_readers_fault_and_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "osdp", None)  # as where libosdp is not installed
    for name in [name for name in sys.modules if name.startswith(("drivers.cards.osdp", "drivers.transports.osdp"))]:
        monkeypatch.delitem(sys.modules, name)
    text = """
        [[readers]]
        name = "door"
        driver = "em4100"
        port = "/dev/x"
        [[readers]]
        name = "gate"
        driver = "osdp"
        port = "/dev/y"
    """
    door, gate = parse_settings(text, SETTINGS_PATH).settings.readers
    assert door.fault == ""
    assert "needs the extra osdp, which is not installed: " in gate.fault
    assert re.search("install .*libosdp", gate.fault)
