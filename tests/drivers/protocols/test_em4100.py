import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.em4100 import Decoder, Tag, checksum, encode
from drivers.protocols.fault import Fault
from tests.drivers.protocols import cutting
from tests.vectors import load_reader

VECTORS = load_reader("em4100_serial")
tags = st.binary(min_size=5, max_size=5)


def events(data: bytes) -> list[Tag | Fault]:
    return cutting.every_way(lambda: Decoder().feed, data)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: v["expected_uid_hex"])
def test_every_published_frame_gives_its_forty_bits(vector: dict[str, str]) -> None:
    assert events(bytes.fromhex(vector["frame_hex"])) == [Tag(bytes.fromhex(vector["expected_uid_hex"]))]


@pytest.mark.parametrize("vector", VECTORS["phantoms"], ids=lambda v: v["frame_hex"][2:22])
def test_a_phantom_passes_the_checksum_so_the_parser_cannot_tell(vector: dict[str, str]) -> None:
    [tag] = events(bytes.fromhex(vector["frame_hex"]))
    assert isinstance(tag, Tag)


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["why"])
def test_a_damaged_frame_is_one_fault_and_no_tag(vector: dict[str, str]) -> None:
    [fault] = events(bytes.fromhex(vector["frame_hex"]))
    assert isinstance(fault, Fault)


def test_a_recording_that_breaks_off_gives_its_whole_frames_and_then_a_fault() -> None:
    [stream] = VECTORS["streams"]
    decoder = Decoder()
    tag = Tag(bytes.fromhex(stream["expected_events"][0]))
    assert list(decoder.feed(bytes.fromhex(stream["stream_hex"]))) == [tag, tag]
    assert list(decoder.flush()) == [Fault("a frame broke off")]
    assert list(decoder.flush()) == []


def test_id12la_puts_a_line_end_before_the_end_of_the_frame() -> None:
    value = bytes.fromhex("1F00644BB6")
    assert len(encode(value, crlf=True)) == 16
    assert events(encode(value, crlf=True) + encode(value)) == [Tag(value), Tag(value)]


def test_a_frame_that_begins_inside_another_is_not_lost() -> None:
    value = bytes.fromhex("0D00319CD0")
    for keep in range(1, 14):
        found = events(encode(value)[:keep] + encode(value))
        assert found == [Fault("a frame broke off and the next began"), Tag(value)] if keep < 14 else [Tag(value)] * 2


@pytest.mark.parametrize("position", range(1, 13))
def test_one_changed_digit_is_never_a_tag(position: int) -> None:
    frame = bytearray(encode(bytes.fromhex("67003B51C6")))
    frame[position] = ord("0") if frame[position] != ord("0") else ord("1")
    [fault] = events(bytes(frame))
    assert isinstance(fault, Fault)


@pytest.mark.parametrize("wrong", [b"+", b"_", b" ", b"g", b"\xc3", b"\x00", b"\r"])
def test_what_int_would_swallow_is_no_digit(wrong: bytes) -> None:
    frame = encode(bytes.fromhex("67003B51C6"))
    assert not [event for event in events(frame[:5] + wrong + frame[6:]) if isinstance(event, Tag)]


@given(values=st.lists(tags, max_size=6), crlf=st.booleans(), places=cutting.places)
def test_any_cut_of_the_stream_gives_the_same_tags(values: list[bytes], crlf: bool, places: list[int]) -> None:
    stream = b"".join(encode(value, crlf=crlf) for value in values)
    assert cutting.run(Decoder().feed, cutting.cut(stream, places)) == [Tag(value) for value in values]


@given(value=tags, before=st.binary(max_size=60), after=st.binary(max_size=60), places=cutting.places)
def test_noise_around_a_frame_hides_no_tag(value: bytes, before: bytes, after: bytes, places: list[int]) -> None:
    stream = before + encode(value) + after
    found = cutting.run(Decoder().feed, cutting.cut(stream, places))
    assert found == cutting.run(Decoder().feed, [stream])
    assert Tag(value) in found


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    assert len(Decoder().feed(data)) <= len(data)


def test_a_megabyte_of_noise_leaves_nothing_behind_and_the_next_frame_is_read() -> None:
    dice = random.Random(1)
    decoder, value = Decoder(), bytes.fromhex("01C8F00800")
    tracemalloc.start()
    try:
        for _ in range(250):
            decoder.feed(dice.randbytes(4096))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(encode(value))[-1] == Tag(value)


def test_endless_ff_of_a_wrong_level_is_reported_once() -> None:
    assert events(b"\xff" * 10_000) == [Fault("bytes outside a frame")]


def test_neither_tag_nor_fault_shows_a_number() -> None:
    value = bytes.fromhex("1F00644BB6")
    assert "644B" not in repr(Tag(value)).upper()
    assert checksum(value) == 0x86


def test_a_tag_of_the_wrong_size_is_refused_by_the_builder() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        encode(b"1234")
