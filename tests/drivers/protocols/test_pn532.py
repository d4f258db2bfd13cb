import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import pn532
from drivers.protocols.fault import Fault
from drivers.protocols.pn532 import (
    ACK,
    CHIP,
    HOST,
    NACK,
    SYNTAX_ERROR,
    Ack,
    Decoder,
    Event,
    Nack,
    Pn532Frame,
    encode,
    targets,
)
from tests.drivers.protocols import cutting
from tests.vectors import load_reader

VECTORS = load_reader("pn532_hsu")
bodies = st.binary(min_size=1, max_size=pn532.PN532_FRAME_BYTES_MAX - 1)


def events(data: bytes) -> list[Event]:
    return cutting.every_way(lambda: Decoder().feed, data)


def expected(names: list[str]) -> list[Event]:
    return [Ack() if name == "ACK" else Pn532Frame(CHIP, bytes.fromhex(name)[1:]) for name in names]


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: v["frames"][-1])
def test_every_published_stream_gives_its_frames_and_its_card(vector: dict[str, object]) -> None:
    frames = vector["frames"]
    assert isinstance(frames, list)
    found = events(bytes.fromhex(str(vector["stream_hex"])))
    assert found == expected(frames)
    answer = found[-1]
    assert isinstance(answer, Pn532Frame)
    if vector["expected_uid_hex"] is None:
        assert answer.code == pn532.Command.GET_FIRMWARE_VERSION + 1
        return
    cards = targets(answer.body[1:])
    assert not isinstance(cards, Fault)
    [card] = cards
    assert card.uid.hex().upper() == vector["expected_uid_hex"]
    assert card.iso14443a is (vector.get("tech") != "F")
    if card.iso14443a:
        assert f"{card.sens_res:04x}" == vector["atqa_as_sent"]
        assert f"{card.sel_res:02x}" == vector["sak"]


def test_the_recorded_answer_that_came_in_three_reads() -> None:
    [split] = VECTORS["split_reads"]
    found = cutting.run(Decoder().feed, [bytes.fromhex(chunk) for chunk in split["chunks_hex"]])
    assert found == [Ack(), Pn532Frame(CHIP, b"\x33")]


@pytest.mark.parametrize(("name", "body"), [("wakeup_sam", "1401"), ("get_firmware", "02"), ("inlist_106a", "4a0100")])
def test_the_published_commands_are_what_we_send(name: str, body: str) -> None:
    published = bytes.fromhex(VECTORS["host_commands"][name])
    assert events(published) == [Pn532Frame(HOST, bytes.fromhex(body))]
    assert published.endswith(encode(HOST, bytes.fromhex(body))[1:])


def test_the_short_words_of_the_protocol() -> None:
    assert events(ACK + NACK + SYNTAX_ERROR + ACK) == [
        Ack(),
        Nack(),
        Fault("the chip did not understand a command"),
        Ack(),
    ]


@pytest.mark.parametrize("size", [1, 253, 254, 255, 256, 264])
def test_short_and_extended_frames(size: int) -> None:
    body = bytes(range(256)) * 2
    frame = encode(CHIP, body[:size])
    assert (frame[3:5] == b"\xff\xff") is (size > 254)
    assert events(frame) == [Pn532Frame(CHIP, body[:size])]


def test_a_frame_that_no_chip_has_room_for_is_refused_by_the_builder() -> None:
    for size in (0, 265):
        with pytest.raises(ValueError, match="1 to 264"):
            encode(CHIP, bytes(size))


def test_an_extended_length_beyond_the_chips_memory_is_noise_and_waits_for_nothing() -> None:
    assert events(bytes.fromhex("0000ffffffffff02") + ACK)[-1] == Ack()


@pytest.mark.parametrize("position", range(3, 17))
def test_one_changed_byte_is_never_a_frame_and_hides_not_the_next(position: int) -> None:
    good = bytes.fromhex("0000ff0cf4d54b01010004080424d34f592f00")
    bad = bytearray(good)
    bad[position] ^= 0x10
    found = [event for event in [*Decoder().feed(bytes(bad) + good * 2)] if isinstance(event, Pn532Frame)]
    assert found in ([Pn532Frame(CHIP, good[6:17])] * 2, [Pn532Frame(CHIP, good[6:17])])


def test_a_good_frame_inside_what_a_broken_one_swallowed_comes_out() -> None:
    good = encode(CHIP, b"\x33")
    assert events(encode(CHIP, bytes(100))[:40] + good * 15)[-1] == Pn532Frame(CHIP, b"\x33")
    decoder = Decoder()
    assert not decoder.feed(encode(CHIP, bytes(200))[:20] + good)
    assert decoder.flush() == [Fault("a frame broke off"), Pn532Frame(CHIP, b"\x33")]
    assert decoder.flush() == []


def test_cards_with_an_answer_to_select_and_two_cards_at_once() -> None:
    first, second = (
        bytes.fromhex("01034420" + "07" + "04112233445566" + "0577807102"),
        bytes.fromhex("020004080412345678"),
    )
    two = targets(b"\x02" + first + second)
    assert not isinstance(two, Fault)
    assert [card.uid.hex() for card in two] == ["04112233445566", "12345678"]
    [alone] = [card for card in targets(b"\x01" + first) if not isinstance(card, str)]  # type: ignore[union-attr]
    assert alone.uid.hex() == "04112233445566"


@pytest.mark.parametrize(
    "answer", ["", "03", "01", "0101", "010100040805aabbccddee", "010100040804aabbcc", "0101000408041234567899"]
)
def test_a_card_that_cannot_be_is_a_fault(answer: str) -> None:
    assert isinstance(targets(bytes.fromhex(answer)), Fault)


@given(given_bodies=st.lists(bodies, max_size=5), places=cutting.places)
def test_any_cut_of_the_stream_gives_the_same_frames(given_bodies: list[bytes], places: list[int]) -> None:
    stream = b"".join(ACK + encode(CHIP, body) for body in given_bodies)
    assert cutting.run(Decoder().feed, cutting.cut(stream, places)) == [
        event for body in given_bodies for event in (Ack(), Pn532Frame(CHIP, body))
    ]


@given(body=bodies, before=st.binary(max_size=60), after=st.binary(max_size=60), places=cutting.places)
def test_noise_around_a_frame_hides_it_not(body: bytes, before: bytes, after: bytes, places: list[int]) -> None:
    stream = before + encode(CHIP, body) + after
    decoder = Decoder()
    found = [*cutting.run(decoder.feed, cutting.cut(stream, places)), *decoder.flush()]
    whole = Decoder()
    assert found == [*whole.feed(stream), *whole.flush()]
    assert Pn532Frame(CHIP, body) in found


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    assert len(Decoder().feed(data)) <= len(data)
    targets(data)


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"\x00\xff", b"\x00\xff\x01\xfe\xd5"])
def test_long_noise_leaves_nothing_behind_and_the_next_frame_is_read(alphabet: bytes) -> None:
    dice = random.Random(1)
    decoder = Decoder()
    tracemalloc.start()
    try:
        for _ in range(80):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    decoder.flush()
    assert decoder.feed(encode(CHIP, b"\x33"))[-1] == Pn532Frame(CHIP, b"\x33")


def test_no_repr_shows_a_number() -> None:
    [card] = targets(bytes.fromhex("0101000408049eb36e66"))  # type: ignore[misc]
    assert "B36E" not in repr(card).upper() + repr(Pn532Frame(CHIP, bytes.fromhex("9eb36e66"))).upper()
