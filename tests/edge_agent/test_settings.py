"""The settings file: every fault is named, with where it stands, what was found and what is accepted."""

from pathlib import Path

import pytest

from edge_agent.errors import SettingsWrong
from edge_agent.settings import Settings, load_settings, parse_settings, read_credential

SETTINGS_PATH = Path("agent.toml")
EXAMPLE = Path(__file__).parents[2] / "config" / "agent.example.toml"


def faults(text: str) -> list[str]:
    with pytest.raises(SettingsWrong) as caught:
        parse_settings(text, SETTINGS_PATH)
    return str(caught.value).splitlines()


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
        ('[[readers]]\ndriver = "em4100"\nport = "/dev/x"', "readers[0].name: found nothing"),
        ('[[readers]]\nname = "Door 1"\ndriver = "em4100"\nport = "/dev/x"', "readers[0].name: found 'Door 1'"),
        ('[[readers]]\nname = "door"\ndriver = "em410"\nport = "/dev/x"', "em4100"),
        ('[[readers]]\nname = "door"\ndriver = "em4100"', "readers[0].port: found nothing"),
        ('[[readers]]\nname = "d"\ndriver = "em4100"\nport = "/dev/x"\nboud = 1', "did you mean baud?"),
        (
            '[[readers]]\nname = "d"\ndriver = "em4100"\nport = "/x"\ndirection = "up"',
            "readers[0].direction: found 'up'",
        ),
        ("[kiosk", "not TOML"),
    ],
)
def test_a_fault_says_what_to_do(text: str, fault: str) -> None:
    assert any(fault in line for line in faults(text)), faults(text)


def test_two_readers_with_the_same_name_are_refused() -> None:
    reader = '[[readers]]\nname = "door"\ndriver = "em4100"\nport = "/dev/x"\n'
    assert faults(reader + reader) == [
        "agent.toml: readers[1].name: found 'door' twice; accepted: a name of its own for each"
    ]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match=r"copy agent\.example\.toml"):
        load_settings(tmp_path / "agent.toml")


def test_a_credential_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "staff-pin").write_bytes(b"2468\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_credential("staff-pin", environ) == b"2468"
    assert read_credential("other", environ) is None
    assert read_credential("staff-pin", {}) is None
