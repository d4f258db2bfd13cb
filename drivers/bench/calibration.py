"""Finds a reader's `uid_encoding` from one card whose number is known: printed on it, or shown by another reader.

The card is read with whatever setting the reader has now; what the reader must have sent for it is read again under
every other setting, and those under which it is the known card are candidates. One candidate is the answer. Several
are shown and none is taken: a decimal number of a Mifare card says nothing of the order of its bytes, and a second
card or the number in hex settles it.
"""

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from drivers.base import DriverSettings
from drivers.errors import NotSupported
from drivers.protocols.line_forms import ENCODINGS
from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, UidEncoding, own, same_card, to_uid

SETTING = "uid_encoding"
_PRINTED_MAX = 64
_DECIMAL = re.compile("[0-9]{10}", re.ASCII)  # as most cards have it printed
_AS_HEX = "hex"


@dataclass(frozen=True, slots=True)
class EncodingCandidate:
    """A setting under which the card has the known number, and the meaning that the known number then has."""

    encoding: UidEncoding
    how: str
    partial: bool  # the reader passes on a part of the number only, and several cards may have it


@dataclass(frozen=True, slots=True)
class Fits:
    """The one setting that fits."""

    candidate: EncodingCandidate

    @property
    def settings(self) -> Mapping[str, str]:
        """Returns the entry for the reader's table in the settings file."""
        return {SETTING: self.candidate.encoding.value}


@dataclass(frozen=True, slots=True)
class SeveralFit:
    """Several settings fit. Nothing is written; `what_next` says how to find the right one."""

    candidates: tuple[EncodingCandidate, ...]
    what_next: str


@dataclass(frozen=True, slots=True)
class NoneFits:
    what_next: str


Outcome = Fits | SeveralFit | NoneFits


def accepted(settings: type[DriverSettings]) -> tuple[UidEncoding, ...]:
    """Returns the encodings that a driver's settings take. Raises NotSupported for a driver that has no such
    setting.
    """
    hint = typing.get_type_hints(settings).get(SETTING)
    if hint is None:
        raise NotSupported(f"this driver has no {SETTING}: its numbers need none")
    encodings = {encoding.value for encoding in UidEncoding}  # some drivers have words of their own beside these
    return tuple(UidEncoding(value) for value in _values(hint) if value in encodings)


def choice(options: DriverSettings) -> tuple[UidEncoding, Sequence[UidEncoding]]:
    """Returns how this reader's numbers are read now, and every way that its settings allow. Raises NotSupported where
    they leave no choice.
    """
    from drivers.cards.line import LineSettings

    if not isinstance(options, LineSettings):
        encodings = accepted(type(options))
        return UidEncoding(getattr(options, SETTING)), encodings
    encodings = accepted(LineSettings) if options.pattern else ENCODINGS.get(options.form, ())
    if not encodings:
        raise NotSupported(f'form = "{options.form}" says already how a number is written: there is nothing to find')
    return (encodings[0] if options.uid_encoding == "form" else UidEncoding(options.uid_encoding)), encodings


def calibrate(number: str, read: Uid, now: UidEncoding, encodings: Sequence[UidEncoding]) -> Outcome:
    """Finds which of a reader's `encodings` fits, when it read the card `number` as `read` under its setting `now`.

    `known` is as people write it: 0006572982, 100,19382, 10019382, 1F00644BB6, 04:A3:C6:CA, or several of these apart
    by blanks, which must all hold. Ten decimals are taken for hex only where they fit as no decimal number. Raises
    NotSupported when it is no number at all.
    """
    return calibrate_all([(number, read)], now, encodings)


def calibrate_all(cards: Sequence[tuple[str, Uid]], now: UidEncoding, encodings: Sequence[UidEncoding]) -> Outcome:
    """Finds the one encoding that fits several cards, each a known number and its reading. See `calibrate`."""
    return _outcome([_candidates(number, _uids_by_encoding(read, now, encodings)) for number, read in cards], now)


def calibrate_from(number: str, readings: Mapping[UidEncoding, Uid], now: UidEncoding) -> Outcome:
    """Finds the encoding that fits a card which the setting `now` could not read, from its readings under the other
    settings.
    """
    return _outcome([_candidates(number, readings)], now)


def _outcome(candidates_by_card: Sequence[Sequence[EncodingCandidate]], now: UidEncoding) -> Outcome:
    common = [
        candidate
        for candidate in candidates_by_card[0]
        if all(candidate.encoding in {alternative.encoding for alternative in more} for more in candidates_by_card[1:])
    ]
    if {UidEncoding.HEX, UidEncoding.IRONLOGIC} <= {candidate.encoding for candidate in common}:
        # They differ for numbers of seven bytes only, so that this card is read alike: the setting may stay.
        alternative = UidEncoding.HEX if now is UidEncoding.IRONLOGIC else UidEncoding.IRONLOGIC
        common = [candidate for candidate in common if candidate.encoding is not alternative]
    match common:
        case []:
            return NoneFits("no setting of this reader gives that number: check that it is this card's, digit by digit")
        case [candidate]:
            return Fits(candidate)
        case _:
            return SeveralFit(
                tuple(common),
                "several settings fit: take the one that you know to be right, or give the number in hex with colons "
                "(04:A3:C6:CA), as a phone or another reader shows it, or take another card",
            )


def _uids_by_encoding(read: Uid, now: UidEncoding, encodings: Sequence[UidEncoding]) -> Mapping[UidEncoding, Uid]:
    uids = {encoding: _under(read, now, encoding) for encoding in encodings}
    return {encoding: uid for encoding, uid in uids.items() if uid is not None}


def _candidates(number: str, readings: Mapping[UidEncoding, Uid]) -> list[EncodingCandidate]:
    words = number.split()
    if not words or len(number) > _PRINTED_MAX:
        raise NotSupported("give the number as it stands on the card, such as 0006572982 or 100,19382")
    technology = next((uid.technology for uid in readings.values()), Technology.UNKNOWN)
    meanings = [list(_meanings(word, technology)) for word in words]
    for word, possible in zip(words, meanings, strict=True):
        if not possible:
            raise NotSupported(f"{word!r} is no card's number: decimal, facility,number, or pairs of hex digits")
    printed = [
        [meaning for meaning in possible if meaning[1] != _AS_HEX] if _DECIMAL.fullmatch(word) else possible
        for word, possible in zip(words, meanings, strict=True)
    ]
    return list(_fitting(readings, printed)) or list(_fitting(readings, meanings))


def _fitting(
    readings: Mapping[UidEncoding, Uid], words: Sequence[Sequence[tuple[Uid, str]]]
) -> Iterator[EncodingCandidate]:
    for encoding, uid in readings.items():
        hows = [next((how for meant, how in possible if _agree(meant, uid)), "") for possible in words]
        if all(hows):
            yield EncodingCandidate(encoding, ", ".join(hows), uid.partial)


def _meanings(word: str, technology: Technology) -> Iterator[tuple[Uid, str]]:
    """Yields every meaning that a number as people write it may have, and how it was read for that."""
    ways = [(word, UidEncoding.DEC10, "decimal of its low 32 bits"), (word, UidEncoding.W26, "facility,number (3+5)")]
    if re.fullmatch(r"\d{8}", word):
        ways.append((f"{word[:3]},{word[3:]}", UidEncoding.W26, "facility and number (3+5) without the comma"))
    ways.append((re.sub(r"[:.-]", "", word), UidEncoding.HEX, _AS_HEX))
    for text, encoding, how in ways:
        meant = to_uid(text, encoding, technology if encoding is not UidEncoding.HEX else Technology.UNKNOWN)
        if isinstance(meant, Uid):
            yield meant, how


def _agree(meant: Uid, uid: Uid) -> bool:
    """Tells if the known number is this card's: in hex to the byte, unless one of the two is only a part."""
    if not meant.partial and not uid.partial:
        return meant.value in (uid.value, uid.value[1:] if len(uid.value) == 5 else uid.value)  # with or without prefix
    if uid.partial and len(meant.value) in (4, 5) and len(uid.value) == 4 and not meant.partial:
        return uid.value == meant.value[-4:]  # all bytes are known, and so is their order
    if meant.partial and _in_order_only(uid):
        return int.from_bytes(meant.value, "big") == int.from_bytes(uid.value[-len(meant.value) :], "big")
    return same_card(meant, uid)


def _in_order_only(uid: Uid) -> bool:
    """Tells if this card's low bits are always printed in order, as on EM cards. On others the order depends on the
    printer.
    """
    return uid.technology is Technology.EM4100 or len(uid.value) == 5


def _under(read: Uid, now: UidEncoding, wanted: UidEncoding) -> Uid | None:
    """Returns the number that a card read under the setting `now` has under another one, or None where it would be no
    card.
    """
    if wanted is now:
        return read
    raw = _raw(read, now)
    if raw is None:
        return None
    uid = to_uid(raw, wanted, read.technology)
    return None if isinstance(uid, RejectedNumber) else uid


def _raw(uid: Uid, encoding: UidEncoding) -> str | None:
    """Returns the text that the reader sent, which is `to_uid` backwards. None where this setting cannot give the
    reading.
    """
    value = uid.value
    match encoding:
        case UidEncoding.HEX_REVERSED | UidEncoding.W34_REVERSED:
            value = value[::-1]
        case UidEncoding.HEX_INVERTED:
            value = bytes(int(f"{byte:08b}"[::-1], 2) ^ 0xFF for byte in value)
        case UidEncoding.HEX_BCC:
            check = 0
            for byte in value:
                check ^= byte
            value += bytes((check,))
        case UidEncoding.IRONLOGIC:
            value = value[3:] + value[:3] if len(value) == 7 else value
        case UidEncoding.HEX | UidEncoding.W34:
            pass
        case UidEncoding.DEC10 | UidEncoding.DEC10_REVERSED:
            order: typing.Literal["big", "little"] = "big" if encoding is UidEncoding.DEC10 else "little"
            return f"{int.from_bytes(value, order):010d}" if len(value) == 4 else None
        case UidEncoding.W26:
            return str(own(uid)) if uid.notation is UidNotation.W26 else None
        case _:
            assert_never(encoding)
    if uid.notation is UidNotation.W26:  # it came behind parity bits, under any setting
        return None
    return value.hex()


def _values(hint: object) -> Iterator[str]:
    """Yields the strings of a Literal or the members of an enum, also where the hint is annotated or a union."""
    match hint:
        case type() if issubclass(hint, UidEncoding):
            yield from (member.value for member in hint)
        case str():
            yield hint
        case types.UnionType() | _:
            for part in typing.get_args(hint):
                yield from _values(part)
