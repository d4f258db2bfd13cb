"""Readers as they were met in the field: what they sent is read, or refused with its cause and what helps."""

from collections.abc import Sequence

import pytest

from drivers.bench.capture import Chunk
from drivers.bench.playing import play
from drivers.readings import CodeRead, DeviceEvent, FaultCause, StreamFault
from drivers.registry import reader_class
from drivers.settings import parse
from tests.vectors import load_jsonl

CASES = {case["id"]: case for case in load_jsonl("field_readers.jsonl")}


def sent(driver: str, options: dict[str, object], data: bytes) -> Sequence[DeviceEvent]:
    cls = reader_class(driver)
    return list(play(cls, parse(cls.Settings, {"port": "p", **options}), [Chunk(t_ns=1, dir="RECV", hex=data.hex())]))


def only_fault(events: Sequence[DeviceEvent]) -> StreamFault:
    [fault] = events
    assert isinstance(fault, StreamFault)
    return fault


def test_a_phone_at_an_iron_logic_reader_is_told_to_use_a_card() -> None:
    fault = only_fault(sent("ironlogic", {}, bytes.fromhex(CASES["ironlogic_random_number"]["input"]["hex"])))
    assert fault.cause is FaultCause.PHONE
    assert "use a card" in fault.what


def test_a_code_in_another_encoding_names_it() -> None:
    data = bytes.fromhex(CASES["line_code_in_another_encoding"]["input"]["hex"])
    fault = only_fault(sent("line", {"form": "code"}, data))
    assert fault.cause is FaultCause.SETTINGS
    assert fault.what == "a code in Windows-1251: set the scanner to UTF-8"
    cyrillic = data.decode("cp1251").encode("cp866")
    assert "code page 866" in only_fault(sent("line", {"form": "code"}, cyrillic)).what
    assert "not UTF-8" in only_fault(sent("line", {"form": "code"}, b"code \xb1\xb7\xb0\r\n")).what


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1251", "Windows-1251"), ("cp866", "code page 866"), ("koi8-r", "KOI8-R"), ("iso8859-5", "ISO 8859-5"),
        ("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["ST0011|Привет", "СТОЛОВАЯ-17", "иванова.анна"])
def test_each_encoding_of_a_scanner_is_named(encoding: str, name: str, text: str) -> None:
    fault, *_ = sent("line", {"form": "code"}, text.encode(encoding) + b"\r\n")
    assert isinstance(fault, StreamFault)
    assert fault.what == f"a code in {name}: set the scanner to UTF-8"
    assert fault.cause is FaultCause.SETTINGS


def test_a_byte_order_mark_before_a_code_is_passed_over() -> None:
    [read] = sent("line", {"form": "code"}, b"\xef\xbb\xbfQR-1\r\n")
    assert isinstance(read, CodeRead)
    assert read.text == "QR-1"


def test_a_number_of_thirteen_digits_is_a_fault_under_the_readers_form() -> None:
    case = CASES["line_dec10_of_thirteen_digits"]["input"]
    fault = only_fault(sent("line", {"form": case["form"]}, case["text"].encode() + b"\r\n"))
    assert fault.cause is FaultCause.SETTINGS
    assert "check the form" in fault.what


@pytest.mark.parametrize("line", [b"Em-Marine[A1] what", b"Card no. twelve"])
def test_readable_text_of_no_known_form_was_somebodys_card(line: bytes) -> None:
    assert only_fault(sent("ironlogic", {}, line + b"\r\n")).cause is FaultCause.CARD
    assert only_fault(sent("ironlogic", {}, bytes(byte | 0x80 for byte in line) + b"\r\n")).cause is FaultCause.LINE
