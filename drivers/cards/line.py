"""Scanners on USB-CDC and Wiegand converters: whatever sends lines of text. See `drivers.protocols.line_forms`.

`form` names what a line looks like; `pattern` is for a device that no form fits, a regular expression for the whole
line with a group `card` or `code` in it:

    form = "code"                                                a QR or bar code scanner
    form = "w26-hex"                                             priority1 WIE232
    pattern = "Card=(?P<card>[0-9A-F]{14}) Door=[0-9]{1,2}"      and uid_encoding = "hex"

A scanner must be switched to USB-CDC (a virtual serial port) with a code from its manual, and replugged.
"""

import re
import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.texts import TextStream
from drivers.errors import NotSupported
from drivers.protocols import line, patterns
from drivers.protocols.fault import Fault, judge_line
from drivers.protocols.keypad import KeyPresses, wiegand_keys
from drivers.protocols.line import LineText
from drivers.protocols.line_forms import ENCODINGS, Form, Meaning, meaning
from drivers.readings import Technology
from drivers.transports.base import tapped
from drivers.transports.serial import Serial
from drivers.transports.serial import SerialLine as Wire
from drivers.uid import UidEncoding, to_uid

KEY_BITS_MAX = 24  # fewer than the frame of any card

Encoding = Literal[
    "form",
    "hex",
    "hex-reversed",
    "hex-inverted",
    "hex-bcc",
    "ironlogic",
    "dec10",
    "dec10-reversed",
    "w26",
    "w34",
    "w34-reversed",
]


class LineSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/… or /dev/serial/by-path/…
    form: Form = Form.CODE
    pattern: Annotated[str, Meta(max_length=patterns.PATTERN_MAX)] = ""  # instead of a form
    technology: Technology = Technology.UNKNOWN  # of the cards, where the school has one kind only
    uid_encoding: Encoding = "form"  # how a number is written, where the form or the pattern leaves a choice
    baud: Annotated[int, Meta(ge=1200, le=921_600)] = 9600
    stop_bits: Literal[1, 2] = 1
    keypad_bits: Literal[0, 4, 8] = 0  # of one key, where the forms w26-bits to w58-bits bring keys too; 0: no keypad
    idle_ms: Annotated[int, Meta(ge=10, le=5_000)] = 80  # a line without an end is over after this
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500  # the same again within this is no second reading
    line_bytes_max: Annotated[int, Meta(ge=16, le=line.LINE_BYTES_MAX)] = line.LINE_BYTES_MAX


class LineReader(TextStream):
    Settings: ClassVar[type[DriverSettings]] = LineSettings

    def __init__(
        self,
        name: str,
        settings: LineSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._settings = settings
        self._encoding = None if settings.uid_encoding == "form" else UidEncoding(settings.uid_encoding)
        self._pattern: re.Pattern[str] | None = None
        blocks = settings.form is Form.BLOCK and not settings.pattern
        super().__init__(
            name,
            tapped(transport or Serial(settings.port, Wire(settings.baud, settings.stop_bits)), tap),
            lambda: line.Decoder(blocks=blocks, line_bytes_max=settings.line_bytes_max),
            self._says,
            idle_ms=settings.idle_ms,
            hold_ms=settings.hold_ms,
            clock=clock,
        )

    def open(self) -> None:
        form, encoding = self._settings.form, self._encoding
        if self._settings.pattern:
            self._pattern = _checked(self._settings.pattern)
        elif encoding is not None and encoding not in ENCODINGS.get(form, ()):
            encodings = ", ".join(ENCODINGS.get(form, ())) or "none"
            raise NotSupported(f"uid_encoding: {encoding} does not go with form {form}; accepted: {encodings}")
        super().open()

    def _keys(self, text: LineText) -> KeyPresses | Fault | None:
        """Returns the keys in a line of bits that is shorter than any card's; None for another line."""
        bits = text.content.decode("latin-1").strip()
        is_burst = set(bits) <= {"0", "1"} and len(bits) < KEY_BITS_MAX and len(bits) % self._settings.keypad_bits == 0
        return wiegand_keys(bits, self._settings.keypad_bits) if is_burst else None

    def _says(self, text: LineText) -> Meaning | KeyPresses:
        if self._settings.keypad_bits and (keys := self._keys(text)) is not None:
            return keys
        if self._pattern is None:
            return meaning(text, self._settings.form, self._encoding, self._settings.technology)
        content = text.content.decode("utf-8", "replace")
        match = self._pattern.fullmatch(content) if len(content) <= patterns.TEXT_MAX else None
        if match is None:
            return Fault("a line that the pattern does not fit: correct it, or take a form", judge_line(text.content))
        groups = match.groupdict()
        if groups.get("card") is not None:
            return to_uid(groups["card"], self._encoding or UidEncoding.HEX, self._settings.technology)
        return line.code(groups["code"].encode()) if groups.get("code") else Fault("a line without card or code")


def _checked(pattern: str) -> re.Pattern[str]:
    try:
        compiled = patterns.bounded(pattern)
    except patterns.Unbounded as error:
        raise NotSupported(f"pattern: {error}") from error
    if not {"card", "code"} & set(compiled.groupindex):
        raise NotSupported("pattern: needs a group (?P<card>…) or (?P<code>…) that says what to take")
    return compiled
