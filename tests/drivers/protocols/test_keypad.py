import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cards.line import LineReader, LineSettings
from drivers.cards.osdp_reports import OsdpSettings, Reports
from drivers.protocols import osdp, wiegand
from drivers.protocols.fault import Fault
from drivers.protocols.keypad import (
    ENTRY_MAX,
    KEYPAD_GAP_MS,
    Keypad,
    KeyPresses,
    encode_wiegand_key,
    osdp_keys,
    wiegand_keys,
)
from drivers.protocols.line import Code
from drivers.readings import CardRead, CodeRead, DeviceEvent, StreamFault
from drivers.transports.memory import MemoryTransport

SECOND = 1_000_000_000
ENTRY = Code("1042#7391", keypad=True)


def typed(keys: str, *, key_ns: int = SECOND, then_ns: int = 0) -> list[Code | Fault]:
    keypad = Keypad()
    found = [event for at, key in enumerate(keys) for event in keypad.press(KeyPresses(key), at * key_ns)]
    return [*found, *keypad.wait(len(keys) * key_ns + then_ns)]


@pytest.mark.parametrize("keys", ["1042#7391#", "99*1042#7391#", "##1042#7391#", "1#*1042#7391#"])
def test_a_number_and_its_pin_are_a_code(keys: str) -> None:
    assert typed(keys) == [ENTRY]


def test_silence_ends_a_whole_entry_and_gives_up_a_part() -> None:
    late_ns = KEYPAD_GAP_MS * 1_000_000 + 1
    assert typed("1042#7391") == []
    assert typed("1042#7391", then_ns=late_ns) == [ENTRY]
    for part in ("1042", "1042#"):
        [fault] = typed(part, then_ns=late_ns)
        assert isinstance(fault, Fault)
        assert "number, #, PIN, #" in fault.what
    assert typed("", then_ns=late_ns) == []
    assert len(typed("12", key_ns=late_ns)) == 2, "each is an entry of its own"


@pytest.mark.parametrize("keys", ["1042##", "1" * (ENTRY_MAX + 1)])
def test_what_identifies_nobody_is_a_fault(keys: str) -> None:
    [fault] = typed(keys)
    assert isinstance(fault, Fault)
    assert "1042" not in fault.what


@pytest.mark.parametrize("size", [4, 8])
def test_every_key_of_a_wiegand_keypad(size: int) -> None:
    for key in "0123456789*#":
        assert wiegand_keys(encode_wiegand_key(key, size), size) == KeyPresses(key)
    burst = "".join(encode_wiegand_key(key, size) for key in "12")
    assert wiegand_keys(burst, size) == KeyPresses("12")
    assert wiegand_keys("11100001", 8) == KeyPresses("1"), "as readers' manuals print it"
    for bits in ("1100", "11111111", "11100000", "111"):
        assert isinstance(wiegand_keys(bits, size), Fault) or (size == 4 and bits == "11100000")
    assert isinstance(wiegand_keys("11100000", 4), Fault), "14 is no key"


def test_an_osdp_keypad_reports_ascii() -> None:
    assert osdp.parse_card(osdp.KEYPAD, b"\0\x0512\x7f3\r") == KeyPresses("12*3#")
    assert osdp_keys(b"A1F") == KeyPresses("1")
    for data in (b"", b"\0", b"\0\x05123"):
        assert isinstance(osdp.parse_card(osdp.KEYPAD, data), Fault)
    reports = Reports("door", OsdpSettings(port="x"))
    events = [event for key in b"1042\r7391\r" for event in reports.readings(osdp_keys(bytes((key,))), 5)]
    assert events == [CodeRead("door", "1042#7391", 5, keypad=True)]
    assert "7391" not in repr(events)
    assert "7391" not in repr(KeyPresses("7391"))


def line_events(keypad_bits: int, lines: list[str]) -> list[DeviceEvent]:
    memory, now = MemoryTransport(), [0]
    settings = LineSettings(port="x", form="w26-bits", keypad_bits=keypad_bits)  # type: ignore[arg-type]
    reader = LineReader("door", settings, clock=lambda: now[0], transport=memory)
    reader.open()
    events: list[DeviceEvent] = []
    for line in lines:
        now[0] += SECOND
        memory.put(line.encode() + b"\r\n")
        events += reader.read(0)
    now[0] += KEYPAD_GAP_MS * 2_000_000
    return [*events, *reader.read(0)]


@pytest.mark.parametrize("size", [4, 8])
def test_keys_and_cards_come_over_the_same_wires(size: int) -> None:
    keys = [encode_wiegand_key(key, size) for key in "1042#7391#"]
    first, again, code = line_events(size, [wiegand.encode(b"abc"), *keys])
    assert isinstance(first, CardRead)
    assert isinstance(again, CardRead)
    assert code == CodeRead("door", "1042#7391", 11 * SECOND, keypad=True)
    twice = [event for event in line_events(size, [*keys, *keys]) if isinstance(event, CodeRead)]
    assert len(twice) == 2, "typed again is tried again"
    [fault] = line_events(size, keys[:4])
    assert isinstance(fault, StreamFault)
    assert all(isinstance(event, StreamFault) for event in line_events(0, keys)), "without the setting they are noise"


@given(st.lists(st.text("0123456789*#", max_size=12), max_size=8), st.lists(st.integers(0, 30), max_size=8))
def test_any_keys_give_no_more_than_they_are_and_no_digits_in_faults(presses: list[str], gaps: list[int]) -> None:
    keypad, now_ns, found = Keypad(), 0, list[Code | Fault]()
    for keys, gap in zip(presses, gaps, strict=False):
        now_ns += gap * SECOND
        found += keypad.press(KeyPresses(keys), now_ns)
    found += keypad.wait(now_ns + 100 * SECOND)
    assert len(found) <= sum(map(len, presses)) + 1
    for event in found:
        if isinstance(event, Code):
            number, _, pin = event.text.partition("#")
            assert number.isdigit()
            assert pin.isdigit()
        else:
            assert not any(character.isdigit() for character in event.what)


@given(st.text("01", max_size=40), st.sampled_from((4, 8)))
def test_any_bits_are_keys_or_a_fault(bits: str, size: int) -> None:
    found = wiegand_keys(bits, size)
    assert isinstance(found, Fault) or len(found.pressed) == len(bits) // size
