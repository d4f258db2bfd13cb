import subprocess
import sys
from pathlib import Path

import pytest

from drivers.cards.em4100 import Em4100, Em4100Settings
from drivers.cards.ironlogic import IronLogicSettings
from drivers.errors import NotSupported
from drivers.registry import DRIVERS, DriverKind, indicator_class, reader_class
from drivers.settings import WrongSetting, parse
from tests.drivers.building import build_reader

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", DRIVERS)
def test_every_name_of_the_table_leads_to_a_class_with_settings(name: str) -> None:
    kind = DRIVERS[name].kind
    try:
        cls = reader_class(name) if kind is DriverKind.READER else indicator_class(name)
    except NotSupported as missing:
        assert DRIVERS[name].extra, "only an optional library may be missing"
        pytest.skip(str(missing))
    assert cls.Settings.__struct_config__.forbid_unknown_fields
    assert cls.Settings.__struct_config__.frozen


def test_listing_imports_no_driver() -> None:
    script = "import sys, drivers.registry as r\nassert r.DRIVERS\nprint(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"serial", "drivers.cards.em4100", "drivers.transports.serial"} & set(run.stdout.split())


def test_an_unknown_name_is_refused_naming_the_nearest() -> None:
    with pytest.raises(NotSupported, match="did you mean em4100"):
        reader_class("em4010")


def test_a_light_is_no_reader() -> None:
    with pytest.raises(NotSupported, match="table of indicators"):
        reader_class("simulated-light")
    with pytest.raises(NotSupported, match="table of readers"):
        indicator_class("em4100")


def test_options_become_settings_with_defaults() -> None:
    assert isinstance(build_reader("em4100", "left", {"port": "/dev/null"}), Em4100)
    settings = parse(IronLogicSettings, {"port": "p", "stop_bits": 2, "uid_encoding": "hex"})
    assert settings == IronLogicSettings(port="p", stop_bits=2, uid_encoding="hex")


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({"port": "p", "bauds": 9600}, "bauds", "did you mean baud"),
        ({}, "port", "found nothing; accepted: text"),
        ({"port": 7}, "port", "found 7; accepted: text"),
        ({"port": "p", "baud": "9600"}, "baud", "found '9600'; accepted: a whole number from 1200 to 115200"),
        ({"port": "p", "baud": 1}, "baud", "from 1200"),
        ({"port": "p", "uid_encoding": "dec10"}, "uid_encoding", "one of hex, hex-inverted"),
        ({"port": "p", "hold_ms": True}, "hold_ms", "found True"),
    ],
)
def test_a_wrong_option_names_key_found_and_accepted(options: dict[str, object], key: str, words: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        parse(Em4100Settings, options)
    assert caught.value.key == key
    assert words in str(caught.value)


def test_a_literal_names_its_values() -> None:
    with pytest.raises(WrongSetting, match="accepted: one of 1, 2"):
        parse(IronLogicSettings, {"port": "p", "stop_bits": 3})
