import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.palm.picture import PIXELS_MAX, decode, read_header
from edge_agent.palm.refusal import Reason, Refused


def encoded(kind: str, width: int, height: int, channels: int = 1) -> bytes:
    shape = (height, width) if channels == 1 else (height, width, channels)
    done, data = cv2.imencode(f".{kind}", np.full(shape, 90, np.uint8))
    assert done
    return data.tobytes()


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_claiming(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2" + struct.pack(">HBHH", 11, 8, height, width) + b"\x01\x01\x11\x00"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["png", "jpg"]), st.integers(1, 700), st.integers(1, 700), st.sampled_from([1, 3]))
def test_header_and_decoder_agree(kind: str, width: int, height: int, channels: int) -> None:
    data = encoded(kind, width, height, channels)
    assert read_header(data) == (width, height)
    picture = decode(data)
    assert isinstance(picture, np.ndarray)
    assert picture.shape[:2] == (height, width)


@pytest.mark.parametrize("claim", [png_claiming, jpeg_claiming])
def test_bombs_are_refused_by_their_header(claim: Callable[[int, int], bytes]) -> None:
    data = claim(60_000, 60_000)
    assert read_header(data) == (60_000, 60_000)
    seen = decode(data)
    assert isinstance(seen, Refused)
    assert seen.reason is Reason.TOO_LARGE
    assert PIXELS_MAX < 60_000**2


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["png", "jpg"]), st.floats(0, 1))
def test_a_truncated_file_is_a_picture_or_a_refusal(kind: str, share: float) -> None:
    data = encoded(kind, 64, 48)
    assert isinstance(decode(data[: int(share * len(data))]), np.ndarray | Refused)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=400))
def test_rubbish_is_refused(start: bytes, rest: bytes) -> None:
    data = start + rest
    assert read_header(data) is None or isinstance(decode(data), np.ndarray | Refused)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(40), b"\xff\xd8" + b"\xff" * 100_000, png_claiming(0, 5)])
def test_what_has_no_size_is_unreadable(data: bytes) -> None:
    assert read_header(data) is None
    seen = decode(data)
    assert isinstance(seen, Refused)
    assert seen.reason is Reason.UNREADABLE
