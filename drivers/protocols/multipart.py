"""A multipart body as it comes (RFC 2046, RFC 7578): the parts that are JSON are kept, all others are let go unread.

    --boundary CR LF                                      what stands before the first boundary is skipped
    Content-Disposition: form-data; name="event_log" CR LF
    Content-Type: application/json CR LF CR LF
    {…} CR LF
    --boundary CR LF … picture … CR LF --boundary--

Terminals put the picture of a person behind the JSON. Its bytes are looked at for the next boundary only: at most a
boundary's length of them is held, and none is passed on. Content-Length of a part is not believed, since terminals get
it wrong. Lines may end in LF alone.
"""

import re
from email.message import Message
from enum import Enum, auto

PART_HEAD_BYTES_MAX = 4 * 1024
PARTS_MAX = 32
JSON_PARTS_END = b"\x1e"  # between kept parts: JSON holds no such byte

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_JSON_TYPES = frozenset({"application/json", "text/json", "text/plain", ""})


def boundary_of(content_type: str) -> bytes:
    """Returns the boundary that a Content-Type names; empty where it is not multipart or names none."""
    head = Message()
    head["Content-Type"] = content_type
    if head.get_content_maintype() != "multipart":
        return b""
    boundary = head.get_boundary("")
    return boundary.encode("ascii") if boundary.isascii() and len(boundary) <= 70 else b""


class _Place(Enum):
    OUTSIDE = auto()  # before the first boundary, or in a part that is let go
    BORDER = auto()  # behind a boundary: two hyphens end the body
    HEAD = auto()
    KEPT = auto()
    END = auto()


class JsonPartSieve:
    """Takes the bytes of one multipart body and gives back those of its JSON parts, each followed by JSON_PARTS_END."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\n--" + boundary
        self._held = b"\n"  # the first boundary may stand at the very beginning
        self._place = _Place.OUTSIDE
        self._parts = 0
        self.dropped_parts = 0

    def feed(self, data: bytes) -> bytes:
        """Returns the part of the bytes that is kept. Never holds more than a part's head."""
        self._held += data
        kept = bytearray()
        while self._step(kept):
            pass
        return bytes(kept)

    def _step(self, kept: bytearray) -> bool:
        """Goes on by one piece; False where more bytes are needed."""
        match self._place:
            case _Place.OUTSIDE | _Place.KEPT:
                return self._pass_content(kept)
            case _Place.BORDER:
                return self._pass_border()
            case _Place.HEAD:
                return self._read_head()
            case _Place.END:
                self._held = b""
                return False

    def _pass_content(self, kept: bytearray) -> bool:
        at = self._held.find(self._delimiter)
        if at < 0:
            # The end may be the beginning of a boundary, with its CR before it.
            safe = max(0, len(self._held) - len(self._delimiter))
            self._pass_on(self._held[:safe], kept)
            self._held = self._held[safe:]
            return False
        self._pass_on(self._held[:at].removesuffix(b"\r"), kept)
        if self._place is _Place.KEPT:
            kept += JSON_PARTS_END
        self._held = self._held[at + len(self._delimiter) :]
        self._place = _Place.BORDER
        return True

    def _pass_on(self, content: bytes, kept: bytearray) -> None:
        if self._place is _Place.KEPT:
            kept += content

    def _pass_border(self) -> bool:
        if len(self._held) < 2:
            return False
        self._parts += 1
        is_over = self._held.startswith(b"--") or self._parts > PARTS_MAX
        self._place = _Place.END if is_over else _Place.HEAD
        return True

    def _read_head(self) -> bool:
        end = _HEAD_END.search(self._held)
        if end is None and len(self._held) <= PART_HEAD_BYTES_MAX + len(b"\r\n\r\n"):
            return False
        if end is not None and end.start() <= PART_HEAD_BYTES_MAX and _is_json(self._held[: end.start()]):
            self._held = self._held[end.end() :]
            self._place = _Place.KEPT
        else:
            self.dropped_parts += 1
            self._place = _Place.OUTSIDE
        return True


def _is_json(head: bytes) -> bool:
    """Tells if a part is JSON by its head: of a JSON type, or of none, and no file but a JSON one."""
    lines = head.decode("latin-1").lower().splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    kind = values.get("content-type", "").partition(";")[0].strip()
    is_file = "filename" in values.get("content-disposition", "")
    return kind in _JSON_TYPES and (not is_file or "json" in kind)
