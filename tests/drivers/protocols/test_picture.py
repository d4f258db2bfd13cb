"""Pictures from strangers: right ones come through, all others are a fault, and none takes more memory than allowed."""

import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.picture import PIXELS_MAX, Image, decode

ROOT = Path(__file__).parents[3]

COLOUR = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
GREY = np.ascontiguousarray(COLOUR[:, :, 0])


def encoded(form: str, image: Image, *options: int) -> bytes:
    return cv2.imencode(form, image, options)[1].tobytes()


PICTURES = [
    encoded(".png", COLOUR),
    encoded(".png", GREY),
    encoded(".jpg", COLOUR),
    encoded(".jpg", GREY),
    encoded(".jpg", COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    encoded(".jpg", COLOUR, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
]


def png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


@pytest.mark.parametrize("data", PICTURES)
def test_a_picture_comes_through_in_its_own_colours(data: bytes) -> None:
    image = decode(data)
    assert not isinstance(image, Fault)
    assert image.dtype == np.uint8
    assert image.shape[:2] == (48, 64)


def test_a_lossless_picture_is_exactly_what_it_was() -> None:
    for before in (COLOUR, GREY):
        image = decode(encoded(".png", before))
        assert not isinstance(image, Fault)
        assert np.array_equal(image, before)


def test_depth_and_transparency_become_eight_bits_and_three_colours() -> None:
    deep = decode(cv2.imencode(".png", GREY.astype(np.uint16) * 256)[1].tobytes())
    assert not isinstance(deep, Fault)
    assert np.array_equal(deep, GREY)
    clear = decode(encoded(".png", np.dstack([COLOUR, GREY])))
    assert not isinstance(clear, Fault)
    assert clear.shape == (48, 64, 3)


def test_a_phone_that_was_held_sideways_is_turned_as_its_exif_says() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    jpeg = PICTURES[2]
    image = decode(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    assert not isinstance(image, Fault)
    assert image.shape == (64, 48, 3)


@pytest.mark.parametrize("data", PICTURES)
def test_cut_anywhere_it_is_a_fault(data: bytes) -> None:
    for end in range(len(data) - 4):
        assert isinstance(decode(data[:end]), Fault), end


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither PNG nor JPEG"),
        (b"GIF89a" + bytes(100), "neither"),
        (b"\xff\xd8\xff", "cut off"),
        (b"\xff\xd8\xff\xd9", "cut off"),
        (b"\xff\xd8" + b"\xff" * 10_000, "cut off"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "without its header"),
        (png(1, 1, b"\0\0"), "too small"),
        (png(100_000, 1_000, b""), "at most 25 million"),
        (png(0, 5_000, b""), "too small"),
        (png(64, 48, b"\0"), "decoded"),
        (with_size(PICTURES[2], 65_535, 65_535), "at most 25 million"),
        (with_size(PICTURES[2], 64, 0), "too small"),
        (PICTURES[2].replace(b"\xff\xc0", b"\xff\xfe"), "without its header"),
        (PICTURES[2][:2] + PICTURES[2][PICTURES[2].index(b"\xff\xc0") :][:19] + PICTURES[2][2:], "header is wrong"),
    ],
)
def test_a_hostile_picture_is_a_fault_that_says_why(data: bytes, words: str) -> None:
    found = decode(data)
    assert isinstance(found, Fault)
    assert words in found.what


@settings(deadline=None)
@given(
    st.sampled_from(PICTURES),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5),
)
def test_bytes_that_were_changed_never_raise_and_never_grow(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    changed = bytearray(data)
    for place, new in changes:
        at = place % len(changed)
        changed[at : at + len(new)] = new
    image = decode(bytes(changed))
    assert isinstance(image, Fault) or image.shape[0] * image.shape[1] <= PIXELS_MAX


@settings(deadline=None)
@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=300))
def test_rubbish_is_a_fault(start: bytes, rest: bytes) -> None:
    assert isinstance(decode(start + rest), Fault)


def test_bombs_are_refused_in_a_process_that_could_not_hold_them() -> None:
    """A gigapixel in a few kilobytes, where 64 MB more than the libraries need is all there is."""
    bombs = [png(32_000, 32_000, bytes(1_000)), with_size(PICTURES[2], 40_000, 30_000)]
    script = f"""
import resource
from drivers.protocols.picture import decode
from drivers.protocols.fault import Fault
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 1024 * 1024, resource.RLIM_INFINITY))
for bomb in {bombs!r}:
    assert isinstance(decode(bomb), Fault)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("length", [0x3FFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_part_that_says_to_have_a_gigabyte_takes_none(length: int) -> None:
    """Measured, not limited: under a limit the library gives up and seems to have behaved."""
    whole = PICTURES[1]
    at = whole.index(b"IDAT") - 4
    bomb = whole[:at] + struct.pack(">I", length) + whole[at + 4 :]
    script = f"""
import resource
from drivers.protocols.picture import decode
from drivers.protocols.fault import Fault
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert isinstance(decode({bomb!r}), Fault)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, text=True)
    assert int(done.stdout) < 64 * 1024  # KiB
