"""A picture from bytes that nobody has vouched for: PNG or JPEG, its size known before anything is decoded.

    PNG   89 'PNG' … | 4 length | 'IHDR' | 4 width | 4 height | …  | 'IEND'        (RFC 2083, ISO 15948)
    JPEG  FF D8 | FF marker | 2 length | … | FF SOFn | 2 length | 1 precision | 2 height | 2 width … | FF DA … FF D9
          (ITU-T T.81, annex B)

A few kilobytes can say that they are a picture of a gigapixel, or that a part of them has a gigabyte, and OpenCV would
take the memory for it. It would also hand on a JPEG that was cut in the middle, its lower half grey: so the end is
looked for first, part by part.
"""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols.fault import Fault

PIXELS_MAX = 25_000_000  # 75 MB as colour
SIDE_MIN = 32  # pixels; less is no picture of a hand

Image = NDArray[np.uint8]  # (height, width) grey or (height, width, 3) blue, green, red

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; the three others are tables
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn, SOI


def decode(data: bytes) -> Image | Fault:
    """Returns the picture with eight bits a channel, turned by its EXIF. Never raises, for any bytes."""
    size = _size(data)
    if isinstance(size, Fault):
        return size
    width, height = size
    if (wrong := unfit(width, height)) is not None:
        return wrong
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        return Fault("a picture that cannot be decoded")
    if image is None:
        return Fault("a picture that cannot be decoded")
    if image.dtype != np.uint8 or image.shape[0] * image.shape[1] != width * height:
        return Fault("a picture that is not what its header says")
    return np.asarray(image, np.uint8)


def unfit(width: int, height: int) -> Fault | None:
    """Returns the fault of a picture of a wrong size (pixels); None for one that may be decoded."""
    if width * height > PIXELS_MAX:
        return Fault(f"a picture of {width} × {height} pixels; at most {PIXELS_MAX // 1_000_000} million are looked at")
    if min(width, height) < SIDE_MIN:
        return Fault(f"a picture of {width} × {height} pixels, too small for a hand")
    return None


def _size(data: bytes) -> tuple[int, int] | Fault:
    """Returns (width, height) in pixels from the header of a picture that has an end."""
    if data.startswith(_PNG):
        return _png_size(data)
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    return Fault("neither PNG nor JPEG")


def _png_size(data: bytes) -> tuple[int, int] | Fault:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return Fault("a PNG without its header")
    position = len(_PNG)
    while True:
        if len(data) < position + 12:
            return Fault("a PNG that was cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length  # length, kind and CRC around it
        if position > len(data):
            return Fault("a PNG that was cut off")
        if kind == b"IEND":
            break
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | Fault:
    """Walks the segments as a decoder does: bytes between them are skipped, up to the next FF."""
    size: tuple[int, int] | None = None
    position = 2
    while True:
        position = data.find(b"\xff", position)
        while 0 <= position < len(data) and data[position] == 0xFF:
            position += 1
        if position < 0 or position >= len(data):
            return Fault("a JPEG that was cut off")
        marker = data[position]
        position += 1
        if marker == 0 or marker in _WITHOUT_LENGTH:
            continue
        if marker == _END_OF_IMAGE or len(data) < position + 2:
            return Fault("a JPEG that was cut off")
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _FRAMES:
            if length < 8 or len(data) < position + 7 or size is not None:
                return Fault("a JPEG whose header is wrong")
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = width, height
        if marker == _START_OF_SCAN:
            break
        position += length
    if size is None:
        return Fault("a JPEG without its header")
    if data.rfind(bytes((0xFF, _END_OF_IMAGE)), position) < 0:
        return Fault("a JPEG that was cut off")
    return size
