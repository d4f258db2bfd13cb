"""Every parser of `devices decode` on noise: bounded in memory and time, never an exception, the same for every cut.

The default run takes a second for each; `make soak` takes ten minutes and ten megabytes (FUZZ_S sets other seconds).
"""

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from drivers.decoding import PROTOCOLS, decode, start
from drivers.protocols import em4100, hid, ironlogic, osdp, pcsc, pn532, wiegand
from drivers.protocols.line import encode_block
from tests.drivers.protocols import cutting

MIB = 1024 * 1024
KEPT_BYTES_MAX = 256 * 1024
SECONDS_A_MIB_MAX = 60.0  # on a machine that others share; a wire brings a megabyte in fifteen minutes

# what a real device might say, to be cut, repeated and damaged
SEEDS: dict[str, tuple[bytes, ...]] = {
    "em4100": (em4100.encode(b"\x1f\x00dK\xb6"), em4100.encode(b"12345", crlf=True)),
    "ironlogic": (ironlogic.encode_em_marine(b"12345"), ironlogic.encode_mifare(b"1234567"), ironlogic.NO_CARD),
    "pn532": (pn532.ACK, pn532.encode(pn532.CHIP, b"\x4b\x01\x01\x00\x04\x08\x041234"), pn532.encode(0xD5, bytes(260))),
    "wiegand26": (wiegand.encode(b"abc").encode() + b"\n",),
    "wiegand34": (wiegand.encode(b"abcd").encode() + b"\n",),
    "line": (b"1293D8\r", encode_block(b"0012345678"), "]Q1Әлия\r\n".encode(), b"018,37848\n"),
    "hid": (hid.encode("0012345678"), hid.encode("aB", size=16)),
    "osdp": (b"\xff" + osdp.encode(0, osdp.POLL), osdp.encode(0, osdp.RAW, b"\0\1\x20\x001234", reply=True, crc=False)),
    "pcsc": (pcsc.encode(b"\x3b\x81\x80\x01\x80\x80", b"1234\x90\0"), pcsc.REMOVED, pcsc.MUTE),
    "zk-attlog": (b"     1001\t2026-11-20 09:40:15\t1\t0\t25\t0\t\r\n", b"7\t2026-11-20 09:40:15\t0\t25\n"),
}


def noises(protocol: str, dice: random.Random) -> Iterator[bytes]:
    """Endless pieces: pure noise, few letters, and damaged frames."""
    seeds = SEEDS.get(protocol, (b"\xff\x53\x00\x08\x00\x04\x60\xeb\xaa",))
    letters = bytes(sorted(set(b"".join(seeds))))
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: dice.randbytes(dice.randrange(1, 4096)),
        lambda: bytes(dice.choices(letters, k=dice.randrange(1, 4096))),
        lambda: bytes((dice.choice(letters),)) * dice.randrange(1, 4096),
        lambda: b"".join(damaged(dice.choice(seeds), dice) for _ in range(dice.randrange(1, 40))),
    )
    while True:
        yield dice.choice(kinds)()


def damaged(frame: bytes, dice: random.Random) -> bytes:
    data = bytearray(frame)
    match dice.randrange(4):
        case 0:
            data[dice.randrange(len(data))] = dice.randrange(256)
        case 1:
            del data[dice.randrange(len(data)) :]
        case 2:
            data[dice.randrange(len(data)) : 0] = dice.randbytes(dice.randrange(1, 9))
        case _:
            pass
    return bytes(data)


def run_for(protocol: str, seconds: float, seed: int) -> None:
    dice = random.Random(seed)
    until = time.monotonic() + seconds
    pieces = noises(protocol, dice)
    while time.monotonic() < until:
        stream = b"".join(next(pieces) for _ in range(dice.randrange(1, 4)))
        whole = list(decode(protocol, [stream]))
        chunks = cutting.cut(stream, [dice.randrange(10_000) for _ in range(12)])
        assert list(decode(protocol, chunks)) == whole, f"seed {seed}"
        assert len(whole) <= 2 * len(stream) + 2


def swallow(protocol: str, size: int, seed: int) -> None:
    """`size` bytes of one stream: what is kept stays small, what is told is thrown away."""
    decoding, pieces, left = start(protocol), noises(protocol, random.Random(seed)), size
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        began = time.monotonic()
        while left > 0:
            piece = next(pieces)
            left -= len(piece)
            for _ in decoding.feed(piece):
                pass
        took = time.monotonic() - began
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < KEPT_BYTES_MAX
    assert took < SECONDS_A_MIB_MAX * size / MIB + 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_second_of_damaged_frames(protocol: str) -> None:
    run_for(protocol, 1.0, seed=1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_noise_leaves_nothing_behind(protocol: str) -> None:
    swallow(protocol, MIB // 8, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ten_minutes_of_damaged_frames(protocol: str) -> None:
    run_for(protocol, float(os.environ.get("FUZZ_S", "600")), seed=random.SystemRandom().randrange(1 << 32))


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ten_megabytes_of_noise(protocol: str) -> None:
    swallow(protocol, 10 * MIB, seed=2)
