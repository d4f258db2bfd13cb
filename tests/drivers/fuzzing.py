"""The one loop that all parsers go through: noise and damaged frames, never an exception, the same for every cut,
bounded in what is told, in what is kept and in time.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

from tests.drivers.parsers import Machine, Parser
from tests.drivers.protocols import cutting

MIB = 1024 * 1024
SECONDS_A_MIB_MAX = 60.0  # on a machine that others share; a wire brings a megabyte in fifteen minutes


def run_for(parser: Parser, seconds: float, seed: int) -> int:
    """Until the time is over; how many streams it was given."""
    dice, streams = random.Random(seed), 0
    pieces = noises(parser.seeds, dice)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stream = b"".join(next(pieces) for _ in range(dice.randrange(1, 4)))
        check(parser, stream, [dice.randrange(10_000) for _ in range(12)])
        streams += 1
    return streams


def check(parser: Parser, stream: bytes, places: list[int]) -> None:
    """One stream, whole and cut at `places`."""
    whole = told(parser.start(), [stream])
    assert len(whole) <= 2 * len(stream) + 4
    if parser.file:
        return
    cut = told(parser.start(), [chunk for chunk in cutting.cut(stream, places) if chunk])
    assert cut == whole or not parser.same_in_every_cut


def told(machine: Machine, chunks: Sequence[bytes]) -> list[object]:
    return [event for chunk in chunks for event in machine.feed(chunk)] + list(machine.end())


def swallow(parser: Parser, size: int, seed: int) -> None:
    """`size` bytes of one stream: what is kept stays small, what is told is thrown away."""
    machine, pieces, left = parser.start(), noises(parser.seeds, random.Random(seed)), size
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        began = time.monotonic()
        while left > 0:
            piece = next(pieces)
            left -= len(piece)
            for _ in machine.feed(piece):
                pass
        took = time.monotonic() - began
        gc.collect()  # a refused connection of h11 is a ring, which falls when Python next looks for such
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < parser.kept_bytes_max
    assert took < SECONDS_A_MIB_MAX * size / MIB + 1


def noises(seeds: Sequence[bytes], dice: random.Random) -> Iterator[bytes]:
    """Endless pieces: pure noise, few letters, one letter, damaged frames, whole ones."""
    letters = bytes(sorted(set(b"".join(seeds))))
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: dice.randbytes(dice.randrange(1, 4096)),
        lambda: bytes(dice.choices(letters, k=dice.randrange(1, 4096))),
        lambda: bytes((dice.choice(letters),)) * dice.randrange(1, 4096),
        lambda: b"".join(_damaged(dice.choice(seeds), dice) for _ in range(dice.randrange(1, 40))),
        lambda: dice.choice(seeds),
    )
    while True:
        yield dice.choice(kinds)()


def _damaged(frame: bytes, dice: random.Random) -> bytes:
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
