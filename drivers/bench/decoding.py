"""Decodes bytes of a protocol for `devices decode`: one JSON object a line. It opens no device and reads no clock.

    {"event":"read","uid":"1F00644BB6","bits":40,"tech":"em4100","partial":false}
    {"event":"removed"}
    {"event":"code","text":"https://…"}
    {"event":"match","number":"1001","time":"2026-11-20 09:40:15","state":0,"method":"palm"}
    {"event":"fault","what":"a checksum is wrong"}

A held card repeats its frame: equal reads that directly follow one another are one line. The numbers are whole: this
is for the technician who asked for them, never for a log. Wiegand frames are written as 0 and 1, a line each; of lines
and typed text the form is guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from drivers.errors import NotSupported
from drivers.protocols import (
    em4100,
    hid,
    ironlogic,
    line,
    line_forms,
    osdp,
    osdp_secure,
    osdpcap,
    pcsc,
    pn532,
    wiegand,
    zk_attlog,
)
from drivers.protocols.fault import Fault
from drivers.protocols.keypad import KeyPresses
from drivers.protocols.osdp_card import WHOLE_BITS, card_uid
from drivers.readings import Technology, Uid
from drivers.settings import nearest
from drivers.uid import RejectedNumber, UidEncoding, from_bytes, whole


class Read(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="read"):
    uid: str
    bits: int
    tech: str
    partial: bool

    def __repr__(self) -> str:
        return f"Read({self.tech}/{self.bits})"


class DecodedRemoval(msgspec.Struct, frozen=True, tag_field="event", tag="removed"):
    pass


class CodeFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="code"):
    text: str

    def __repr__(self) -> str:
        return f"CodeFound({len(self.text)} characters)"


class DecodedMatch(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="match"):
    """A match of a palm terminal. `time` is the terminal's own, as it wrote it; `method` is `unknown` for a code on no
    list.
    """

    number: str
    time: str
    state: int
    method: str


class FaultFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="fault"):
    what: str


DecodedLine = Read | DecodedRemoval | CodeFound | DecodedMatch | FaultFound


@dataclass(frozen=True, slots=True)
class Decoding:
    """One protocol's decoder at work."""

    feed: Callable[[bytes], Iterable[DecodedLine]]
    end: Callable[[], Iterable[DecodedLine]]


def _em4100() -> Decoding:
    decoder = em4100.Decoder()

    def lines(events: Sequence[em4100.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event:
                case em4100.Tag(value=value):
                    yield _read(from_bytes(value, UidEncoding.HEX, Technology.EM4100))
                case Fault(what=what):
                    yield FaultFound(what=what)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def _ironlogic() -> Decoding:
    decoder = ironlogic.Decoder()

    def lines(events: Sequence[ironlogic.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event:
                case ironlogic.IronLogicCard(technology=technology, printed=printed):
                    yield _read(from_bytes(printed, UidEncoding.IRONLOGIC, technology))
                case ironlogic.IronLogicCardRemoved():
                    yield DecodedRemoval()
                case Fault(what=what):
                    yield FaultFound(what=what)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def _pn532() -> Decoding:
    decoder = pn532.Decoder()

    def lines(events: Sequence[pn532.Event]) -> Iterator[DecodedLine]:
        for event in events:
            if isinstance(event, Fault):
                yield FaultFound(what=event.what)
            elif isinstance(event, pn532.Pn532Frame) and event.sender == pn532.CHIP and event.body[0] == 0x4B:
                cards = pn532.targets(event.body[1:])  # what was found in the field
                if isinstance(cards, Fault):
                    yield FaultFound(what=cards.what)
                    continue
                for card in cards:
                    yield _read(whole(Technology.ISO14443A if card.iso14443a else Technology.UNKNOWN, card.uid))

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def osdp_decoding(scbk: bytes | None = None) -> Decoding:
    """Decodes both directions as they pass on the bus, or an OSDPCAP file. `scbk` is the reader's key. Without it the
    content of a secure channel stays hidden, and one line says so.
    """
    stream = osdpcap.OsdpStream(scbk)
    before = ""

    def line(card: osdp.OsdpCard | osdp.Characters) -> DecodedLine:
        uid = card_uid(card)
        if (
            isinstance(uid, RejectedNumber)
            and isinstance(card, osdp.OsdpCard)
            and card.bits not in WHOLE_BITS
            and any(card.data)
        ):
            # a format of its maker: shown as it was sent, which is no card's number
            return Read(uid=card.data.hex().upper(), bits=card.bits, tech=Technology.UNKNOWN.value, partial=True)
        return _read(uid)

    def lines(events: Sequence[osdp_secure.Opened | Fault]) -> Iterator[DecodedLine]:
        nonlocal before
        for event in events:
            match event:
                case osdp_secure.Opened(packet=packet, data=data):
                    card = osdp.parse_card(packet.code, data) if packet.reply else None
                    if isinstance(card, Fault):
                        yield FaultFound(what=card.what)
                    elif card is not None and not isinstance(card, KeyPresses):  # a PIN is shown to nobody
                        yield line(card)
                case Fault(what=what):
                    if what != before or scbk is not None:
                        yield FaultFound(what=what)
                    before = what

    return Decoding(lambda data: lines(stream.feed(data)), lambda: lines(stream.flush()))


def _wiegand(size: int) -> Decoding:
    decoder = wiegand.Decoder(size)

    def lines(events: Sequence[wiegand.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event:
                case wiegand.WiegandCard(value=value):
                    yield _read(wiegand.to_uid(value))
                case Fault(what=what):
                    yield FaultFound(what=what)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def _texts(decoder: line.Decoder | hid.Decoder, *, typed: bool) -> Decoding:
    def lines(events: Sequence[line.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event if isinstance(event, Fault) else line_forms.guess(event, typed=typed):
                case line.Code(text=text):
                    yield CodeFound(text=text)
                case Fault(what=what):
                    yield FaultFound(what=what)
                case uid:
                    yield _read(uid)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def _zk_attlog() -> Decoding:
    decoder = zk_attlog.Decoder()

    def lines(events: Sequence[zk_attlog.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event:
                case zk_attlog.Punch(number=number, time=time, state=state):
                    yield DecodedMatch(number=number, time=time, state=state, method=event.method("unknown"))
                case Fault(what=what):
                    yield FaultFound(what=what)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


def _pcsc() -> Decoding:
    decoder = pcsc.Decoder()

    def lines(events: Sequence[pcsc.Event]) -> Iterator[DecodedLine]:
        for event in events:
            match event:
                case pcsc.PcscCard(technology=technology, uid=uid):
                    yield _read(whole(technology, uid))
                case pcsc.PcscCardRemoved():
                    yield DecodedRemoval()
                case Fault(what=what):
                    yield FaultFound(what=what)

    return Decoding(lambda data: lines(decoder.feed(data)), lambda: lines(decoder.flush()))


PROTOCOLS: Mapping[str, Callable[[], Decoding]] = {
    "em4100": _em4100,
    "ironlogic": _ironlogic,
    "pn532": _pn532,
    "osdp": osdp_decoding,
    "pcsc": _pcsc,
    "wiegand26": lambda: _wiegand(26),
    "wiegand34": lambda: _wiegand(34),
    "wiegand32": lambda: _wiegand(32),
    "wiegand58": lambda: _wiegand(58),
    "line": lambda: _texts(line.Decoder(blocks=True), typed=False),
    "hid": lambda: _texts(hid.Decoder(), typed=True),
    "zk-attlog": _zk_attlog,
}


def start(protocol: str, scbk: bytes | None = None) -> Decoding:
    """Returns a decoder at the start of a stream. `scbk` is an OSDP reader's key. Raises NotSupported for an unknown
    protocol.
    """
    if protocol not in PROTOCOLS:
        raise NotSupported(f"no protocol is named {protocol!r}: {nearest(protocol, PROTOCOLS)}")
    if scbk is None:
        return PROTOCOLS[protocol]()
    if protocol != "osdp":
        raise NotSupported(f"{protocol} has no secure channel: leave the key out")
    return osdp_decoding(scbk)


def decode(protocol: str, chunks: Iterable[bytes], scbk: bytes | None = None) -> Iterator[DecodedLine]:
    """Yields the lines of a stream, however it is cut. `scbk` is an OSDP reader's key. Raises NotSupported at once for
    an unknown protocol.
    """
    return _without_repeats(_all(start(protocol, scbk), chunks))


def to_json(line: DecodedLine) -> bytes:
    return msgspec.json.encode(line)


def _all(decoding: Decoding, chunks: Iterable[bytes]) -> Iterator[DecodedLine]:
    for chunk in chunks:
        yield from decoding.feed(chunk)
    yield from decoding.end()


def _without_repeats(lines: Iterable[DecodedLine]) -> Iterator[DecodedLine]:
    before: DecodedLine | None = None
    for decoded_line in lines:
        if not (isinstance(decoded_line, Read) and decoded_line == before):
            yield decoded_line
        before = decoded_line


def _read(uid: Uid | RejectedNumber) -> DecodedLine:
    match uid:
        case Uid():
            return Read(uid=uid.hex, bits=uid.bits, tech=uid.technology.value, partial=uid.partial)
        case RejectedNumber(why=why):
            return FaultFound(what=why)
