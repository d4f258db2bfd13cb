"""What `line` and `hid-wedge` report, with the bytes in memory and the clock in the test's hand."""

from collections.abc import Sequence
from typing import Any

import pytest

from drivers.base import Reader
from drivers.cards.hid_wedge import HidWedge, HidWedgeSettings
from drivers.cards.line import LineReader, LineSettings
from drivers.errors import NotSupported
from drivers.protocols import hid
from drivers.protocols.line import encode_block
from drivers.readings import CardRead, CodeRead, DeviceEvent, StreamFault
from drivers.settings import parse
from drivers.transports.memory import MemoryTransport

MS = 1_000_000


class Bench:
    """A reader whose bytes come from memory, and the time."""

    def __init__(self, kind: type[LineReader] | type[HidWedge], **options: Any) -> None:
        self.now_ns = 1_000 * MS
        self.memory = MemoryTransport()
        self.reader: Reader = (
            LineReader("left", parse(LineSettings, {"port": "m"} | options), clock=self._clock, transport=self.memory)
            if kind is LineReader
            else HidWedge(
                "left", parse(HidWedgeSettings, {"device": "m"} | options), clock=self._clock, transport=self.memory
            )
        )
        self.reader.open()

    def after(self, ms: int, data: bytes = b"") -> Sequence[DeviceEvent]:
        self.now_ns += ms * MS
        self.memory.put(data)
        return self.reader.read(0)

    def _clock(self) -> int:
        return self.now_ns


def numbers(events: Sequence[DeviceEvent]) -> list[tuple[str, bool]]:
    return [(event.uid.hex, event.again) for event in events if isinstance(event, CardRead)]


def codes(events: Sequence[DeviceEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, CodeRead)]


def test_a_code_without_an_end_is_over_after_a_silence() -> None:
    bench = Bench(LineReader)
    assert not bench.after(0, b"https://")
    assert not bench.after(50, b"example.org")
    assert not bench.after(79)
    assert codes(bench.after(1)) == ["https://example.org"]
    assert not bench.after(500)


def test_a_code_that_came_before_the_silence_is_not_joined_to_the_next_one() -> None:
    bench = Bench(LineReader)
    bench.after(0, b"first")
    assert codes(bench.after(200, b"second\r\n")) == ["first", "second"]


def test_the_same_code_held_before_the_scanner_is_one() -> None:
    bench = Bench(LineReader)
    assert codes(bench.after(0, b"a\r\n")) == ["a"]
    assert not bench.after(400, b"a\r\n")
    assert not bench.after(400, b"a\r\n")
    assert codes(bench.after(501, b"a\r\n")) == ["a"]
    assert codes(bench.after(1, b"b\r\n")) == ["b"]


def test_a_converters_number_is_a_card_and_proof_at_once() -> None:
    bench = Bench(LineReader, form="w26-hex")
    assert numbers(bench.after(0, b"1293D8\r")) == [("1293D8", False), ("1293D8", True)]
    assert not bench.after(100, b"1293D8\r")
    assert numbers(bench.after(600, b"1293D8\r"))


def test_swapped_wires_are_told() -> None:
    [fault] = Bench(LineReader, form="w26-bits").after(0, b"11110110101101100001001110\r\n")
    assert isinstance(fault, StreamFault)
    assert "swap the wires" in fault.what


def test_a_block_whose_check_byte_is_a_line_end() -> None:
    bench = Bench(LineReader, form="block")
    block = next(each for n in range(9_999) if (each := encode_block(f"{n + 1:010d}".encode())).endswith(b"\x03\r"))
    assert len(numbers(bench.after(0, block))) == 2


def test_a_pattern_of_ones_own() -> None:
    pattern = "Card=(?P<card>[0-9A-F]{14}) Door=[0-9]{1,2}|Code=(?P<code>.{1,99})"
    bench = Bench(LineReader, pattern=pattern, uid_encoding="hex-reversed")
    assert numbers(bench.after(0, b"Card=805AC8DA68AF04 Door=7\r\n"))[0] == ("04AF68DAC85A80", False)
    assert codes(bench.after(0, b"Code=abc\r\n")) == ["abc"]
    for line in (b"Card=805AC8DA68AF04", b"x" * 300, b"Code="):
        [fault] = bench.after(0, line + b"\r\n")
        assert isinstance(fault, StreamFault)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pattern": "(a+)+"}, "pattern: a group cannot be repeated"),
        ({"pattern": ".*"}, "needs a group"),
        ({"form": "w26-hex", "uid_encoding": "hex"}, "accepted: none"),
        ({"form": "dec10", "uid_encoding": "hex"}, "accepted: dec10, dec10-reversed"),
    ],
)
def test_settings_that_do_not_go_together_are_told_when_it_is_opened(options: dict[str, str], words: str) -> None:
    with pytest.raises(NotSupported, match=words):
        Bench(LineReader, **options)


def test_a_card_that_is_typed() -> None:
    bench = Bench(HidWedge)
    assert numbers(bench.after(0, hid.encode("0012345678"))) == [("00BC614E", False), ("00BC614E", True)]
    assert not bench.after(100, hid.encode("0012345678"))


@pytest.mark.parametrize(
    ("options", "typed", "hex_"),
    [
        ({"uid_encoding": "w26"}, "21302000", "D507D0"),
        ({"uid_encoding": "w26"}, "213,02000", "D507D0"),
        ({"uid_encoding": "hex"}, "04a1b2c3d4e5f6", "04A1B2C3D4E5F6"),
        ({"uid_encoding": "hex-reversed"}, "7186A61E", "1EA68671"),
        ({"uid_encoding": "hex-inverted"}, "6ECBD718", "892C14E7"),
        ({"uid_encoding": "dec10-reversed"}, "3310540688", "90D752C5"),
        ({"digits": 0}, "1219", "000004C3"),
    ],
)
def test_however_the_reader_is_set(options: dict[str, object], typed: str, hex_: str) -> None:
    assert numbers(Bench(HidWedge, **options).after(0, hid.encode(typed)))[:1] == [(hex_, False)]


@pytest.mark.parametrize("typed", ["001234567", "00123456789", "9876543210", "123456789A", "0000000000"])
def test_a_number_that_cannot_be_is_a_fault(typed: str) -> None:
    [fault] = Bench(HidWedge).after(0, hid.encode(typed))
    assert isinstance(fault, StreamFault)
    assert typed not in fault.what


def test_half_a_number_is_a_fault_unless_the_reader_never_sends_enter() -> None:
    half = hid.encode("0012345678", enter=False)
    bench = Bench(HidWedge)
    assert not bench.after(0, half)
    [fault] = bench.after(200)
    assert isinstance(fault, StreamFault)
    assert "enter = false" in fault.what
    without = Bench(HidWedge, enter=False)
    without.after(0, half)
    assert numbers(without.after(200))[:1] == [("00BC614E", False)]


def test_a_scanner_that_types_its_codes() -> None:
    assert codes(Bench(HidWedge, reads="code").after(0, hid.encode("https://e.kz/?Q=1"))) == ["https://e.kz/?Q=1"]


def test_what_was_half_typed_before_a_reopen_is_forgotten() -> None:
    bench = Bench(HidWedge)
    bench.after(0, hid.encode("00123", enter=False))
    bench.reader.close()
    bench.reader.open()
    assert numbers(bench.after(1, hid.encode("0012345678", start_us=1_000)))[:1] == [("00BC614E", False)]
