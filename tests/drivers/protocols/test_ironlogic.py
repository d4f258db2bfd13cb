import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.ironlogic import (
    IRONLOGIC_LINE_BYTES_MAX,
    Decoder,
    Event,
    IronLogicCard,
    IronLogicCardRemoved,
    encode_em_marine,
    encode_mifare,
)
from drivers.readings import Technology, Uid
from drivers.uid import RejectedNumber, UidEncoding, to_uid
from tests.drivers.protocols import cutting
from tests.vectors import load_jsonl, load_reader

VECTORS = load_reader("ironlogic_text")
FIELD = load_jsonl("field_readers.jsonl")
EM, MIFARE = Technology.EM4100, Technology.ISO14443A


def events(data: bytes) -> list[Event]:
    return cutting.every_way(lambda: Decoder().feed, data)


def uid_hex(event: Event) -> str:
    assert isinstance(event, IronLogicCard)
    uid = to_uid(event.printed.hex(), UidEncoding.IRONLOGIC, event.technology)
    assert isinstance(uid, Uid)
    return uid.hex


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: v["line"])
@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"], ids=["crlf", "cr", "lf"])
def test_every_published_line_gives_the_number_of_its_card(vector: dict[str, str], end: bytes) -> None:
    [card] = events(bytes.fromhex(vector["frame_hex"]).removesuffix(b"\r\n") + end)
    assert isinstance(card, IronLogicCard)
    assert uid_hex(card) == vector["expected_uid_hex"]
    assert card.technology is (EM if vector["kind"] == "em-marine" else MIFARE)


@pytest.mark.parametrize("vector", VECTORS["status_lines"], ids=lambda v: v["line"])
def test_removal_in_any_case(vector: dict[str, str]) -> None:
    assert events(bytes.fromhex(vector["frame_hex"])) == [IronLogicCardRemoved()]


def test_the_recorded_split_in_the_middle_of_a_word() -> None:
    [split] = VECTORS["split_reads"]
    [card] = cutting.run(Decoder().feed, [bytes.fromhex(chunk) for chunk in split["chunks_hex"]])
    assert uid_hex(card) == split["expected_uid_hex"]


def test_another_vendors_line_for_the_same_card() -> None:
    [pair] = VECTORS["cross_reader"]
    lines = pair["readings"]
    for name in ("Iron Logic Z-2 text", "Intel-hex-like serial reader"):
        [card] = events(lines[name].encode() + b"\r\n")
        assert uid_hex(card) == pair["expected_uid_hex"]
    [fault] = events(lines["third reader (field layout unknown, 15 chars)"].encode() + b"\r\n")
    assert isinstance(fault, Fault)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Em-Marine[5500] 090,48676,", IronLogicCard(EM, bytes.fromhex("55005ABE24"))),
        (b"00123 Em-Marine[5500] 090,48676", IronLogicCard(EM, bytes.fromhex("55005ABE24"), reader="00123")),
        (b"00123 No Card", IronLogicCardRemoved()),
        (b"NO CARD", IronLogicCardRemoved()),
        (b"Temic[5500] 090,48676", IronLogicCard(EM, bytes.fromhex("55005ABE24"))),
        (b"HID[0002] 012,34567", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("00020C8707"))),
        (b"Dallas[0000012345AB]", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("0000012345AB"))),
        (b"Cod433[12345678]", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("12345678"))),
        (b"CAME[123456]", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("123456"))),
        (b"PX[12345678]", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("12345678"))),
        (b"IC[12345678]", IronLogicCard(Technology.UNKNOWN, bytes.fromhex("12345678"))),
        (b"Mifare[BCD14264] Plus (0004,20) 066,53692", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"), type="Plus")),
        (b"Mifare[BCD14264] Mini (0004,09) 066,53692", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"), type="Mini")),
        (b"Mifare[BCD14264] 4K (0002,18) 066,53692", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"), type="4K")),
        (b"Mifare[BCD14264] DF (0344,20) 066,53692", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"), type="DF")),
        (b"Mifare[BCD14264]", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"))),
        (b"Em-Marine[A100] 007,42", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"Em-Marine[A100] 7,42,", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"Em-Marine[0001] 0,0", IronLogicCard(EM, bytes.fromhex("0001000000"))),
        (b"Em-Marine[1901] 255,65535", IronLogicCard(EM, bytes.fromhex("1901FFFFFF"))),
        (b"Em-Marine [ A1 00 ]   007 ,  00042 ", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"Em-Marine[A100]007,42", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"00123  Em-Marine[A100]  007, 42 ,", IronLogicCard(EM, bytes.fromhex("A10007002A"), reader="00123")),
        (b"em-marine[a1-00-07-00-2a]", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"Em-Marine[A10007002A] 007,42", IronLogicCard(EM, bytes.fromhex("A10007002A"))),
        (b"Mifare[BC D1 42 64]  1K ( 0004, 08 )  66, 53692", IronLogicCard(MIFARE, b"\xbc\xd1\x42\x64", type="1K")),
        (b"Mifare[BCD14264]1K(0004,08)066,53692", IronLogicCard(MIFARE, bytes.fromhex("BCD14264"), type="1K")),
        (b": 17 00 09 59 3f 48", IronLogicCard(EM, bytes.fromhex("170009593F"))),
    ],
)
def test_every_kind_of_line(line: bytes, expected: Event) -> None:
    assert events(line + b"\r\n") == [expected]


@pytest.mark.parametrize(
    "line",
    [
        b"Em-Marine[5500] 256,58404",  # more than 8 bits
        b"Em-Marine[5500] 126,65536",  # more than 16 bits
        b"Em-Marine[5500]",  # the lower part is missing
        b"Em-Marine[550] 126,58404",
        b"Em-Marine[55G0] 126,58404",
        b"Mifare[BC4264] 1K (0004,08) 066,53692",  # digits lost on the way: bracket and number disagree
        b"Em-Marine[5500] 07,42",  # a leading zero, and still too short: digits were lost
        b"Em-Marine[5500] 007,0042",
        b"Em-Marine[5500] 126 58404",
        b"Em-Marine[5500] 12 6,58404",
        b"Em-Marine[A10007002A] 008,42",
        b"Mifare[BCD14264] 1K (0004,08) 66,5369",
        b":170009593F49",
        b":17 00 09 59 3F",
        b"Unknown[5500] 126,58404",
        b"rine[5500] 126,58404",
        "Em-Marine[5500] 126,5840\N{ARABIC-INDIC DIGIT FOUR}".encode(),
    ],
)
def test_a_broken_line_is_a_fault_and_no_card(line: bytes) -> None:
    [fault] = events(line + b"\r\n")
    assert isinstance(fault, Fault)


def test_a_line_of_digits_alone_is_for_another_driver() -> None:
    for line in (b"A10007002A", b"0000123478", b" 830017009593F01"):
        [fault] = events(line + b"\r\n")
        assert isinstance(fault, Fault)
        assert "use the driver line" in fault.what


def test_a_good_line_behind_a_broken_one_is_not_lost() -> None:
    assert events(b"Em-MarEm-Marine[1700] 009,22847\r\n") == [
        Fault("bytes before a line"),
        IronLogicCard(EM, bytes.fromhex("170009593F")),
    ]


def test_a_good_line_behind_endless_noise_is_not_lost() -> None:
    noise = b"\xff" * (10 * IRONLOGIC_LINE_BYTES_MAX)
    assert events(noise + encode_em_marine(bytes.fromhex("170009593F"))) == [
        Fault("a line is too long"),
        IronLogicCard(EM, bytes.fromhex("170009593F")),
    ]


@pytest.mark.parametrize(
    "line",
    [b"Em-Mar", b"Em-Marine[5500]", b"Em-Marine[5500] 126,5840", b"Em-Marine[5500] 126, 5 ", b"Mifare[BCD1426", b"No"],
)
def test_a_line_that_broke_off_is_told_when_the_stream_ends(line: bytes) -> None:
    decoder = Decoder()
    assert not decoder.feed(line)
    assert list(decoder.flush()) == [Fault("a line broke off")]
    assert list(decoder.flush()) == []


def test_a_last_line_without_an_end_counts_where_it_is_whole() -> None:
    decoder = Decoder()
    assert not decoder.feed(b"Em-Marine[5500] 126,58404")
    assert list(decoder.flush()) == [IronLogicCard(EM, bytes.fromhex("55007EE424"))]
    assert not decoder.feed(b"No card")
    assert list(decoder.flush()) == [IronLogicCardRemoved()]


numbers = st.one_of(
    st.binary(min_size=5, max_size=5).map(lambda value: (EM, value, encode_em_marine(value))),
    st.sampled_from((4, 7)).flatmap(
        lambda size: st.binary(min_size=size, max_size=size).map(lambda uid: (MIFARE, uid, encode_mifare(uid)))
    ),
)


@given(cards=st.lists(numbers, max_size=6), places=cutting.places)
def test_any_cut_gives_the_same_cards(cards: list[tuple[Technology, bytes, bytes]], places: list[int]) -> None:
    found = cutting.run(Decoder().feed, cutting.cut(b"".join(line for _, _, line in cards), places))
    for event, (technology, uid, _) in zip(found, cards, strict=True):
        assert isinstance(event, IronLogicCard)
        assert event.technology is technology
        printed = event.printed
        assert (printed[4:] + printed[:4] if len(printed) == 7 else printed) == uid


@given(card=numbers, before=st.binary(max_size=300), after=st.binary(max_size=60), places=cutting.places)
def test_noise_around_a_line_hides_no_card(
    card: tuple[Technology, bytes, bytes], before: bytes, after: bytes, places: list[int]
) -> None:
    technology, _, line = card
    stream = before + line + after
    found = cutting.run(Decoder().feed, cutting.cut(stream, places))
    assert found == cutting.run(Decoder().feed, [stream])
    assert [event for event in found if isinstance(event, IronLogicCard) and event.technology is technology]


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    assert len(Decoder().feed(data)) <= len(data)


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"Em-Marine[0] 126,58404", b"[" * 3 + b"0123 "])
def test_a_megabyte_of_noise_leaves_nothing_behind_and_the_next_line_is_read(alphabet: bytes) -> None:
    dice = random.Random(1)
    decoder = Decoder()
    tracemalloc.start()
    try:
        for _ in range(85):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(encode_em_marine(b"12345"))[-1] == IronLogicCard(EM, b"12345")


@pytest.mark.parametrize("case", [case for case in FIELD if case["protocol"] == "ironlogic" and "hex" in case["input"]])
def test_every_line_from_the_field_is_read_or_refused_as_expected(case: dict[str, Any]) -> None:
    [event] = events(bytes.fromhex(case["input"]["hex"]))
    if case["expected"].startswith("read "):
        assert uid_hex(event) == case["expected"].removeprefix("read ")
    else:
        assert isinstance(event, IronLogicCard)
        assert isinstance(to_uid(event.printed.hex(), UidEncoding.IRONLOGIC, event.technology), RejectedNumber)


def test_no_repr_shows_a_number() -> None:
    assert "BCD1" not in repr(IronLogicCard(MIFARE, bytes.fromhex("BCD14264"))).upper()


def test_a_number_that_no_reader_prints_is_refused_by_the_builders() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        encode_em_marine(b"1234")
    with pytest.raises(ValueError, match="4 or 7"):
        encode_mifare(b"12345")
