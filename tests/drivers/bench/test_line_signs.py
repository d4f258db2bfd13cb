"""What arrives over a wrong line is named: ports at other speeds, with parity, inverted, with other readers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.line_signs import BYTES_KEPT, BYTES_MIN, LineSigns
from drivers.protocols import em4100, ironlogic
from tests.drivers.uart import line_levels, receive

TAG = bytes.fromhex("1F00644BB6")
SENT = {
    "em4100": em4100.encode(TAG) * 12,
    "ironlogic": ironlogic.encode_em_marine(TAG) * 10,
    "line": b"0006572982\r\n" * 14,
}


def judge(protocol: str, *heard: bytes) -> str:
    signs = LineSigns(protocol)
    for part in heard:
        signs.hear(part)
    return signs.judge()


@pytest.mark.parametrize("protocol", SENT)
@pytest.mark.parametrize("read_baud", [14_400, 19_200, 38_400, 57_600])
def test_a_port_that_is_faster_than_its_reader_is_named(protocol: str, read_baud: int) -> None:
    heard = receive(line_levels(SENT[protocol]), sent_baud=9_600, read_baud=read_baud)
    assert "set a lower baud" in judge(protocol, heard)


@pytest.mark.parametrize("protocol", SENT)
@pytest.mark.parametrize("sent_baud", [19_200, 38_400, 57_600])
def test_a_port_that_is_slower_than_its_reader_is_named(protocol: str, sent_baud: int) -> None:
    heard = receive(line_levels(SENT[protocol] * 4), sent_baud=sent_baud, read_baud=9_600)
    assert "set a higher baud" in judge(protocol, heard)


@pytest.mark.parametrize("protocol", SENT)
def test_a_port_that_is_very_much_faster_receives_a_level(protocol: str) -> None:
    assert "much too high" in judge(protocol, receive(line_levels(SENT[protocol]), sent_baud=9_600, read_baud=115_200))


@pytest.mark.parametrize("protocol", SENT)
def test_inverted_levels_are_named_with_the_speed(protocol: str) -> None:
    heard = receive(line_levels(SENT[protocol]), sent_baud=9_600, read_baud=9_600, inverted=True)
    assert "the levels are inverted" in judge(protocol, heard)


@pytest.mark.parametrize("protocol", SENT)
@pytest.mark.parametrize("parity", ["even", "odd"])
def test_a_parity_bit_is_named(protocol: str, parity: str) -> None:
    heard = receive(line_levels(SENT[protocol], parity=parity), sent_baud=9_600, read_baud=9_600)
    assert f"7 bits and an {parity} parity" in judge(protocol, heard)


@pytest.mark.parametrize(
    ("protocol", "sender"),
    [("em4100", "ironlogic"), ("line", "ironlogic"), ("ironlogic", "em4100"), ("line", "em4100")],
)
def test_another_readers_frames_name_its_driver(protocol: str, sender: str) -> None:
    assert f'set driver = "{sender}"' in judge(protocol, SENT[sender])


@pytest.mark.parametrize("protocol", SENT)
def test_sound_text_is_left_to_the_drivers_own_sentence(protocol: str) -> None:
    assert judge(protocol, SENT["line"]) == ""
    assert judge(protocol, "Ешкім білмейтін код, қазақша".encode() * 3) == ""
    assert judge(protocol, b"\xff" * (BYTES_MIN - 1)) == ""


def test_a_reading_clears_what_came_before() -> None:
    signs = LineSigns("em4100")
    signs.hear(b"\x00" * 100)
    assert signs.judge()
    signs.clear()
    assert signs.judge() == ""


@given(st.lists(st.binary(max_size=2_000)))
def test_the_judgement_does_not_depend_on_the_cuts_and_is_bounded(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    for protocol in SENT:
        assert judge(protocol, *parts) == judge(protocol, whole) == judge(protocol, whole[-BYTES_KEPT:])


@pytest.mark.parametrize("encoding", ["cp1251", "cp866", "koi8-r", "iso8859-5"])
def test_codes_of_another_encoding_are_no_wrong_speed(encoding: str) -> None:
    assert judge("line", "ST0011|Привет\r\n".encode(encoding) * 3) == ""
