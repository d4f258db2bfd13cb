"""`devices decode` on everything that was recorded: whole, byte by byte, cut at random, with noise between."""

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.decoding import decode, to_json
from drivers.errors import NotSupported
from drivers.protocols import hid, osdp, osdpcap, wiegand
from tests.drivers.protocols import cutting
from tests.vectors import load_bytes, load_jsonl, load_reader

Told = dict[str, Any]


def told(protocol: str, chunks: Iterable[bytes]) -> list[Told]:
    return [json.loads(to_json(line)) for line in decode(protocol, chunks)]


def lines(protocol: str, data: bytes) -> list[Told]:
    """As a terminal shows them, after proof that the cut does not matter."""
    whole = told(protocol, [data])
    assert told(protocol, (data[i : i + 1] for i in range(len(data)))) == whole
    dice = random.Random(len(data))
    for _ in range(5):
        assert told(protocol, cutting.cut(data, [dice.randrange(10_000) for _ in range(9)])) == whole
    return whole


def read(uid: str, *, tech: str = "unknown", partial: bool = False) -> Told:
    return {"event": "read", "uid": uid, "bits": 4 * len(uid), "tech": tech, "partial": partial}


PN532 = [vector for vector in load_reader("pn532_hsu")["vectors"] if vector["expected_uid_hex"]]
ROWS = load_bytes("canteen/1_attlog.dat")
CARDS = load_jsonl("canteen/card_reader_vectors.jsonl")


@pytest.mark.parametrize("vector", PN532, ids=lambda v: v["expected_uid_hex"])
def test_pn532(vector: Told) -> None:
    tech = "unknown" if vector.get("tech") == "F" else "iso14443a"
    assert lines("pn532", bytes.fromhex(vector["stream_hex"])) == [read(vector["expected_uid_hex"], tech=tech)]


def test_pn532_without_a_card() -> None:
    for vector in load_reader("pn532_hsu")["vectors"]:
        if not vector["expected_uid_hex"]:
            assert lines("pn532", bytes.fromhex(vector["stream_hex"])) == []
    [split] = load_reader("pn532_hsu")["split_reads"]
    assert told("pn532", [bytes.fromhex(chunk) for chunk in split["chunks_hex"]]) == []
    assert lines("pn532", bytes.fromhex("0000ff01ff7f8100"))[0]["event"] == "fault"
    phone = bytes.fromhex("0000ff0cf4d54b010100042004081a2b3c0000")
    assert lines("pn532", phone)[0]["event"] == "fault"


@pytest.mark.parametrize("vector", load_reader("wiegand")["vectors"], ids=lambda v: v["bits"])
def test_wiegand26(vector: Told) -> None:
    [fault] = lines("wiegand26", vector["bits"].encode() + b"\r\n")
    assert fault["event"] == "fault"
    if "corrected_bits" in vector:
        assert "swap the wires" in fault["what"]
        assert lines("wiegand26", vector["corrected_bits"].encode()) == [read(vector["value_hex"], partial=True)]


def test_wiegand34() -> None:
    assert lines("wiegand34", wiegand.encode(bytes.fromhex("1EA68671")).encode()) == [read("1EA68671", partial=True)]
    assert lines("wiegand34", b"01\n")[0]["event"] == "fault"


@pytest.mark.parametrize(
    "vector", [each for each in CARDS if each["reader"] == "wiegand26"], ids=lambda v: v["printed"]
)
def test_the_canteens_wiegand(vector: Told) -> None:
    value = bytes((vector["facility"],)) + vector["card"].to_bytes(2, "big")
    assert lines("wiegand26", vector["bits"].encode() + b"\n") == [read(value.hex().upper(), partial=True)]


def test_lines_of_converters_and_scanners() -> None:
    [s4a] = [each for each in load_reader("other_devices")["vectors"] if each["name"].startswith("S4A")]
    assert lines("line", bytes.fromhex(s4a["frame_hex"])) == [read("0001E256", partial=True)]
    [parallax] = [each for each in CARDS if each["reader"] == "parallax_serial"]
    assert lines("line", bytes.fromhex(parallax["raw_hex"])) == [read(parallax["uid_hex"])]
    assert lines("line", b"]Q1https://e.kz\r\n\xff\xfe\r\n") == [
        {"event": "code", "text": "https://e.kz"},
        {"event": "fault", "what": "a code that is not UTF-8: set the scanner to UTF-8"},
    ]


@pytest.mark.parametrize(
    "vector", [each for each in CARDS if each["reader"] == "hid_keyboard_wedge"], ids=lambda v: v["raw"].strip()
)
@pytest.mark.parametrize("size", hid.SIZES)
def test_typed_numbers_by_their_keys_and_by_their_text(vector: Told, size: int) -> None:
    keys = hid.retyped(vector["raw"].strip())
    typed = lines("hid", hid.encode(keys, size=size, start_us=10**15))
    if "uid_hex" in vector:
        expected = read(vector["uid_hex"])
    elif int(vector["uid_dec"]) < 1 << 32:
        expected = read(f"{int(vector['uid_dec']):08X}", partial=True)
    else:
        expected = {"event": "code", "text": keys}
    assert typed == [expected]
    [from_text] = lines("line", vector["raw"].encode())
    assert from_text.get("uid", from_text.get("text")) == expected.get("uid", expected.get("text"))


def test_rows_of_a_terminal() -> None:
    found = lines("zk-attlog", ROWS)
    assert [(line["event"], line["number"], line["time"], line["method"]) for line in found] == [
        ("match", "1001", "2026-11-20 09:40:15", "palm"),
        ("match", "1002", "2026-11-20 09:40:18", "card"),
        ("match", "1001", "2026-11-20 09:52:40", "palm"),
        ("match", "77", "2026-11-20 09:53:01", "palm"),
    ]


def raw_card(bits: int, data: str, *, crc: bool = True) -> bytes:
    body = bytes((0, 0)) + bits.to_bytes(2, "little") + bytes.fromhex(data)
    return osdp.encode(0, osdp.RAW, body, reply=True, crc=crc)


def test_osdp_frames_among_marks_and_frames_of_other_meaning() -> None:
    vectors = load_reader("osdp")["vectors"]
    frames = [bytes.fromhex(vector["frame_hex"]) for vector in vectors]
    cards = [vector for vector in vectors if "card_bits" in vector]
    expected = [
        {"event": "read", "uid": one["card_data_hex"], "bits": one["card_bits"], "tech": "unknown", "partial": True}
        for one in cards
    ]
    assert expected
    assert lines("osdp", b"\xff".join(frames)) == expected
    for frame in frames:
        found = lines("osdp", b"\xff\xff" + frame[:-1] + bytes((frame[-1] ^ 1,)))
        assert [line["event"] for line in found] == ["fault"]


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize(
    ("bits", "data", "uid", "shown", "partial"),
    [
        (32, "1EA68671", "1EA68671", 32, False),
        (40, "1F00644BB6", "1F00644BB6", 40, False),
        (56, "04AF68DAC85A80", "04AF68DAC85A80", 56, False),
        (80, "0102030405060708090A", "0102030405060708090A", 80, False),
        (26, "0949EC40", "1293D8", 24, True),
        (37, "8000004B58", "8000004B58", 37, True),
        (64, "0102030405060708", "0102030405060708", 64, True),
    ],
)
def test_osdp_cards_of_every_length(bits: int, data: str, uid: str, shown: int, partial: bool, crc: bool) -> None:
    expected = {"event": "read", "uid": uid, "bits": shown, "tech": "unknown", "partial": partial}
    frame = raw_card(bits, data, crc=crc)
    assert lines("osdp", frame * 2 + b"\xff") == [expected]
    capture = osdpcap.encode(osdpcap.PassedBytes(1, "RECV", frame))
    assert lines("osdp", capture) == lines("osdp", b"\xef\xbb\xbf" + capture) == [expected]


@pytest.mark.parametrize(("bits", "data"), [(32, "00000000"), (37, "0000000000"), (26, "80"), (0, "")])
def test_osdp_cards_that_are_none(bits: int, data: str) -> None:
    [fault] = lines("osdp", raw_card(bits, data))
    assert fault["event"] == "fault"


def test_no_protocol_has_an_empty_name() -> None:
    with pytest.raises(NotSupported, match="no protocol"):
        decode("", [])


STREAMS: dict[str, tuple[bytes, Callable[[Told], Any]]] = {
    "pn532": (bytes.fromhex(PN532[5]["stream_hex"]), lambda line: line.get("uid")),
    "wiegand26": (b"00001001010010011110110001\n", lambda line: line.get("uid")),
    "wiegand34": (wiegand.encode(b"abcd").encode() + b"\n", lambda line: line.get("uid")),
    "line": (b"04AF68DAC85A80\r\n", lambda line: line.get("uid")),
    "hid": (hid.encode("0012345678", start_us=10**15), lambda line: line.get("uid")),
    "zk-attlog": (ROWS.splitlines(keepends=True)[0], lambda line: line.get("number")),
}
# what a line or a number could be joined to is kept from standing directly before it
SEPARATOR = {"pn532": b"", "hid": b""}


@pytest.mark.parametrize("protocol", STREAMS)
@given(noises=st.lists(st.binary(max_size=80), min_size=1, max_size=4), places=cutting.places)
def test_noise_between_hides_nothing(protocol: str, noises: list[bytes], places: list[int]) -> None:
    frame, what = STREAMS[protocol]
    between = SEPARATOR.get(protocol, b"\x80")
    stream = b"".join(noise + between + frame for noise in noises)
    found = told(protocol, cutting.cut(stream, places))
    assert found == told(protocol, [stream])
    [expected] = [what(line) for line in told(protocol, [frame])]
    # equal reads that directly follow one another are one line
    assert expected in [what(line) for line in found]
    if protocol != "hid":  # noise may look like an event of the other size: then the size is found out wrongly
        apart = b"".join(noise + b"\xff\xfe\n" + frame for noise in noises)
        seen = [what(line) for line in told(protocol, [apart]) if what(line) == expected]
        assert len(seen) == len(noises)
