"""Packets, rows and the conversation on port 4370, against published bytes and pyzk's own arithmetic."""

import struct
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zk.base import make_commkey

from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import Punch
from drivers.protocols.zk_packets import (
    REPLY_NUMBERS,
    Decoder,
    Event,
    ZkPacket,
    checksum,
    encode_comm_key,
    encode_frame,
    encode_packet,
    parse_packet,
)
from drivers.protocols.zk_records import RowParser, live_event, parse_users, row_size
from drivers.protocols.zk_session import SessionRefused, ZkSession
from tests.drivers.protocols import cutting

PACKETS = st.builds(
    ZkPacket, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, REPLY_NUMBERS - 1), st.binary(max_size=40)
)


@pytest.mark.parametrize(
    "published", ["0b005a17f38d03005a4b4661636556657273696f6e00", "d007296af38d0a0009"], ids=["question", "answer"]
)
def test_the_published_packets(published: str) -> None:
    packet = parse_packet(bytes.fromhex(published))
    assert isinstance(packet, ZkPacket)
    assert packet.session == 0x8DF3
    assert encode_packet(packet) == bytes.fromhex(published)


@given(key=st.integers(0, 999_999_999), session=st.integers(0, 0xFFFF))
def test_the_communication_key_is_scrambled_as_pyzk_does(key: int, session: int) -> None:
    mirrored = int(f"{key:032b}"[::-1], 2)
    if mirrored + session <= 0xFFFFFFFF:  # beyond that pyzk gives up
        assert encode_comm_key(key, session) == make_commkey(key, session)


@given(packets=st.lists(PACKETS, max_size=5), places=cutting.places)
def test_any_cut_of_a_stream_gives_the_same_packets(packets: list[ZkPacket], places: list[int]) -> None:
    decoder = Decoder()
    events: list[Event] = []
    for chunk in cutting.cut(b"".join(map(encode_frame, packets)), places):
        events += decoder.feed(chunk)
    assert events == packets


@given(packet=PACKETS, noise=st.binary(min_size=1, max_size=30))
def test_a_packet_behind_noise_is_not_lost(packet: ZkPacket, noise: bytes) -> None:
    noise = noise.replace(b"\x50", b"\x51")
    [fault, found] = Decoder().feed(noise + encode_frame(packet))
    assert isinstance(fault, Fault)
    assert found == packet


@given(packet=PACKETS, place=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_damaged_packet_is_a_fault(packet: ZkPacket, place: int, bit: int) -> None:
    content = bytearray(encode_packet(packet))
    content[place % len(content)] ^= 1 << bit
    assert isinstance(parse_packet(bytes(content)), Fault)


def test_the_checksum_of_a_client_that_counts_up_afterwards_is_taken() -> None:
    head = struct.pack("<3H", 1000, 7, 4)
    content = struct.pack("<4H", 1000, checksum(head), 7, 5)
    assert parse_packet(content, lenient=True) == ZkPacket(1000, 7, 5)
    assert isinstance(parse_packet(content), Fault), "no terminal does so"
    assert isinstance(parse_packet(content[:-1] + b"\1", lenient=True), Fault)
    assert isinstance(parse_packet(b"short"), Fault)


def test_a_rows_size_is_told_by_the_whole_and_the_count_even_when_somebody_came_between() -> None:
    assert [row_size(4 + 40 * 100, rows) for rows in (100, 99, 95)] == [40, 40, 40]
    assert (row_size(4 + 8, 1), row_size(4 + 16, 1), row_size(4 + 40, 1)) == (8, 16, 40)
    for size, rows in ((4 + 41, 1), (4 + 40 * 100, 7), (4 + 24 * 100, 100)):
        with pytest.raises(ValueError, match="rows of attendance"):
            row_size(size, rows)


def test_somebody_without_a_number_is_a_fault_and_never_a_place_in_a_table() -> None:
    row = struct.pack("<HBIB", 7, 1, 864_121_215, 0)
    [event] = RowParser(8, {7: "1001"}).feed(b"\0\0\0\0" + row)
    assert event == Punch("1001", "2026-11-20 09:40:15", 0, 1)
    [event] = RowParser(8, {}).feed(b"\0\0\0\0" + row)
    assert isinstance(event, Fault)
    [event] = RowParser(8, {7: "1"}).feed(bytes(4) + struct.pack("<HBIB", 7, 1, 5_270_400, 0))
    assert isinstance(event, Fault), "the 31st of June"


@pytest.mark.parametrize("size", [10, 12, 14, 32, 36, 37, 52])
def test_the_forms_of_a_live_event(size: int) -> None:
    number = {10: struct.pack("<H", 7), 12: struct.pack("<I", 1001), 14: struct.pack("<H", 7)}.get(size)
    data = (number or b"1001".ljust(24, b"\0")) + bytes((1, 0, 26, 11, 20, 9, 40, 15))
    assert live_event(data.ljust(size, b"\0"), {7: "1001"}) == Punch("1001", "2026-11-20 09:40:15", 0, 1)


@given(st.binary(max_size=80))
def test_no_table_and_no_event_raises_anything_but_value_error(data: bytes) -> None:
    live_event(data, {})
    for size in (8, 16, 40):
        RowParser(size, {}).feed(data)
    try:
        parse_users(data, 2)
    except ValueError:
        return


def answer(question: ZkPacket, command: int, data: bytes = b"", session: int = 9) -> ZkPacket:
    return ZkPacket(command, session, question.number, data)


def test_the_reply_counter_wraps_and_late_answers_are_passed_over() -> None:
    session = ZkSession(0, keeps=timedelta(days=2))
    question = session.begin()
    assert question.number == 0
    for content in (b"", b"~SerialNumber=A1\0", b""):
        [question], _ = session.receive(answer(question, 2000, content))
    assert session.receive(answer(ZkPacket(0, 0, 0), 2000)) == ([], []), "of an earlier question"
    [question], _ = session.receive(answer(question, 2000, struct.pack("<I", 864_121_220)))
    session.receive(answer(question, 2000, bytes(80)))
    assert not session.is_waiting
    session._number = REPLY_NUMBERS - 4
    numbers = []
    for _ in range(8):
        question = session.ask_time()
        numbers.append(question.number)
        session.receive(answer(question, 2000, struct.pack("<I", 864_121_220)))
    assert numbers == [*range(REPLY_NUMBERS - 3, REPLY_NUMBERS), 0, 1, 2, 3, 4]


def test_what_a_terminal_may_refuse_says_what_to_do() -> None:
    session = ZkSession(1, keeps=timedelta(days=2))
    [question], _ = session.receive(answer(session.begin(), 2005))
    with pytest.raises(SessionRefused, match="communication key"):
        session.receive(answer(question, 2005))
    session = ZkSession(0, keeps=timedelta(days=2))
    with pytest.raises(SessionRefused, match="refuses the connection"):
        session.receive(answer(session.begin(), 2001))


def test_a_live_event_is_answered_by_its_own_number() -> None:
    session = ZkSession(0, keeps=timedelta(days=2))
    data = b"1001".ljust(24, b"\0") + bytes((1, 0, 26, 11, 20, 9, 40, 15))
    [reply], [event] = session.receive(ZkPacket(500, 1, 0, data))
    assert (reply.command, reply.number) == (2000, 0)
    assert event == Punch("1001", datetime(2026, 11, 20, 9, 40, 15).isoformat(" "), 0, 1)
    assert session.receive(ZkPacket(500, 2, 0, data))[1] == [], "a finger without a person"
