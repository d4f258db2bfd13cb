"""Readers that type: USB keyboard wedges, as the kernel's input events (Linux, Documentation/input).

    struct input_event: sec, usec, type (2), code (2), value (4)      24 bytes on 64 bits, 16 on 32 bits

Keys are decoded, not characters: under a Kazakh or Russian layout `1` types a letter, but its key is the same. Where
only the typed text is left, `retyped` puts it back on the keys.
- Digits come from the row or from the keypad; scanners press NumLock and Shift in between.
- A key that is missing would make another number of this one: after lost events or keys without a character the whole
  text is a fault.
- The release of a Shift can be lost, in the kernel or on the wire. No Shift outlives the text in which it was pressed,
  nor a gap; a text in which it is not sure what was typed with Shift is a fault.
- Enter ends a text. Readers press a key every 4 to 16 ms, people need ten times as long: a gap of `gap_ms` ends it too.
"""

import struct
from collections.abc import Iterator, Sequence

from drivers.protocols.fault import Fault
from drivers.protocols.line import LINE_BYTES_MAX, LineText
from drivers.readings import FaultCause

GAP_MS = 200
SIZES = (24, 16)
SIZE_HERE = struct.calcsize("llHHi")  # of this machine
EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_DROPPED = 3
ENTERS = frozenset({28, 96})
SHIFTS = frozenset({42, 54})
_LOCKS = frozenset({58, 69, 70})  # Caps, Num, Scroll
_CHORDS = frozenset({29, 97, 56, 100, 125, 126})  # Ctrl, Alt, Meta: what is typed with them is no character

_LAYOUT = {24: struct.Struct("<qqHHi"), 16: struct.Struct("<IIHHi")}
# the highest code of each type that a keyboard sends; 17 is a lamp, 20 the repeat of keys
_TYPES = {EV_SYN: 3, EV_KEY: 0x2FF, 2: 0x0F, 3: 0x3F, EV_MSC: 7, 5: 0x10, 17: 0x0F, 18: 7, 20: 1}
_SECONDS_MAX = 1 << 33

_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (15, "\tqwertyuiop[]", "\tQWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
)
PLAIN = {first + offset: key for first, row, _ in _ROWS for offset, key in enumerate(row)}
SHIFTED = {first + offset: key for first, _, row in _ROWS for offset, key in enumerate(row)}
KEYPAD = dict(zip((71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 98, 55), "789-456+1230./*", strict=True))

_ROW_KEYS = {typed: code for keys in (SHIFTED, PLAIN) for code, typed in keys.items()}
_PAD_KEYS = {typed: code for code, typed in KEYPAD.items()}

_QWERTY = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_CYRILLIC = "йцукенгшщзхъфывапролджэячсмитьбю"
_KAZAKH_ROW = '"әіңғ,.үұқ'  # what 1 to 0 type under the layout `kz`
_RETYPED = str.maketrans(
    _KAZAKH_ROW + _CYRILLIC + _CYRILLIC.upper(), "1234567890" + _QWERTY + "".join(map(str.upper, _QWERTY))
)


def retyped(text: str) -> str:
    """Returns the text of the same keys under the US layout, for text typed under the Kazakh or the Russian one."""
    return text if text.isascii() else text.translate(_RETYPED)


def encode(text: str, *, size: int = 24, start_us: int = 0, key_us: int = 4_000, enter: bool = True) -> bytes:
    """Returns the events of a reader that types `text`."""
    codes = {character: (code, False) for code, character in PLAIN.items()}
    codes |= {character: (code, True) for code, character in SHIFTED.items() if character not in codes}
    out, now_us = bytearray(), start_us
    for code, shift in [codes[character] for character in text] + [(28, False)] * enter:
        keys = [(42, 1), (code, 1), (code, 0), (42, 0)] if shift else [(code, 1), (code, 0)]
        for key, value in keys:
            when = divmod(now_us, 1_000_000)
            out += _LAYOUT[size].pack(*when, EV_MSC, 4, 0x70000 + key)
            out += _LAYOUT[size].pack(*when, EV_KEY, key, value)
            out += _LAYOUT[size].pack(*when, EV_SYN, 0, 0)
        now_us += key_us
    return bytes(out)


_SHIFT_LOST = "a Shift key was pressed or let go unseen: present it again; where it comes often, change cable or socket"


class Typist:
    """Turns key events into texts and faults, by type, code, value and the event's own time alone."""

    def __init__(self, gap_ms: int = GAP_MS) -> None:
        self._gap_us = gap_ms * 1_000
        self._text = ""
        self._held: dict[int, int] = {}  # modifier keys that are down, and the characters typed since each went down
        self._damaged = ""
        self._last_us = 0

    @property
    def pending(self) -> bool:
        return bool(self._text or self._damaged)

    def event(self, kind: int, code: int, value: int, time_us: int) -> Iterator[LineText | Fault]:
        if kind == EV_SYN and code == SYN_DROPPED:
            self._damaged = "the kernel dropped keys: the number is incomplete"
            self._held.clear()
            return
        if kind != EV_KEY:
            return
        if time_us - self._last_us > self._gap_us:
            yield from self.end(ended=False)
        self._last_us = time_us
        if code in SHIFTS or code in _CHORDS:
            self._modified(code, value)
        elif value == 1 and code not in _LOCKS:
            yield from self._pressed(code)

    def end(self, *, ended: bool) -> Iterator[LineText | Fault]:
        """Yields the text, which has ended by Enter or by silence. A modifier that is still down lost its release."""
        for typed in self._held.values():
            self._doubt(typed)
        self._held.clear()
        text, damaged = self._text, self._damaged
        self._text = self._damaged = ""
        if damaged:
            yield Fault(damaged, FaultCause.CARD)
        elif text:
            yield LineText(text.encode("ascii"), ended=ended)

    def _modified(self, code: int, value: int) -> None:
        if value == 1:
            self._doubt(self._held.get(code, 0))
            self._held[code] = 0
        elif value == 0 and self._held.pop(code, None) is None and self._text:
            self._damaged = self._damaged or _SHIFT_LOST  # its press was

    def _doubt(self, typed: int) -> None:
        """Marks the text where a modifier's release was lost: only the first character behind its press is sure."""
        if typed > 1:
            self._damaged = self._damaged or _SHIFT_LOST

    def _pressed(self, code: int) -> Iterator[LineText | Fault]:
        if code in ENTERS:
            yield from self.end(ended=True)
            return
        for held in self._held:
            self._held[held] += 1
        shifted = not SHIFTS.isdisjoint(self._held)
        character = KEYPAD.get(code) or (SHIFTED if shifted else PLAIN).get(code)
        if character is None or not _CHORDS.isdisjoint(self._held):
            self._damaged = self._damaged or "a key without a character: set the reader to plain text"
        elif len(self._text) == LINE_BYTES_MAX:
            self._damaged = self._damaged or "a text is too long"
        else:
            self._text += character


class Decoder:
    """Turns bytes into texts and faults, however the bytes are cut.

    `size` of an event: 24, 16, or 0 to find out from the first events. Bytes that are no event are passed over one by
    one until events fit again.
    """

    def __init__(self, *, size: int = 0, gap_ms: int = GAP_MS) -> None:
        self._size = size
        self._typist = Typist(gap_ms)
        self._bytes = bytearray()
        self._rubbish = False

    @property
    def pending(self) -> bool:
        return self._typist.pending

    def feed(self, data: bytes) -> Sequence[LineText | Fault]:
        self._bytes += data
        return list(self._take(final=False))

    def flush(self) -> Sequence[LineText | Fault]:
        """Ends the stream, also after a silence: the typed text counts as it is, with `ended` False."""
        events = [*self._take(final=True), *self._typist.end(ended=False)]
        if self._bytes:
            events.append(Fault("an event broke off"))
            self._bytes.clear()
        return events

    def _take(self, *, final: bool) -> Iterator[LineText | Fault]:
        start = 0
        while len(self._bytes) - start >= (self._size or (min(SIZES) if final else _DETECT_BYTES)):
            size = self._size or _detected(self._bytes, start)
            event = _event(self._bytes, start, size) if size else None
            if event is None:
                start += 1
                if not self._rubbish:
                    self._rubbish = True
                    yield Fault("bytes that are no input events")
                continue
            self._size, self._rubbish = size, False
            start += size
            yield from self._typist.event(*event)
        del self._bytes[:start]


_DETECT_BYTES = 48  # two events of 24 bytes or three of 16: by chance nothing looks like both


def _detected(data: bytearray, start: int) -> int:
    """Returns the size of the events that begin here; 0 when none do."""
    for size in SIZES:
        available = min(len(data) - start, _DETECT_BYTES) // size
        if available and all(_event(data, start + size * number, size) for number in range(available)):
            return size
    return 0


def struct_events(data: bytes, size: int) -> Iterator[tuple[int, tuple[int, int, int] | None]]:
    """Yields where each event begins, and its type, code and value; None for bytes that no kernel sends."""
    held = bytearray(data)
    for start in range(0, len(data) - size + 1, size):
        event = _event(held, start, size)
        yield start, event and event[:3]


def set_event(data: bytearray, start: int, size: int, code: int, value: int) -> None:
    """Writes another code and value into the event that begins there."""
    seconds, micros, kind, _, _ = _LAYOUT[size].unpack_from(data, start)
    _LAYOUT[size].pack_into(data, start, seconds, micros, kind, code, value)


def character(code: int) -> str:
    """Returns the character that this key types without Shift; empty for a key that types nothing."""
    return KEYPAD.get(code) or PLAIN.get(code, "")


def key_for(typed: str, *, keypad: bool) -> int:
    """Returns the key for a character, with or without Shift. Raises KeyError for a character that no key has."""
    if keypad and typed in _PAD_KEYS:
        return _PAD_KEYS[typed]
    return _ROW_KEYS[typed]


def _event(data: bytearray, start: int, size: int) -> tuple[int, int, int, int] | None:
    """Returns type, code, value and time in µs, or None for bytes that no kernel sends."""
    if len(data) - start < size or data[start + size // 2 - 1]:  # a part of a second has a 0 in this byte
        return None
    seconds, micros, kind, code, value = _LAYOUT[size].unpack_from(data, start)
    if not 0 <= micros < 1_000_000 or not 0 <= seconds < _SECONDS_MAX or code > _TYPES.get(kind, -1):
        return None
    if kind in (EV_SYN, EV_KEY) and not 0 <= value <= 2:
        return None
    return kind, code, value, seconds * 1_000_000 + micros
