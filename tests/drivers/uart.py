"""What a serial port receives when the other end sends otherwise: another speed, a parity bit, inverted levels.

A port waits for a falling edge, samples eight bits in their middles by its own speed, and goes on behind the stop bit.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

SAMPLES = 16  # a bit, as in the common chips


def line_levels(data: bytes, *, parity: str = "none", gap_bits: int = 2) -> list[int]:
    """Returns the level of each bit on the wire; the line idles high."""
    levels = [1] * 8
    for byte in data:
        bits = [byte >> position & 1 for position in range(8 if parity == "none" else 7)]
        if parity != "none":
            odd = sum(bits) % 2
            bits.append(odd if parity == "even" else 1 - odd)
        levels += [0, *bits, 1, *[1] * gap_bits]
    return levels + [1] * 12


def receive(levels: Sequence[int], *, sent_baud: int, read_baud: int, inverted: bool = False) -> bytes:
    """Returns the bytes that a port at `read_baud` makes of bits that were sent at `sent_baud`."""
    return bytes(_received(levels, sent_baud / read_baud, inverted=inverted))


def _received(levels: Sequence[int], ratio: float, *, inverted: bool) -> Iterator[int]:
    """Yields bytes. `ratio`: bits of the sender in one bit of the receiver."""
    step = ratio / SAMPLES
    ticks = [levels[min(int(tick * step), len(levels) - 1)] ^ inverted for tick in range(int(len(levels) / step))]
    edges = [tick for tick, (before, now) in enumerate(pairwise(ticks), 1) if before and not now]
    free_from = 0
    for edge in edges:
        if edge < free_from or edge + SAMPLES * 10 >= len(ticks):
            continue
        if ticks[edge + SAMPLES // 2]:
            continue  # too short for a start bit
        middles = [edge + SAMPLES * (bit + 1) + SAMPLES // 2 for bit in range(8)]
        yield sum(ticks[middle] << bit for bit, middle in enumerate(middles))
        free_from = edge + SAMPLES * 9 + SAMPLES // 2
