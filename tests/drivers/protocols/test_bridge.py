import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.bridge import (
    BRIDGE_PAYLOAD_BYTES_MAX,
    DATA_BYTES_MAX,
    HEAD_LINE_BYTES_MAX,
    Decoder,
    Event,
    Message,
    encode,
)
from drivers.protocols.fault import Fault
from tests.drivers.protocols import cutting

MATCH = {"subject": "1042", "score": 9731}


def events(data: bytes) -> list[Event]:
    return cutting.every_way(lambda: Decoder().feed, data)


def test_a_message_a_payload_and_the_next_message() -> None:
    stream = encode("match", MATCH) + encode("frame", {}, b"\n{}\n\xff" * 100) + encode("ping")
    assert events(stream) == [Message("match", MATCH), Message("frame", {}, 500), Message("ping")]


def test_data_behind_the_line_as_wyoming_has_it() -> None:
    data = b'{"subject":"1042"}'
    head = b'{"type":"match","data":{"score":1},"data_length":%d,"payload_length":3}\n' % len(data)
    assert events(head + data + b"abc" + encode("ping")) == [
        Message("match", {"score": 1, "subject": "1042"}, 3),
        Message("ping"),
    ]
    assert events(b'{"type":"x","data_length":4}\n[1] ' + encode("ping")) == [
        Fault("data of a message that is no JSON object"),
        Message("ping"),
    ]


@pytest.mark.parametrize(
    "line",
    [b"rubbish", b"[]", b"{}", b'{"type":""}', b'{"type":"x","payload_length":-1}', b'{"type":"x","data":7}', b"\xff"],
)
def test_a_line_that_is_no_message_is_a_fault_and_the_next_is_read(line: bytes) -> None:
    assert events(line + b"\n\n" + encode("ping")) == [Fault("a line that is no message"), Message("ping")]


@pytest.mark.parametrize(
    "head",
    [
        b'{"type":"x","payload_length":%d}' % (BRIDGE_PAYLOAD_BYTES_MAX + 1),
        b'{"type":"x","data_length":%d}' % (DATA_BYTES_MAX + 1),
        b'{"type":"x","payload_length":999999999999}',
    ],
)
def test_what_claims_to_be_too_large_is_not_waited_for(head: bytes) -> None:
    assert events(head + b"\n" + encode("ping")) == [Fault("a message that is too large"), Message("ping")]


def test_a_line_that_is_too_long() -> None:
    assert events(b"x" * (HEAD_LINE_BYTES_MAX + 1) + b"\n" + encode("ping")) == [
        Fault("a line is too long"),
        Message("ping"),
    ]


@given(
    messages=st.lists(st.tuples(st.sampled_from(["match", "ping", "frame"]), st.binary(max_size=40)), max_size=5),
    places=cutting.places,
)
def test_any_cut_gives_the_same_messages(messages: list[tuple[str, bytes]], places: list[int]) -> None:
    stream = b"".join(encode(kind, MATCH, payload) for kind, payload in messages)
    assert cutting.run(Decoder().feed, cutting.cut(stream, places)) == [
        Message(kind, MATCH, len(payload)) for kind, payload in messages
    ]


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    assert len(Decoder().feed(data)) <= len(data)


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"x", b'{}":,\n0type'])
def test_long_noise_leaves_nothing_behind(alphabet: bytes) -> None:
    dice, decoder = random.Random(1), Decoder()
    tracemalloc.start()
    try:
        for _ in range(60):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(b"\n" + encode("ping"))[-1] == Message("ping")


def test_a_payload_is_counted_and_not_kept() -> None:
    decoder = Decoder()
    decoder.feed(encode("frame", {}, bytes(BRIDGE_PAYLOAD_BYTES_MAX))[:-1])
    assert len(decoder._line) + len(decoder._data) == 0
    assert decoder.feed(b"\0") == [Message("frame", {}, BRIDGE_PAYLOAD_BYTES_MAX)]
    assert "1042" not in repr(Message("match", MATCH))
