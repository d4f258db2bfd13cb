"""The lines of a PC/SC reader, and what an ACR122U is told. No reader, no pcscd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import acr122u, pcsc
from drivers.protocols.fault import Fault
from drivers.readings import FaultCause, Technology
from drivers.uid import RejectedNumber, whole
from tests.drivers.protocols.cutting import cut, every_way, places, run
from tests.vectors import load_reader

VECTORS = load_reader("pcsc")["vectors"]
ATRS = [bytes.fromhex(vector["atr_hex"]) for vector in VECTORS if "atr_hex" in vector]
UID = bytes.fromhex("04A3C6CA")


@pytest.mark.parametrize("atr", ATRS, ids=lambda atr: atr.hex()[-14:-10])
def test_recorded_atrs(atr: bytes) -> None:
    [event] = every_way(lambda: pcsc.Decoder().feed, pcsc.encode(atr, UID + b"\x90\x00"))
    felica = atr[13:15] == b"\xf0\x11"
    assert event == pcsc.PcscCard(Technology.UNKNOWN if felica else Technology.ISO14443A, UID)
    assert UID.hex() not in repr(event)


def test_recorded_commands() -> None:
    commands = [vector["apdu_hex"] for vector in VECTORS if "apdu_hex" in vector]
    assert pcsc.GET_UID.hex().upper() in commands
    assert acr122u.QUIET.hex().upper() in commands
    red = acr122u.encode(acr122u.Blink(red=True, green=False, on_tenths=2, off_tenths=2, times=2, beep=True))
    recorded = bytes.fromhex("FF00405D0402020201")
    assert (red[:3], red[4:]) == (recorded[:3], recorded[4:])
    assert red[3] & 0x50 == recorded[3] & 0x50, "red, from the start and blinking"
    assert acr122u.accepted(b"\x90\x03")
    assert not acr122u.accepted(b"\x63\x00")
    with pytest.raises(ValueError, match="tenths"):
        acr122u.encode(acr122u.Blink(red=True, green=False, on_tenths=256, off_tenths=2, times=2, beep=True))


def test_desfire_is_of_iso_14443_and_a_chip_card_is_of_nothing_that_we_know() -> None:
    assert pcsc.technology(bytes.fromhex("3B8180018080")) is Technology.ISO14443A
    assert pcsc.technology(bytes.fromhex("3B6800000073C84012009000")) is Technology.UNKNOWN


GOOD = pcsc.encode(ATRS[0], UID + b"\x90\x00")


@given(places, st.lists(st.sampled_from([GOOD, pcsc.REMOVED, pcsc.MUTE, b"card zz 9000\n", b"\xff\x00\n"]), max_size=6))
def test_lines_are_found_however_they_are_cut(places: list[int], parts: list[bytes]) -> None:
    stream = b"".join(parts)
    events = run(pcsc.Decoder().feed, cut(stream, places))
    assert events == every_way(lambda: pcsc.Decoder().feed, stream)
    assert len(events) == len(parts)


@given(st.binary(max_size=2_000))
def test_rubbish_stays_bounded(data: bytes) -> None:
    decoder = pcsc.Decoder()
    decoder.feed(data)
    assert len(decoder._line) <= pcsc.PCSC_LINE_BYTES_MAX + 1
    decoder.flush()
    assert isinstance(decoder.feed(GOOD)[0], pcsc.PcscCard)


@pytest.mark.parametrize("answer", [b"\x63\x00", b"\x6a\x81", UID + b"\x63\x00"])
def test_a_card_without_a_number_is_a_fault(answer: bytes) -> None:
    [event] = pcsc.Decoder().feed(pcsc.encode(ATRS[0], answer))
    assert isinstance(event, Fault)


@pytest.mark.parametrize("atr", ["3B80800101", "3B8580012063CBB6", "3B8A80010031C173C840000090007B"])
def test_a_phone_is_known_by_the_number_that_it_draws_although_its_kind_is_not(atr: str) -> None:
    line = pcsc.encode(bytes.fromhex(atr), bytes.fromhex("08A1B2C3") + b"\x90\x00")
    [event] = pcsc.Decoder().feed(line)
    assert isinstance(event, pcsc.PcscCard)
    assert event.technology is Technology.ISO14443A
    rejected = whole(event.technology, event.uid)
    assert isinstance(rejected, RejectedNumber)
    assert rejected.cause is FaultCause.PHONE
    [card] = pcsc.Decoder().feed(pcsc.encode(bytes.fromhex(atr), UID + b"\x90\x00"))
    assert card == pcsc.PcscCard(Technology.UNKNOWN, UID)
