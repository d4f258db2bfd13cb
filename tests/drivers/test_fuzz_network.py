"""The parsers that face a network or another vendor's process, on damaged requests and messages: as in `test_fuzz`."""

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import pytest

from drivers.protocols import adms, bridge, http, json_lines, zk_attlog
from drivers.protocols.fault import Fault
from tests.drivers.protocols import cutting
from tests.drivers.test_fuzz import KEPT_BYTES_MAX, MIB, SECONDS_A_MIB_MAX, damaged

DATE = "Sun, 22 Nov 2026 09:00:00 GMT"
ROWS = b"1001\t2026-11-20 09:40:15\t0\t25\t0\n     1002\t2026-11-20 09:40:18\t1\t0\t2\t0\t\r\n"


def post(target: bytes, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: k\r\nContent-Length: %d\r\n\r\n%s" % (target, len(body), body)


SEEDS = {
    "adms": (
        post(b"/iclock/cdata?SN=1&table=ATTLOG&Stamp=9999", ROWS),
        post(
            b"/iclock/cdata?SN=1&table=OPERLOG",
            b"USER PIN=5\tName=A\nOPLOG\t6\t1\t2026-11-20 09:00:00\t1\nFP PIN=1\tTMP=AA\n",
        ),
        post(b"/iclock/cdata?SN=1&table=options", b"~DeviceName=X,FirmVer=Ver 6.60"),
        post(b"/iclock/cdata?SN=1&table=BIODATA", b"x" * 99),
        b"GET /iclock/getrequest?SN=1 HTTP/1.1\r\nHost: k\r\n\r\n",
    ),
    "bridge": (bridge.encode("match", {"subject": "1042", "score": 9731}), bridge.encode("frame", {}, bytes(300))),
    "json_lines": (b'{"number":"1042"}\n', b"\n", b"x" * 5_000 + b"\n"),
}


def adms_feed() -> Callable[[bytes], Sequence[object]]:
    """A connection as the driver serves it; a new one takes over where one was refused."""
    connection: list[http.Exchange] = []

    def feed(data: bytes) -> Sequence[object]:
        told: list[object] = []
        if not connection:
            connection.append(http.Exchange(body_bytes_max=64 * 1024, unwanted=adms.unwanted))
        events = connection[0].feed(data)
        while events:
            told += events
            if isinstance(events[0], Fault):
                connection[0].refusal(DATE)
                connection.clear()
                return told
            assert isinstance(events[0], http.Request)
            try:
                told.append(adms.upload(adms.call(events[0].target).table, events[0].body))
            except ValueError:
                told.append("no target")
            if connection[0].answer("OK", DATE)[1]:
                connection.clear()
                return told
            events = connection[0].next()
        return told

    return feed


FEEDS: dict[str, Callable[[], Callable[[bytes], Sequence[object]]]] = {
    "adms": adms_feed,
    "bridge": lambda: bridge.Decoder().feed,
    "json_lines": lambda: json_lines.Decoder().feed,
}
# of a connection that was refused the rest is lost, and where that was depends on the cut
SAME_IN_EVERY_CUT = ("bridge", "json_lines")


def pieces(name: str, dice: random.Random) -> Iterator[bytes]:
    while True:
        match dice.randrange(3):
            case 0:
                yield dice.randbytes(dice.randrange(1, 2048))
            case 1:
                yield b"".join(damaged(dice.choice(SEEDS[name]), dice) for _ in range(dice.randrange(1, 20)))
            case _:
                yield dice.choice(SEEDS[name])


def run_for(name: str, seconds: float, seed: int) -> None:
    dice = random.Random(seed)
    until, source = time.monotonic() + seconds, pieces(name, dice)
    while time.monotonic() < until:
        stream = b"".join(next(source) for _ in range(dice.randrange(1, 4)))
        chunks = [chunk for chunk in cutting.cut(stream, [dice.randrange(10_000) for _ in range(9)]) if chunk]
        found = cutting.run(FEEDS[name](), chunks)
        if name in SAME_IN_EVERY_CUT:
            assert found == cutting.run(FEEDS[name](), [stream]), f"seed {seed}"
        body = dice.choice(SEEDS["adms"])[: dice.randrange(200)] + ROWS
        preview = zk_attlog.preview(damaged(body, dice))
        assert len(preview.punches) + preview.repeated + len(preview.faults) <= body.count(b"\n") + 20


def swallow(name: str, size: int, seed: int) -> None:
    feed, source, left = FEEDS[name](), pieces(name, random.Random(seed)), size
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        began = time.monotonic()
        while left > 0:
            piece = next(source)
            left -= len(piece)
            feed(piece)
        took = time.monotonic() - began
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < KEPT_BYTES_MAX
    assert took < SECONDS_A_MIB_MAX * size / MIB + 1


@pytest.mark.parametrize("name", FEEDS)
def test_a_second_of_damaged_messages(name: str) -> None:
    run_for(name, 1.0, seed=1)


@pytest.mark.parametrize("name", FEEDS)
def test_noise_leaves_nothing_behind(name: str) -> None:
    swallow(name, MIB // 4, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", FEEDS)
def test_ten_minutes_of_damaged_messages(name: str) -> None:
    run_for(name, float(os.environ.get("FUZZ_S", "600")), seed=random.SystemRandom().randrange(1 << 32))


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", FEEDS)
def test_ten_megabytes_of_noise(name: str) -> None:
    swallow(name, 10 * MIB, seed=2)
