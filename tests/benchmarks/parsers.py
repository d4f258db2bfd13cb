"""What it takes to turn a frame into a line of `devices decode`, beside the time that the frame takes on its wire.

Whole frames as a reader sends them, each followed by another card's, so that nothing is answered from memory.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.bench.decoding import PROTOCOLS, FaultFound, start
from drivers.protocols import em4100, hid, ironlogic, osdp, pcsc, pn532, wiegand
from tests.benchmarks.figures import Figure, Result, Run, middle

FASTER_MIN = 100.0
FRAMES = 2_000
ROUNDS = 15


KEY_S = 0.004  # between two keys of a fast keyboard wedge


@dataclass(frozen=True, slots=True)
class Wire:
    """What comes for the card of this number, and the seconds that it is on its way."""

    frame: Callable[[int], bytes]
    seconds: Callable[[bytes], float]


def serial(baud: int) -> Callable[[bytes], float]:
    """A start bit, eight of data, a stop bit."""
    return lambda frame: len(frame) * 10 / baud


def _em4100(number: int) -> bytes:
    return em4100.encode(b"\x01" + number.to_bytes(4, "big"))


def _ironlogic(number: int) -> bytes:
    return ironlogic.encode_mifare(number.to_bytes(4, "big"))


def _pn532(number: int) -> bytes:
    found = bytes.fromhex("4B 01 01 0044 00 07 04") + number.to_bytes(6, "big")  # one card, of seven bytes
    return pn532.encode(pn532.CHIP, found)


def _osdp(number: int) -> bytes:
    raw = bytes.fromhex("00 00 2000") + number.to_bytes(4, "big")  # 32 bits
    return osdp.encode(1, osdp.RAW, raw, reply=True)


def _pcsc(number: int) -> bytes:
    part3 = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")  # a card of ISO 14443 A
    return pcsc.encode(part3, b"\x04" + number.to_bytes(6, "big") + b"\x90\x00")


def _wiegand(size: int) -> Callable[[int], bytes]:
    return lambda number: wiegand.encode(number.to_bytes(size, "big")).encode("ascii") + b"\r\n"


def _zk_attlog(number: int) -> bytes:
    return f"{number}\t2026-11-20 09:40:15\t0\t25\t0\t0\n".encode("ascii")


WIRES: Mapping[str, Wire] = {
    "em4100": Wire(_em4100, serial(9_600)),
    "ironlogic": Wire(_ironlogic, serial(9_600)),
    "pn532": Wire(_pn532, serial(115_200)),
    "osdp": Wire(_osdp, serial(9_600)),
    # No line of bytes: what a card takes at the very least to be found, powered and asked over the air.
    "pcsc": Wire(_pcsc, lambda _: 0.040),
    "wiegand26": Wire(_wiegand(3), serial(9_600)),  # as the text of a converter; on D0 and D1 it takes as long
    "wiegand34": Wire(_wiegand(4), serial(9_600)),
    "wiegand32": Wire(lambda number: wiegand.encode_bare(number.to_bytes(4, "big")).encode() + b"\r\n", serial(9_600)),
    "wiegand58": Wire(_wiegand(7), serial(9_600)),
    "line": Wire(lambda number: f"{number:010}\r\n".encode("ascii"), serial(9_600)),
    "hid": Wire(lambda number: hid.encode(f"{number:010}"), lambda _: 11 * KEY_S),
    "zk-attlog": Wire(_zk_attlog, serial(115_200)),  # of a terminal's serial port; pushed rows come one a person
}


def run(run: Run) -> Result:
    frames, rounds = (200, 3) if run.quick else (FRAMES, ROUNDS)
    figures: list[Figure] = []
    for protocol in PROTOCOLS:
        if protocol in WIRES:
            figures += _measured(protocol, WIRES[protocol], frames, rounds)
        else:
            figures.append(Figure(f"{protocol}: protocols without a frame in this benchmark", 1, "", at_most=0))
    return Result("parsers", "Frames decoded, beside the time they take on the wire", figures)


def _measured(protocol: str, wire: Wire, frames: int, rounds: int) -> list[Figure]:
    stream = [wire.frame(number) for number in range(1, frames + 1)]
    cut = [bytes((byte,)) for frame in stream[: frames // 10] for byte in frame]
    whole_us = middle([_microseconds(protocol, stream, frames) for _ in range(rounds)])
    cut_us = middle([_microseconds(protocol, cut, frames // 10) for _ in range(rounds)])
    wire_us = middle([wire.seconds(frame) * 1e6 for frame in stream])
    return [
        Figure(f"{protocol}: its wire is slower", wire_us / whole_us, "times", at_least=FASTER_MIN),
        Figure(f"{protocol}: a frame of {len(stream[0])} bytes", whole_us, "µs"),
        Figure(f"{protocol}: the same, byte by byte", cut_us, "µs"),
    ]


def _microseconds(protocol: str, chunks: Sequence[bytes], frames: int) -> float:
    """Of one frame."""
    decoding = start(protocol)
    started = time.perf_counter_ns()
    lines = [line for chunk in chunks for line in decoding.feed(chunk)]
    spent = time.perf_counter_ns() - started
    faults = [line.what for line in lines if isinstance(line, FaultFound)]
    assert not faults, f"{protocol}: {faults[0]}"
    assert len(lines) == frames, f"{protocol}: {len(lines)} lines of {frames} frames"
    return spent / frames / 1000
