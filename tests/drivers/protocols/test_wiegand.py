import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.wiegand import SWAPPED, Decoder, Event, WiegandCard, encode, encode_bare, frame, to_uid
from drivers.readings import FaultCause, Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, UidEncoding
from tests.drivers.protocols import cutting
from tests.vectors import load_jsonl, load_reader

VECTORS = load_reader("wiegand")["vectors"]
READERS = [vector for vector in load_jsonl("canteen/card_reader_vectors.jsonl") if vector["reader"] == "wiegand26"]
values = st.sampled_from((3, 4, 7)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def events(bits: str, size: int = 26) -> list[Event]:
    return cutting.every_way(lambda: Decoder(size).feed, bits.encode() + b"\n")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["bits"])
def test_every_published_frame_is_swapped_or_damaged_and_never_a_card(vector: dict[str, str]) -> None:
    [fault] = events(vector["bits"])
    assert isinstance(fault, Fault)
    if "corrected_bits" in vector:  # of the others one in four looks swapped as well
        assert fault.what == SWAPPED
        [card] = events(vector["corrected_bits"])
        assert card == WiegandCard(bytes.fromhex(vector["value_hex"]))
        uid = to_uid(bytes.fromhex(vector["value_hex"]))
        assert isinstance(uid, Uid)
        facility, number = vector["fc_card"].split(",")
        assert uid.value == bytes((int(facility),)) + int(number).to_bytes(2, "big")
        assert vector["same_card_uart"][4:10] == vector["value_hex"]


@pytest.mark.parametrize("vector", READERS, ids=lambda v: v["printed"])
def test_every_wiegand_line_of_the_canteens_readers(vector: dict[str, object]) -> None:
    [card] = events(str(vector["bits"]))
    assert isinstance(card, WiegandCard)
    assert (card.value[0], int.from_bytes(card.value[1:], "big")) == (vector["facility"], vector["card"])
    assert int.from_bytes(card.value, "big") == int(str(vector["dec10"]))
    assert encode(card.value) == vector["bits"]


def test_w26_and_w34_are_parts_of_a_number() -> None:
    three, four = to_uid(bytes.fromhex("1293D8")), to_uid(bytes.fromhex("1EA68671"))
    backwards = to_uid(bytes.fromhex("7186A61E"), UidEncoding.W34_REVERSED)
    assert isinstance(three, Uid)
    assert isinstance(four, Uid)
    assert (three.notation, three.bits, four.notation, four.bits) == (UidNotation.W26, 24, UidNotation.W34, 32)
    assert backwards == four
    assert not isinstance(to_uid(bytes(3)), Uid), "zeros are nobody"


UID7 = bytes.fromhex("04A3C6CAE26180")


def test_58_bits_are_the_seven_bytes_of_a_whole_number() -> None:
    bits = encode(UID7)
    assert len(bits) == 58
    assert events(bits, 58) == [WiegandCard(UID7)]
    assert events(bits.translate(str.maketrans("01", "10")), 58) == [Fault(SWAPPED, FaultCause.SETTINGS)]
    found = to_uid(UID7)
    assert isinstance(found, Uid)
    assert (found.value, found.bits, found.partial) == (UID7, 56, False)
    assert to_uid(UID7[::-1], UidEncoding.HEX_REVERSED) == found
    assert isinstance(to_uid(b"\x88" + UID7[:6]), RejectedNumber)


def test_32_bits_without_parities_are_a_part_and_have_no_check() -> None:
    value = bytes.fromhex("1EA68671")
    assert events(encode_bare(value), 32) == [WiegandCard(value)]
    assert to_uid(value) == to_uid(value[::-1], UidEncoding.W34_REVERSED)
    for bits in (encode_bare(value)[1:], encode_bare(value) + "1", encode(value)):
        [fault] = events(bits, 32)
        assert isinstance(fault, Fault)
    assert isinstance(to_uid(bytes.fromhex("8804A3C6")), RejectedNumber)
    assert isinstance(to_uid(bytes.fromhex("8804A3C6"), technology=Technology.EM4100), Uid)


@pytest.mark.parametrize("length", [1, 13, 23, 24, 25, 27, 31, 34, 38, 52, 1_000])
def test_frames_of_another_length_are_faults(length: int) -> None:
    [fault] = events("01" * (length // 2) + "1" * (length % 2))
    assert fault == Fault("a frame is too short" if length < 26 else "a frame is too long: noise, or two cards at once")


@given(value=values)
def test_every_single_wrong_bit_shows_and_swapped_wires_are_told_apart(value: bytes) -> None:
    bits = encode(value)
    assert frame(bits, len(bits)) == WiegandCard(value)
    assert frame(bits.translate(str.maketrans("01", "10")), len(bits)) == Fault(SWAPPED, FaultCause.SETTINGS)
    for position in range(len(bits)):
        wrong = bits[:position] + ("1" if bits[position] == "0" else "0") + bits[position + 1 :]
        assert frame(wrong, len(bits)) == Fault("a parity is wrong", FaultCause.CARD)


@given(cards=st.lists(st.binary(min_size=3, max_size=3), max_size=6), places=cutting.places)
def test_any_cut_gives_the_same_cards(cards: list[bytes], places: list[int]) -> None:
    stream = b"".join(encode(value).encode() + b"\r\n" for value in cards)
    assert cutting.run(Decoder(26).feed, cutting.cut(stream, places)) == [WiegandCard(value) for value in cards]


@given(value=st.binary(min_size=4, max_size=4), before=st.binary(max_size=60), after=st.binary(max_size=60))
def test_noise_around_a_frame_hides_no_card(value: bytes, before: bytes, after: bytes) -> None:
    stream = before + b"\n" + encode(value).encode() + b"\n" + after
    assert WiegandCard(value) in cutting.every_way(lambda: Decoder(34).feed, stream)


def test_a_frame_without_an_end_counts_when_the_stream_ends() -> None:
    decoder = Decoder(26)
    assert not decoder.feed(encode(b"abc").encode())
    assert decoder.flush() == [WiegandCard(b"abc")]
    assert decoder.flush() == []


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"01", b"01\n"])
def test_long_noise_leaves_nothing_behind(alphabet: bytes) -> None:
    dice, decoder = random.Random(1), Decoder(26)
    tracemalloc.start()
    try:
        for _ in range(30):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(b"\n" + encode(b"abc").encode() + b"\n")[-1] == WiegandCard(b"abc")


def test_a_number_that_no_wire_carries_is_refused_by_the_builder() -> None:
    with pytest.raises(ValueError, match="3, 4 or 7 bytes"):
        encode(b"12")
    with pytest.raises(ValueError, match="4 bytes"):
        encode_bare(b"123")
    assert "1293" not in repr(WiegandCard(bytes.fromhex("1293D8")))
