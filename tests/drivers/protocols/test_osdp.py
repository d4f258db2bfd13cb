from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.bench.decoding import FaultFound, decode, to_json
from drivers.protocols import osdp, osdpcap
from drivers.protocols.fault import Fault
from drivers.protocols.osdp import Characters, Decoder, Event, OsdpCard, Packet, encode
from drivers.protocols.osdp_card import between_parities, card_uid
from drivers.protocols.osdp_secure import Keys, Opened, SecureSession
from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, UidEncoding, whole
from tests.drivers.protocols.cutting import cut, every_way, places, run
from tests.vectors import load_reader

DATA = load_reader("osdp")
VECTORS = [(vector, bytes.fromhex(vector["frame_hex"])) for vector in DATA["vectors"]]
RAW = encode(3, osdp.RAW, bytes.fromhex("00012000") + bytes.fromhex("04A3C6CA"), sequence=2, reply=True)


def decoded(data: bytes) -> Sequence[Event]:
    return every_way(lambda: Decoder().feed, data)


@pytest.mark.parametrize(("vector", "frame"), VECTORS, ids=[vector["expected"] for vector, _ in VECTORS])
def test_every_recorded_frame(vector: dict[str, object], frame: bytes) -> None:
    [packet] = decoded(frame)
    assert isinstance(packet, Packet)
    assert packet.address == vector["addr"]
    assert packet.reply == vector["reply"]
    assert packet.sequence == vector["seq"]
    assert packet.crc == (vector["check"] == "crc")
    assert (packet.security is not None) == vector["scb"]
    assert f"{packet.code:02x}" == vector["code"]
    if "card_bits" in vector:
        found = osdp.card(packet)
        assert isinstance(found, OsdpCard)
        assert (found.bits, found.data.hex().upper()) == (vector["card_bits"], vector["card_data_hex"])


@given(places, st.lists(st.sampled_from(VECTORS), max_size=6), st.binary(max_size=12).filter(lambda b: 0x53 not in b))
def test_frames_are_found_between_noise_however_it_is_cut(
    places: list[int], vectors: list[tuple[dict[str, object], bytes]], noise: bytes
) -> None:
    stream = noise.join([b"", *(frame for _, frame in vectors), b""])
    events = run(Decoder().feed, cut(stream, places))
    assert events == list(decoded(stream))
    assert len([event for event in events if isinstance(event, Packet)]) == len(vectors)


@given(st.binary(max_size=4_000))
def test_rubbish_never_raises_nor_hides_the_frame_that_follows_it_and_a_pause(rubbish: bytes) -> None:
    decoder = Decoder()
    decoder.feed(rubbish)
    decoder.flush()
    assert decoder.feed(RAW) == Decoder().feed(RAW)


def test_a_false_start_does_not_swallow_the_frame_in_it() -> None:
    false = bytes((0x53, 0x00, len(RAW) + 4, 0x00))
    events = decoded(false + RAW)
    assert [type(event) for event in events] == [Fault, Packet]


@pytest.mark.parametrize("at", range(1, len(RAW)))
def test_a_flipped_bit_is_found(at: int) -> None:
    damaged = RAW[:at] + bytes((RAW[at] ^ 0x10,)) + RAW[at + 1 :]
    decoder = Decoder()
    events = [*decoder.feed(damaged), *decoder.flush()]
    assert not [event for event in events if isinstance(event, Packet)]
    assert events, "and it is told"


def test_a_run_of_rubbish_is_one_fault_and_is_not_kept() -> None:
    decoder = Decoder()
    assert len(decoder.feed(bytes((0x53, 0, 0xA0, 0x05)) * 100_000)) == 1
    assert len(decoder._buffer) <= osdp.PACKET_BYTES_MAX
    assert Decoder().feed(b"\xff" * 5_000) == [], "marks between frames are no rubbish"


def test_the_repr_shows_no_number() -> None:
    [packet] = Decoder().feed(RAW)
    assert isinstance(packet, Packet)
    assert "c6ca" not in repr(packet).lower()
    assert "c6" not in repr(osdp.card(packet)).lower().replace("card", "")


def card(bits: int, data: str) -> OsdpCard:
    return OsdpCard(0, 1, bits, bytes.fromhex(data))


@given(st.sampled_from([3, 4]).flatmap(lambda size: st.binary(min_size=size, max_size=size)).filter(any))
@example(b"\x88\x04\xa3\xc6")
def test_between_parities_stands_the_low_part_of_a_number(value: bytes) -> None:
    found = card_uid(between_parities(value))
    if len(value) == 4 and value[0] == 0x88:  # the first half of a longer number, unless it is a tag's
        assert isinstance(found, RejectedNumber)
        found = card_uid(between_parities(value), technology=Technology.EM4100)
    assert isinstance(found, Uid)
    assert found.value == value
    assert found.notation is (UidNotation.W26 if len(value) == 3 else UidNotation.W34)


def test_a_wrong_parity_is_no_card() -> None:
    assert isinstance(card_uid(card(26, "CD22C716")), RejectedNumber)


def test_58_bits_are_a_whole_number_of_seven_bytes() -> None:
    uid = bytes.fromhex("04A3C6CAE26180")
    sent = between_parities(uid)
    assert (sent.bits, len(sent.data)) == (58, 8)
    for encoding, value in ((UidEncoding.HEX, uid), (UidEncoding.W34, uid), (UidEncoding.HEX_REVERSED, uid[::-1])):
        found = card_uid(sent, encoding)
        assert isinstance(found, Uid)
        assert found == whole(Technology.UNKNOWN, value)
    damaged = OsdpCard(0, 1, 58, bytes((sent.data[0] ^ 0x40,)) + sent.data[1:])
    assert isinstance(card_uid(damaged), RejectedNumber)


@pytest.mark.parametrize(("bits", "data"), [(32, "04A3C6CA"), (40, "1F00644BB6"), (56, "04A3C6CAE26180")])
def test_whole_numbers(bits: int, data: str) -> None:
    found = card_uid(card(bits, data))
    assert isinstance(found, Uid)
    assert (found.hex, found.partial) == (data, False)
    turned = card_uid(card(bits, data), UidEncoding.HEX_REVERSED)
    assert isinstance(turned, Uid)
    assert turned.value == found.value[::-1]


def test_a_makers_own_format_is_refused_saying_what_to_do() -> None:
    # 37 bits (H10302): five bytes, the last three bits are padding
    found = card_uid(card(37, "8000004B58"))
    assert isinstance(found, RejectedNumber)
    assert "CSN" in found.why


def test_digits_as_old_readers_send_them() -> None:
    forwards = osdp.parse_card(osdp.FMT, b"\x00\x00\x0a0006572982")
    backwards = osdp.parse_card(osdp.FMT, b"\x00\x01\x0a2892756000")
    assert forwards == backwards == Characters(0, "0006572982")
    assert isinstance(forwards, Characters)
    found = card_uid(forwards)
    assert isinstance(found, Uid)
    assert (found.hex, found.notation) == ("00644BB6", UidNotation.DEC10)


@pytest.mark.parametrize("data", ["", "0001", "00011A00CD22C7", "0001FFFF00", "0001000000", "00012000AABBCCDDEE"])
def test_a_card_that_does_not_fit_its_own_length_is_a_fault(data: str) -> None:
    assert isinstance(osdp.parse_card(osdp.RAW, bytes.fromhex(data)), Fault)


def test_why_a_reader_refuses() -> None:
    [packet] = Decoder().feed(encode(0, osdp.NAK, b"\x06", reply=True))
    assert isinstance(packet, Packet)
    assert osdp.refusal(packet) == "it demands a secure channel"


@pytest.mark.parametrize("vector", DATA["secure_channel_kdf"])
def test_session_keys_and_cryptograms_of_the_standard(vector: dict[str, str]) -> None:
    known = {name: bytes.fromhex(value) for name, value in vector.items() if name != "source"}
    keys = Keys.derive(known["scbk"], known["rnd_a"])
    assert (keys.enc, keys.mac1, keys.mac2) == (known["s_enc"], known["s_mac1"], known["s_mac2"])
    assert keys.client_cryptogram(known["rnd_a"], known["rnd_b"]) == known["client_cryptogram"]
    assert keys.server_cryptogram(known["rnd_a"], known["rnd_b"]) == known["server_cryptogram"]
    assert keys.initial_mac(known["server_cryptogram"]) == known["rmac_i"]


def hidden(data: bytes = b"") -> bytes:
    """A reply as the secure channel sends it; nobody knows its key."""
    body = b"\x0e\x02\x18\x50" + data.ljust(16, b"\0") + bytes(4)
    frame = bytes((0x53, 0x80, 6 + len(body), 0)) + body
    return frame + osdp._check(frame, crc=True)


def test_what_is_hidden_needs_its_key() -> None:
    [packet] = Decoder().feed(hidden())
    assert isinstance(packet, Packet)
    assert SecureSession().open(packet) == Fault("encrypted: its key is needed")


def test_decoding_a_card_that_is_only_bits_and_a_session_that_is_hidden() -> None:
    recorded = next(frame for vector, frame in VECTORS if "card_bits" in vector)
    [read] = decode("osdp", [recorded])
    assert to_json(read) == b'{"event":"read","uid":"CD22C716","bits":26,"tech":"unknown","partial":true}'
    [read] = decode("osdp", [encode(0, osdp.RAW, b"\0\1\x1a\0" + between_parities(b"abc").data, reply=True)])
    assert to_json(read) == b'{"event":"read","uid":"616263","bits":24,"tech":"unknown","partial":true}'
    assert list(decode("osdp", [frame for vector, frame in VECTORS if "card_bits" not in vector])) == []
    assert list(decode("osdp", [hidden(), hidden(b"other")])) == [FaultFound(what="encrypted: its key is needed")]


@given(places, st.lists(st.sampled_from([b"{}\n", b"\n", b"\xff\xff\n", b"x" * 70_000 + b"\n"]), max_size=4))
def test_a_file_of_osdpcap_is_known_by_its_first_byte(places: list[int], between: list[bytes]) -> None:
    line = osdpcap.encode(osdpcap.PassedBytes(1, "RECV", RAW))
    text = line + b"".join(between) + line
    events = run(osdpcap.OsdpStream().feed, cut(text, places))
    assert [event for event in events if isinstance(event, Opened)] == [
        Opened(packet, packet.data) for packet in Decoder().feed(RAW + RAW) if isinstance(packet, Packet)
    ]
    assert len(events) == 2 + sum(part != b"\n" for part in between)
