"""Redaction of what the newer readers send: it plays again, of the same form, and of nobody."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.decoding import CodeFound, DecodedLine, Read, decode
from drivers.bench.redaction import Redactor
from drivers.protocols import hid, pn532, wiegand
from drivers.protocols.line import LineText, encode_block
from tests.drivers.protocols import cutting
from tests.vectors import load_reader

KEY = b"a key of this capture"
PN532 = [vector for vector in load_reader("pn532_hsu")["vectors"] if vector["expected_uid_hex"]]


def redacted(protocol: str, data: bytes, places: list[int] | None = None) -> bytes:
    redactor = Redactor(protocol, KEY)
    chunks = cutting.cut(data, places or [])
    pieces = [piece for chunk in chunks for piece in redactor.push(1, "RECV", chunk)] + redactor.end()
    hidden = b"".join(piece for _, _, piece in pieces)
    assert len(hidden) == len(data)
    return hidden


def told(protocol: str, data: bytes) -> list[DecodedLine]:
    return list(decode(protocol, [data]))


@pytest.mark.parametrize("vector", PN532, ids=lambda v: v["expected_uid_hex"])
def test_a_chips_answer(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["stream_hex"])
    hidden = redacted("pn532", frame)
    [line], [before] = told("pn532", hidden), told("pn532", frame)
    assert isinstance(line, Read)
    assert isinstance(before, Read)
    assert (line.bits, line.tech) == (before.bits, before.tech)
    assert line.uid[2:] != before.uid[2:]
    assert bytes.fromhex(vector["expected_uid_hex"])[1:] not in hidden
    assert redacted("pn532", frame) == hidden, "the same card is the same pseudonym"


def test_what_a_chip_says_of_itself_stays_and_what_it_read_from_a_card_goes() -> None:
    firmware = bytes.fromhex("0000ff00ff000000ff06fad50332010607e800")
    assert redacted("pn532", firmware) == firmware
    memory = pn532.encode(pn532.CHIP, b"\x41\x00SECRET OF A CARD")
    assert b"SECRET" not in redacted("pn532", memory)
    assert b"SECRET" not in redacted("pn532", memory[:-3] + b"\x00\x00\x00")


@pytest.mark.parametrize(
    "stream",
    [
        b"0000123478\r\n",
        b"1293D8\r",
        b"04af68dac85a80\n",
        b"018,37848\r\n",
        wiegand.encode(b"abc").encode() + b"\n",
        wiegand.encode(b"abcd").encode() + b"\n",
        encode_block(b"0012345678"),
    ],
)
def test_a_converters_line(stream: bytes) -> None:
    [before], [after] = told("line", stream), told("line", redacted("line", stream))
    assert isinstance(before, Read)
    assert isinstance(after, Read)
    assert (after.bits, after.partial) == (before.bits, before.partial)
    assert after.uid[2:] != before.uid[2:]


@pytest.mark.parametrize("code", ["https://e.kz/Order?id=4711", "]Q1Әлия-55", "4606453849072", "a\x1db", "abc" * 50])
def test_a_code_keeps_its_form(code: str) -> None:
    stream = code.encode() + b"\r\n"
    hidden = redacted("line", stream).decode()
    [after] = told("line", hidden.encode())
    assert isinstance(after, CodeFound)
    assert after.text != code
    assert [each for each in hidden if not each.isalnum()] == [each for each in code if not each.isalnum()] + [
        "\r",
        "\n",
    ]
    assert "4711" not in hidden
    assert "Әлия" not in hidden


@pytest.mark.parametrize("stream", [b"1293D8\xff\r\n", b"\x02\x021293D8\r", b"1293D8", b"10101010101010101010101010\n"])
def test_what_is_no_whole_line_tells_nothing(stream: bytes) -> None:
    assert b"1293D8" not in redacted("line", stream)
    assert b"1010101" not in redacted("line", stream)


@pytest.mark.parametrize("typed", ["0012345678", "04A1B2c3D4", "04a1b2c3d4e5f6", "213,02000", "https://e.kz/?Q=12"])
def test_typed_keys(typed: str) -> None:
    size = hid.SIZE_HERE
    stream = hid.encode(typed, size=size, start_us=10**15)
    hidden = redacted("hid", stream)
    [before], [after] = hid.Decoder().feed(stream), hid.Decoder().feed(hidden)
    assert isinstance(before, LineText)
    assert isinstance(after, LineText)
    assert len(after.content) == len(before.content)
    assert after.content != before.content
    assert typed[2:].encode() not in after.content
    usages = {hidden[at : at + size][-4:] for at in range(0, len(hidden), 3 * size)}
    assert usages == {(0x70000).to_bytes(4, "little")}, "what the keyboard says of its switches tells the key too"


def test_the_keypad_stays_the_keypad_and_half_a_number_goes() -> None:
    keypad = {digit: code for code, digit in hid.KEYPAD.items()}
    keys = [event for code in (*map(keypad.get, "0012345678"), 96) for event in ((code, 1), (code, 0))]
    stream = b"".join(
        hid._LAYOUT[hid.SIZE_HERE].pack(1, at, hid.EV_KEY, code, value) for at, (code, value) in enumerate(keys)
    )
    hidden = redacted("hid", stream)
    codes = [event[1] for _, event in hid.struct_events(hidden, hid.SIZE_HERE) if event][:20]
    assert set(codes) <= set(hid.KEYPAD)
    half = redacted("hid", hid.encode("0012345678", enter=False, size=hid.SIZE_HERE))
    assert not [event for event in hid.Decoder(size=hid.SIZE_HERE).feed(half) if isinstance(event, LineText)]


@given(typed=st.text("0123456789", min_size=1, max_size=9), places=cutting.places)
def test_half_a_typed_number_tells_no_key(typed: str, places: list[int]) -> None:
    half = hid.encode(typed, enter=False, size=hid.SIZE_HERE, key_us=0)
    hidden = redacted("hid", half, places)
    first_key = hid.SIZE_HERE  # before it the keyboard names its switch, the same for each key
    assert hidden[:first_key].endswith((0x70000).to_bytes(4, "little"))
    assert set(hidden[first_key:]) <= set(b"\x00x")


@given(data=st.binary(max_size=200), protocol=st.sampled_from(["pn532", "line", "hid"]), places=cutting.places)
def test_any_rubbish_keeps_its_length_in_every_cut(data: bytes, protocol: str, places: list[int]) -> None:
    assert redacted(protocol, data, places) == redacted(protocol, data)


@given(
    places=cutting.places,
    protocol=st.sampled_from(["pn532", "line", "hid"]),
)
def test_frames_are_rewritten_the_same_in_every_cut(places: list[int], protocol: str) -> None:
    frames = {
        "pn532": bytes.fromhex(PN532[5]["stream_hex"]) * 3,
        "line": b"0000123478\r\n1293D8\r" + encode_block(b"0012345678"),
        "hid": hid.encode("0012345678", size=hid.SIZE_HERE) * 2,
    }[protocol]
    assert redacted(protocol, frames, places) == redacted(protocol, frames)
