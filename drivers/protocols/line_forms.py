"""How converters and scanners write a card's number into a line, one form each, and what the line then means.

dec10      0000123478          ten decimals: the low 32 bits                  S4A, most keyboard readers
hex        0F0184F07A          every byte of the number: 4, 5, 7 or 10        Parallax 28140
w26-hex    1293D8              six hex digits; seven with the parity bits     priority1 WIE232
w34-hex    7186A61E            eight hex digits; nine with the parity bits
w26-dec    018,37837           facility,number
w26-bits   0000100101…         bits with their parities, see `wiegand`
w34-bits
w32-bits                       32 bits without parities
w58-bits                       the seven bytes of a whole number between parities
block      STX 10 or 8 digits ETX LRC                                         IDTECK SR30
code       any text            a bar code or a QR code
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from drivers.protocols import wiegand
from drivers.protocols.fault import Fault, judge_line
from drivers.protocols.hid import retyped
from drivers.protocols.line import AIM_ID, Code, LineText, code
from drivers.readings import FaultCause, Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, UidEncoding, from_roster, to_uid

Meaning = Uid | RejectedNumber | Code | Fault

NUMBER_MAX = 64  # characters of the longest number, and noise before it that is still looked at


class Form(StrEnum):
    DEC10 = "dec10"
    HEX = "hex"
    W26_HEX = "w26-hex"
    W34_HEX = "w34-hex"
    W26_DEC = "w26-dec"
    W26_BITS = "w26-bits"
    W34_BITS = "w34-bits"
    W32_BITS = "w32-bits"
    W58_BITS = "w58-bits"
    BLOCK = "block"
    CODE = "code"


def _ending(pattern: str) -> re.Pattern[str]:
    """Returns the pattern at the end of a line; no digit or letter may stand directly before it."""
    return re.compile(rf"(?<![0-9A-Za-z])(?:{pattern})$", re.ASCII)


_NUMBERS: Mapping[Form, re.Pattern[str]] = {
    Form.DEC10: _ending("[0-9]{10}"),
    Form.W26_DEC: _ending("[0-9]{1,3},[0-9]{1,5}"),
    Form.W26_HEX: _ending("[0-9A-Fa-f]{6,7}"),
    Form.W34_HEX: _ending("[0-9A-Fa-f]{8,9}"),
    Form.HEX: _ending("[0-9A-Fa-f]{8}|[0-9A-Fa-f]{10}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20}"),
    Form.W26_BITS: _ending("[01]{16,30}"),
    Form.W34_BITS: _ending("[01]{31,40}"),
    Form.W32_BITS: _ending("[01]{28,40}"),
    Form.W58_BITS: _ending("[01]{50,64}"),
}
_BITS = {Form.W26_BITS: 26, Form.W34_BITS: 34, Form.W32_BITS: 32, Form.W58_BITS: 58}


def meaning(
    text: LineText, form: Form, encoding: UidEncoding | None = None, technology: Technology = Technology.UNKNOWN
) -> Meaning:
    """Returns the meaning of a line of this form. `encoding` is how the reader writes the number, where the form leaves
    a choice; `technology` that of the cards, where the school has one kind only.
    """
    if form is Form.CODE:
        return code(text.content)
    if form is Form.BLOCK:
        return _block(text.content) if text.block else Fault("a line outside a block")
    number = _number(text.content, form)
    if number is None:
        return Fault(f"a line that is no {form}: check the form in the settings of this reader", _cause(text.content))
    match form:
        case Form.W26_HEX | Form.W34_HEX:
            return _wiegand_hex(number, 26 if form is Form.W26_HEX else 34, encoding, technology)
        case Form.W26_BITS | Form.W34_BITS | Form.W32_BITS | Form.W58_BITS:
            return _from_bits(number, _BITS[form], encoding, technology)
        case Form.W26_DEC:
            return to_uid(number, UidEncoding.W26, technology)
        case _:
            return to_uid(number, encoding or UidEncoding(form.value), technology)


def _cause(content: bytes) -> FaultCause:
    return FaultCause.SETTINGS if judge_line(content) is FaultCause.CARD else FaultCause.LINE


def guess(text: LineText, *, typed: bool = False) -> Meaning:
    """Returns the likeliest meaning of a line whose form nobody knows. It is for people who look, never for a reader at
    work.

    `typed`: by a keyboard reader, which prints whole numbers and no Wiegand.
    """
    if text.block:
        return _block(text.content)
    content = _retyped(text.content)
    if AIM_ID.match(content) is None:
        for form, only_with_letters in _TYPED_ORDER if typed else _LINE_ORDER:
            number = _number(content, form)
            if number is None or (number.isdigit() and len(number) in only_with_letters):
                continue
            card_number = meaning(LineText(content), form)
            if isinstance(card_number, RejectedNumber) and form is Form.HEX and len(number) == 10:
                # five bytes are likelier a tag's than four bytes and their check byte
                card_number = from_roster(UidNotation.FULL, number)
            if not isinstance(card_number, RejectedNumber):
                return card_number
    return code(content)


_LINE_ORDER: tuple[tuple[Form, tuple[int, ...]], ...] = (
    (Form.DEC10, ()),
    (Form.W26_BITS, ()),
    (Form.W34_BITS, ()),
    (Form.W58_BITS, ()),
    (Form.W26_DEC, ()),
    (Form.W26_HEX, (7,)),
    (Form.W34_HEX, (9,)),
    (Form.HEX, (10, 14, 20)),  # 14 decimals are rather the bar code of a box than the number of a card
)
_TYPED_ORDER: tuple[tuple[Form, tuple[int, ...]], ...] = (
    (Form.DEC10, ()),
    (Form.W26_DEC, ()),
    (Form.HEX, (8, 10, 14, 20)),  # eight decimals may be 3+5 digits as well
)


def _number(content: bytes, form: Form) -> str | None:
    match = _NUMBERS[form].search(content.decode("latin-1").rstrip(" \t\x00\x03")[-NUMBER_MAX:])
    return match[0] if match else None


def _retyped(content: bytes) -> bytes:
    """Puts a text back on the keys where that makes a number of it; a code in Kazakh stays as it is."""
    if content.isascii():
        return content
    try:
        keys = retyped(content.decode("utf-8").strip())
    except UnicodeDecodeError:
        return content
    return keys.encode() if re.fullmatch("[0-9A-Fa-f]+", keys) else content


def _block(content: bytes) -> Meaning:
    number = content.decode("latin-1")
    if re.fullmatch("[0-9]{10}", number):
        return to_uid(number, UidEncoding.DEC10)
    if re.fullmatch("[0-9]{8}", number):
        return to_uid(f"{number[:3]},{number[3:]}", UidEncoding.W26)
    return Fault("a block without 8 or 10 digits", FaultCause.SETTINGS)


def _wiegand_hex(number: str, size: int, encoding: UidEncoding | None, technology: Technology) -> Meaning:
    with_parity = len(number) % 2
    if with_parity:
        return _from_bits(f"{int(number, 16):0{size}b}", size, encoding, technology)
    return wiegand.to_uid(bytes.fromhex(number), encoding, technology)


def _from_bits(bits: str, size: int, encoding: UidEncoding | None, technology: Technology) -> Meaning:
    match wiegand.frame(bits, size):
        case wiegand.WiegandCard(value=value):
            return wiegand.to_uid(value, encoding, technology)
        case Fault() as fault:
            return fault


ENCODINGS: Mapping[Form, tuple[UidEncoding, ...]] = {
    Form.DEC10: (UidEncoding.DEC10, UidEncoding.DEC10_REVERSED),
    Form.HEX: (
        UidEncoding.HEX,
        UidEncoding.HEX_REVERSED,
        UidEncoding.HEX_INVERTED,
        UidEncoding.HEX_BCC,
        UidEncoding.IRONLOGIC,
    ),
    Form.W34_HEX: (UidEncoding.W34, UidEncoding.W34_REVERSED),
    Form.W34_BITS: (UidEncoding.W34, UidEncoding.W34_REVERSED),
    Form.W32_BITS: (UidEncoding.W34, UidEncoding.W34_REVERSED),
    Form.W58_BITS: (UidEncoding.HEX, UidEncoding.HEX_REVERSED),
}
"""Where a form leaves a choice, the first is what it means without a setting."""
