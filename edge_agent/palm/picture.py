"""Files' bytes to pictures, refused before they are unpacked when they are bombs.

A PNG of a few hundred bytes can claim 60,000 × 60,000 pixels. Size is read from the header, by hand, so
that nothing is allocated for a picture which will be refused anyway.
"""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.refusal import Reason, Refused

PIXELS_MAX = 25_000_000
# The longest header walk: real JPEGs carry at most a few dozen segments before the frame.
_JPEG_SEGMENTS_MAX = 512
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Start of frame, all kinds: C4, C8 and CC in that range are tables, not frames.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_header(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a PNG or JPEG without decoding it, or None if the bytes are neither."""
    if data.startswith(_PNG_SIGNATURE):
        return _png_size(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def decode(data: bytes) -> NDArray[np.uint8] | Refused:
    """Decode a PNG or JPEG to grey (H, W) or colour BGR (H, W, 3)."""
    size = read_header(data)
    if size is None:
        return Refused(Reason.UNREADABLE, "neither PNG nor JPEG")
    width, height = size
    if width * height > PIXELS_MAX:
        return Refused(Reason.TOO_LARGE, f"{width}x{height}, at most {PIXELS_MAX} pixels")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        return Refused(Reason.UNREADABLE, str(error))
    if image is None:
        return Refused(Reason.UNREADABLE, "broken inside")
    return np.asarray(image, np.uint8)


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return (width, height) if width and height else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_JPEG_SEGMENTS_MAX):
        # Any number of fill bytes FF may stand before a marker.
        while at < len(data) and data[at] == 0xFF:
            at += 1
        if at + 3 > len(data) or data[at - 1] != 0xFF:
            return None
        marker = data[at]
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 1 : at + 3])
        if marker in _JPEG_FRAMES:
            if at + 8 > len(data):
                return None
            height, width = struct.unpack(">HH", data[at + 4 : at + 8])
            return (width, height) if width and height else None
        if length < 2:
            return None
        at += 1 + length
    return None
