"""The driver against libosdp's own reader in another process. Bounds of time tell a hang, and the one promise."""

import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("osdp", reason="libosdp is not installed: pip install canteen-edge-agent[osdp]")

from drivers.base import Signal
from drivers.bench import osdp_key
from drivers.bench.decoding import osdp_decoding, to_json
from drivers.bench.osdp_trace import OsdpTrace, is_trace
from drivers.bench.osdp_trace import events as trace_events
from drivers.cards.osdp import Osdp
from drivers.cards.osdp_commissioning import commission
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import DeviceGone, NotSupported
from drivers.indicators.osdp import OsdpLight, OsdpLightSettings
from drivers.protocols import osdp
from drivers.protocols.fault import Fault
from drivers.protocols.osdp_card import between_parities, card_uid
from drivers.protocols.osdp_secure import Opened, SecureSession
from drivers.protocols.osdpcap import PassedBytes, encode, parse, replay
from drivers.readings import CardRead, CodeRead, DeviceEvent, Uid
from drivers.settings import WrongSetting
from drivers.settings import parse as parse_settings
from drivers.transports.base import Tapped
from drivers.transports.serial import Serial, SerialLine
from tests.drivers.osdp_peer import OsdpPeer

KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
CARD = bytes.fromhex("04A3C6CA")
TRIES = 300
BACK_S = 6.0
KEYSET = 0x75


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[OsdpPeer]:
    peer = OsdpPeer(tmp_path, KEY)
    yield peer
    peer.dispose()


def options(peer: OsdpPeer) -> OsdpSettings:
    return OsdpSettings(port=str(peer.port), key_file=str(peer.key_file))


def opened(reader: Osdp) -> Osdp:
    """As the runtime does: again until the reader is there."""
    for _ in range(10):
        try:
            reader.open()
        except DeviceGone:
            continue
        return reader
    pytest.fail("the reader never came")


def test_keys_of_a_real_reader_are_a_number_and_its_pin(peer: OsdpPeer) -> None:
    reader = opened(Osdp("door", options(peer)))
    try:
        for keys in (b"10", b"42\r", b"7391", b"\r"):
            peer.press(keys)
        [code] = next_events(reader)
        assert isinstance(code, CodeRead)
        assert (code.text, code.keypad) == ("1042#7391", True)
    finally:
        reader.close()


def test_a_capture_keeps_no_pin() -> None:
    out = io.BytesIO()
    trace = OsdpTrace(out, clock=lambda: 1, redact_key=b"secret")
    trace("RECV", osdp.encode(0, osdp.KEYPAD, b"\0\x067391\r\x7f", reply=True))
    record = parse(out.getvalue().strip())
    assert isinstance(record, PassedBytes)
    assert record.data == osdp.encode(0, osdp.KEYPAD, b"\0\x060000\r\x7f", reply=True)


def next_events(reader: Osdp) -> Sequence[DeviceEvent]:
    for _ in range(TRIES):
        if events := reader.read(0.1):
            return events
    pytest.fail("the reader reports nothing")


def pump(reader: Osdp, peer: OsdpPeer, commands: int) -> None:
    """Commands pass while the reader is read."""
    for _ in range(TRIES):
        if peer.said.qsize() >= commands:
            return
        reader.read(0.1)
    pytest.fail("the reader was not told")


def read_until_gone(reader: Osdp) -> str:
    for _ in range(TRIES):
        try:
            reader.read(0.1)
        except DeviceGone as error:
            return str(error)
    pytest.fail("the reader does not notice that it is away")


def test_a_card_its_light_its_buzzer_and_its_text(peer: OsdpPeer) -> None:
    reader = opened(Osdp("left", options(peer)))
    light = OsdpLight("lamp", OsdpLightSettings(port=str(peer.port), text_welcome="Welcome"))
    peer.card(32, CARD)
    first, second = next_events(reader)
    assert isinstance(first, CardRead)
    assert isinstance(second, CardRead)
    assert (first.uid.value, first.again, second.again) == (CARD, False, True)
    light.open()
    light.show(Signal.WELCOME)
    pump(reader, peer, commands=4)
    idle, lamp, buzzer, text = (peer.command() for _ in range(4))
    assert (idle["temporary"], idle["on_color"]) == (False, 4)
    assert (lamp["temporary"], lamp["on_color"], lamp["timer_count"]) == (True, 2, 25), "it falls back by itself"
    assert (buzzer["control_code"], buzzer["rep_count"]) == (2, 1)
    assert text["data"] == "Welcome"
    reader.close()
    with pytest.raises(DeviceGone):
        light.show(Signal.WELCOME)
    opened(reader)
    light.show(Signal.IDLE)
    pump(reader, peer, commands=2)
    assert [peer.command()["on_color"] for _ in range(2)] == [4, 4], (
        "it may have forgotten: its idle colour is set anew"
    )
    light.close()
    reader.close()
    with pytest.raises(DeviceGone):
        light.show(Signal.WELCOME)


@pytest.mark.parametrize("text", ["a" * 33, "Қош келдің"])
def test_a_text_that_no_reader_can_show_is_refused_with_the_settings(text: str) -> None:
    with pytest.raises(WrongSetting, match="text_welcome"):
        parse_settings(OsdpLightSettings, {"port": "p", "text_welcome": text})


def test_a_held_card_is_told_once(peer: OsdpPeer) -> None:
    reader = opened(Osdp("left", options(peer), clock=lambda: 0))
    for _ in range(3):
        peer.card(32, CARD)
    events: list[DeviceEvent] = []
    for _ in range(15):
        events += reader.read(0.1)
    assert [event for event in events if isinstance(event, CardRead) and not event.again] == events[:1]
    assert len(events) == 2
    reader.close()


def test_a_cut_cable_is_noticed_and_mended_in_time(peer: OsdpPeer) -> None:
    reader = opened(Osdp("left", options(peer)))
    peer.cut()
    assert "away" in read_until_gone(reader)
    reader.close()
    peer.mend()
    since = time.monotonic()
    opened(reader)
    peer.card(32, CARD)
    assert isinstance(next_events(reader)[0], CardRead)
    assert time.monotonic() - since < BACK_S
    reader.close()


def test_a_short_cut_is_survived_without_a_word(peer: OsdpPeer) -> None:
    reader = opened(Osdp("left", options(peer)))
    peer.cut()
    reader.read(0.5)
    peer.mend()
    peer.card(32, CARD)
    for _ in range(TRIES):
        try:
            if any(isinstance(event, CardRead) for event in reader.read(0.1)):
                break
        except DeviceGone:  # allowed: then it is opened anew at once
            reader.close()
            opened(reader)
    else:
        pytest.fail("the card is lost")
    reader.close()


def test_another_key_is_told_from_no_reader(peer: OsdpPeer, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    osdp_key.create(other)
    with pytest.raises(NotSupported, match="another key"):
        opened(Osdp("left", OsdpSettings(port=str(peer.port), key_file=str(other))))
    peer.cut()
    with pytest.raises(DeviceGone, match="does not answer"):
        Osdp("left", options(peer)).open()


def test_in_clear_it_is_refused_unless_a_key_is_being_set(peer: OsdpPeer) -> None:
    with pytest.raises(NotSupported, match="secure channel only"):
        Osdp("left", OsdpSettings(port=str(peer.port))).open()


@pytest.mark.parametrize("echo", [False, True], ids=["quiet adapter", "adapter that hears itself"])
def test_a_key_is_set_kept_and_then_demanded(tmp_path: Path, echo: bool) -> None:
    peer = OsdpPeer(tmp_path, None, echo=echo)
    key_file = tmp_path / "new.key"
    clear = OsdpSettings(port=str(peer.port), commissioning=True)
    with pytest.raises(NotSupported, match="commissioning"):
        commission(OsdpSettings(port=str(peer.port)), key_file)
    commission(clear, key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("new.key*")] == ["new.key"]
    assert bytes.fromhex(peer.command()["data"]) == osdp_key.load(key_file)
    with pytest.raises(NotSupported, match="exists"):
        commission(clear, key_file)
    reader = opened(Osdp("left", OsdpSettings(port=str(peer.port), key_file=str(key_file))))
    peer.card(32, CARD)
    assert isinstance(next_events(reader)[0], CardRead)
    reader.close()
    peer.dispose()


def test_commissioning_goes_on_with_the_key_that_the_reader_already_has(peer: OsdpPeer, tmp_path: Path) -> None:
    kept, key_file = tmp_path / "new.key.new", tmp_path / "new.key"
    kept.write_text(KEY.hex())
    kept.chmod(0o600)
    commission(OsdpSettings(port=str(peer.port), commissioning=True), key_file)
    assert osdp_key.load(key_file) == KEY


def test_a_session_is_recorded_redacted_and_opened_with_its_key(peer: OsdpPeer) -> None:
    ticks = iter(range(0, 10**12, 1_000_000))
    file = io.BytesIO()
    reader = opened(
        Osdp("left", options(peer), tap=OsdpTrace(file, clock=lambda: next(ticks), redact_key=os.urandom(16)))
    )
    peer.card(32, CARD)
    next_events(reader)
    reader.close()
    lines = file.getvalue().splitlines()
    events = [event for _, event in replay(lines, KEY)]
    assert not [event for event in events if isinstance(event, Fault)], "every MAC holds"
    replies = [event for event in events if isinstance(event, Opened) and event.packet.reply]
    cards = [card for event in replies if (card := osdp.parse_card(event.packet.code, event.data))]
    assert [card.data for card in cards if isinstance(card, osdp.OsdpCard)] == [CARD]
    hidden = [event for _, event in replay(lines) if isinstance(event, Fault)]
    assert Fault("encrypted: its key is needed") in hidden
    assert Fault("the reader has another key") in [event for _, event in replay(lines, bytes(16))]
    assert CARD.hex() not in file.getvalue().decode().replace(" ", "")
    assert is_trace(lines[0])
    reads = [{"event": "read", "uid": CARD.hex().upper(), "bits": 32, "tech": "unknown", "partial": False}]
    for chunks in ([file.getvalue()], [file.getvalue()[i : i + 7] for i in range(0, len(file.getvalue()), 7)]):
        decoding = osdp_decoding(KEY)
        decoded = [json.loads(to_json(line)) for chunk in chunks for line in decoding.feed(chunk)]
        assert decoded + list(decoding.end()) == reads
    played = [event for event in trace_events(lines, options(peer), scbk=KEY) if isinstance(event, CardRead)]
    assert [(event.uid.value, event.again) for event in played] == [(CARD, False), (CARD, True)]


def test_a_session_under_the_key_that_everybody_knows_hides_nothing(tmp_path: Path) -> None:
    """So a key is set with nobody else on the wire. Real bytes: a reader in install mode is given its first key."""
    peer = OsdpPeer(tmp_path, key=None)
    passed: list[bytes] = []
    line = Tapped(Serial(str(peer.port), SerialLine()), lambda _, data: passed.append(data))
    commission(OsdpSettings(port=str(peer.port), commissioning=True), tmp_path / "door.key", transport=line)
    peer.dispose()
    session = SecureSession()
    opened_ones = [session.open(packet) for packet in packets(b"".join(passed))]
    keysets = [one for one in opened_ones if isinstance(one, Opened) and one.packet.code == KEYSET]
    assert [one.packet.security.encrypted for one in keysets if one.packet.security] == [True]
    assert keysets[0].data.endswith(osdp_key.load(tmp_path / "door.key"))


def packets(data: bytes) -> list[osdp.Packet]:
    return [packet for packet in osdp.Decoder().feed(data) if isinstance(packet, osdp.Packet)]


def test_a_card_in_clear_is_recorded_under_a_pseudonym() -> None:
    file = io.BytesIO()
    trace = OsdpTrace(file, clock=lambda: 0, redact_key=b"k")
    frame = osdp.encode(0, osdp.RAW, b"\x00\x01\x20\x00" + CARD, reply=True)
    trace("RECV", frame[:5])
    trace("RECV", frame[5:])
    record = parse(file.getvalue())
    assert isinstance(record, PassedBytes)
    [packet] = osdp.Decoder().feed(record.data)
    assert isinstance(packet, osdp.Packet)
    assert CARD not in packet.raw
    assert len(packet.raw) == len(frame)


@pytest.mark.parametrize(
    "card", [between_parities(b"abc"), between_parities(b"abcd"), osdp.OsdpCard(0, 0, 56, b"1234567")]
)
def test_a_redacted_card_is_still_a_card_and_the_same_one_each_time(card: osdp.OsdpCard) -> None:
    file = io.BytesIO()
    trace = OsdpTrace(file, clock=lambda: 0, redact_key=b"k")
    data = bytes((0, card.format)) + card.bits.to_bytes(2, "little") + card.data
    for _ in range(2):
        trace("RECV", osdp.encode(0, osdp.RAW, data, reply=True))
    first, second = file.getvalue().splitlines()
    assert first == second
    [event, _] = trace_events([first], OsdpSettings(port="p"))
    assert isinstance(event, CardRead)
    assert event.uid.bits == card.bits - card.bits % 8
    known = card_uid(card)
    assert isinstance(known, Uid)
    assert event.uid != known


def test_digits_are_redacted_as_digits() -> None:
    file = io.BytesIO()
    OsdpTrace(file, clock=lambda: 0, redact_key=b"k")(
        "RECV", osdp.encode(0, osdp.FMT, b"\x00\x00\x0a0006572982", reply=True)
    )
    assert b"30 30 30 36 35 37" not in file.getvalue()
    [event, _] = trace_events([file.getvalue()], OsdpSettings(port="p"))
    assert isinstance(event, CardRead)
    assert is_trace(file.getvalue())
    assert not is_trace(b'{"capture":1}')


def test_lines_of_other_tools_are_understood() -> None:
    line = (
        b'{ "timeSec" : "1580342115", "timeNano" : "984691851", "io" : "trace", '
        b'"data" : " ff ff 53 80 08 00 01 4b 01 d8", "osdpTraceVersion":"1", "osdpSource":"libosdp-conformance" }'
    )
    record = parse(line)
    assert record == PassedBytes(1580342115984691851, "", bytes.fromhex("ffff53800800014b01d8"))
    assert isinstance(record, PassedBytes)
    assert parse(encode(record)) == record
    hyphens = line.replace(b" ff ff 53 80 08 00 01 4b 01 d8", b"FF-FF-53-80-08-00-01-4B-01-D8")
    assert parse(hyphens) == record
    assert isinstance(parse(b'{"timeSec":"x"}'), Fault)
    assert isinstance(parse(b"\xff"), Fault)


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "is empty"), ("00" * 15, "32 hex digits"), ("zz" * 16, "32 hex"), (bytes(range(48, 64)).hex(), "knows")],
)
def test_a_key_file_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "reader.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(NotSupported, match=why):
        osdp_key.load(path)


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reader.key"
    key = osdp_key.create(path)
    assert osdp_key.load(path) == key
    path.chmod(0o644)
    with pytest.raises(NotSupported, match="chmod"):
        osdp_key.load(path)
    with pytest.raises(NotSupported, match="exists"):
        osdp_key.create(path)


def test_a_plain_name_stands_in_the_credentials_folder(tmp_path: Path) -> None:
    assert osdp_key.key_path("osdp", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / "osdp"
    with pytest.raises(NotSupported, match="credentials"):
        osdp_key.key_path("osdp", {})
