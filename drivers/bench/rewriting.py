"""Puts another number into frames of each protocol, for `redaction`: same length, checksums that hold.

Text keeps its form: decimals stay decimals, hex stays hex, letters stay letters, so that a capture of it plays again
and shows the same faults. What is not understood is not kept.
"""

import re
from collections.abc import Callable

from drivers.protocols import hid, line, pn532, wiegand
from drivers.readings import Technology

Pseudonym = Callable[[Technology, bytes], bytes]
"""A number in ISO order → another of the same length, always the same for the same number."""

_DIGITS, _UPPER, _LOWER = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_PIECE = 16  # characters that share a digest
_SOUND_PN532 = frozenset({0x03, 0x15, 0x17, 0x33})  # answers about the chip, not about a card
_LINE_END = re.compile(rb"\x02[0-9A-Za-z]{1,64}\x03[\x00-\xff]|[\r\n]")


def text(content: str, pseudonym: Pseudonym) -> str:
    """Returns another content in the same form. A character beyond ASCII becomes as many `x` as it has bytes."""
    if re.fullmatch("[0-9]{10}", content) and int(content) < 1 << 32:
        return f"{int.from_bytes(pseudonym(Technology.UNKNOWN, int(content).to_bytes(4, 'big')), 'big'):010d}"
    if (pair := re.fullmatch("([0-9]{3}),([0-9]{5})", content)) and int(pair[1]) < 1 << 8 and int(pair[2]) < 1 << 16:
        value = pseudonym(Technology.UNKNOWN, bytes((int(pair[1]),)) + int(pair[2]).to_bytes(2, "big"))
        return f"{value[0]:03d},{int.from_bytes(value[1:], 'big'):05d}"
    if len(content) in wiegand.SIZES and set(content) <= set("01"):
        match wiegand.frame(content, len(content)):
            case wiegand.WiegandCard(value=value):
                changed = pseudonym(Technology.UNKNOWN, value)
                return wiegand.encode_bare(changed) if len(content) == wiegand.BARE else wiegand.encode(changed)
        return "x" * len(content)
    if re.fullmatch("(?:[0-9A-Fa-f]{2}){3,10}", content) and not content.isdigit():
        value = bytes.fromhex(content)
        technology = Technology.ISO14443A if len(value) in (4, 7) else Technology.UNKNOWN
        digits = pseudonym(technology, value).hex()
        return digits if content == content.lower() else digits.upper()
    return "".join(_letters(content[start : start + _PIECE], pseudonym) for start in range(0, len(content), _PIECE))


def _letters(piece: str, pseudonym: Pseudonym) -> str:
    # the first byte of a number is no secret there: here it is a filler
    digest = pseudonym(Technology.UNKNOWN, b"\0" + piece.encode("utf-8", "replace")[: _PIECE + 14])[1:]
    return "".join(_letter(character, digest[position % len(digest)]) for position, character in enumerate(piece))


def _letter(character: str, chance: int) -> str:
    for alphabet in (_DIGITS, _UPPER, _LOWER):
        if character in alphabet:
            return alphabet[chance % len(alphabet)]
    return character if character.isascii() else "x" * len(character.encode("utf-8", "replace"))


def line_ends(data: bytes) -> list[int]:
    """Returns where the lines and blocks end."""
    return [match.end() for match in _LINE_END.finditer(data)]


def line_record(record: bytes, pseudonym: Pseudonym) -> bytes | None:
    """Rewrites a line with its end, or a block with what stands before it."""
    match line.Decoder(blocks=True).feed(record)[-1:]:
        case [line.LineText(content=content, block=True)]:
            block = line.encode_block(text(content.decode("ascii"), pseudonym).encode())
            return b"x" * (len(record) - len(block)) + block
    body, end = record[:-1], record[-1:]
    try:
        said = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if end not in (b"\r", b"\n") or any(character != "\x1d" and not character.isprintable() for character in said):
        return None
    aim = said[:3] if re.match(r"\][A-Za-z][0-9A-Za-z]", said) else ""
    return (aim + text(said[len(aim) :], pseudonym)).encode() + end


def pn532_ends(data: bytes) -> list[int]:
    return [end for _, end, _ in pn532.frames(data)]


def pn532_record(record: bytes, pseudonym: Pseudonym) -> bytes | None:
    """Rewrites a frame with what stands before it. Of unknown answers only the length is kept."""
    frames = list(pn532.frames(record))
    if not frames or frames[-1][1] != len(record):
        return None
    start, _, event = frames[-1]
    before = bytes(byte if byte == 0 else ord("x") for byte in record[:start])
    if not isinstance(event, pn532.Pn532Frame):
        return before + record[start:]
    frame = pn532.encode(event.sender, _pn532_body(event.body, pseudonym))[1:-1]
    return before + frame if len(frame) == len(record) - start else None


def _pn532_body(body: bytes, pseudonym: Pseudonym) -> bytes:
    cards = pn532.targets(body[1:]) if body[0] == pn532.Command.IN_LIST_PASSIVE_TARGET + 1 else ()
    match cards:
        case []:
            return body if body[0] in _SOUND_PN532 or len(body) == 2 else body[:1] + bytes(len(body) - 1)
        case [pn532.Pn532Target() as card]:
            start = body.index(card.uid, 3)
            technology = Technology.ISO14443A if card.iso14443a else Technology.UNKNOWN
            behind = body[start + len(card.uid) :]
            return body[:start] + pseudonym(technology, card.uid) + behind[:1] + bytes(len(behind[1:]))
    return body[:1] + bytes(len(body) - 1)


def find_hid_text_ends(data: bytes) -> list[int]:
    """Returns the place behind each press of Enter, and behind each event before a text begins. Events have this
    machine's size.
    """
    typing, ends = False, []
    for start, event in hid.struct_events(data, hid.SIZE_HERE):
        match event:
            case None:
                typing = True  # not from a kernel: nothing of it is kept up to the next Enter
            case hid.EV_KEY, code, 1:
                typing = code not in hid.ENTERS and (typing or bool(hid.character(code)))
        if not typing:
            ends.append(start + hid.SIZE_HERE)
    return ends


def redact_hid_record(record: bytes, pseudonym: Pseudonym) -> bytes | None:
    """Rewrites the events of one text. The keyboard's messages about its own switches (MSC) are the same for each
    key.
    """
    size = hid.SIZE_HERE
    match hid.Decoder(size=size).feed(record):
        case [line.LineText(content=content)]:
            typed = iter(text(content.decode("ascii"), pseudonym))
        case []:
            typed = iter("")
        case _:
            return None
    out, now = bytearray(record), dict[int, int]()
    for start, event in hid.struct_events(record, size):
        if event is None:
            return None
        kind, code, value = event
        if kind == hid.EV_MSC:
            hid.set_event(out, start, size, code, 0x70000)
        elif kind == hid.EV_KEY and hid.character(code):
            if value == 1:
                now[code] = hid.key_for(next(typed), keypad=code in hid.KEYPAD)  # keypad for keypad, row for row
            hid.set_event(out, start, size, now.get(code, 0), value)
    return bytes(out)
