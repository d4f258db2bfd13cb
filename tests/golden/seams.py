"""The child interpreter of the recorded day: the standard library with a scripted clock and loaded dice.

    python -P seams.py run --config agent.toml

It changes the standard library before anything of the project is imported, and then runs the console script that
pyproject.toml names. It knows nothing else of the project. `GOLDEN_CLOCK` names the file of `clock.Script`, which
says wall time, monotonic time, boot id and the clock's quality. `GOLDEN_DICE` seeds what is drawn at random.
"""

import builtins
import ctypes
import datetime
import gc
import importlib
import importlib.metadata
import io
import mmap
import os
import random
import struct
import sys
import threading
import time
import tomllib
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

SLOT = struct.Struct("<qq?36s")
SLOT_BYTES = 64
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DISTRIBUTION = "canteen-edge-agent"
VERSION = "0.0.0"  # a new version of the agent is no change of a recorded day
SLOWER = 3  # the screen keeps a notice for this many times as long, so that a busy machine still sees it

STA_UNSYNC = 0x0040
TIME_ERROR = 5
STATUS_OFFSET = ctypes.sizeof(ctypes.c_long) * 5  # of struct timex: modes (padded), offset, freq, maxerror, esterror


class ScriptedClock:
    """What the script says now. A slot is written whole before the index names it, so a reader sees no mixture."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123  pathlib would open by what is replaced below
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def _slot(self) -> tuple[int, int, bool, bytes]:
        wall_ns, mono_ns, synchronised, boot = SLOT.unpack_from(self._map, SLOT_BYTES * (1 + self._map[0]))
        return wall_ns, mono_ns, synchronised, boot

    def wall_ns(self) -> int:
        return self._slot()[0]

    def mono_ns(self) -> int:
        return self._slot()[1]

    def synchronised(self) -> bool:
        return self._slot()[2]

    def boot(self) -> str:
        return self._slot()[3].decode("ascii")


class LoadedDice:
    """Bytes that depend on the seed, on how many are asked for, and on how often so many were asked for."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._asked: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __call__(self, size: int) -> bytes:
        with self._lock:
            self._asked[size] += 1
            turn = self._asked[size]
        blocks = (sha256(f"{self._seed}/{size}/{turn}/{n}".encode()).digest() for n in range(size // 32 + 1))
        return b"".join(blocks)[:size]


def script_time(clock: ScriptedClock) -> None:
    """Wall time and boot time are the script's; what only measures a wait goes on, slower."""
    real_clock_ns, real_monotonic, began_s = time.clock_gettime_ns, time.monotonic, time.monotonic()

    def clock_gettime_ns(clk_id: int) -> int:
        match clk_id:
            case time.CLOCK_BOOTTIME | time.CLOCK_MONOTONIC:
                return clock.mono_ns()
            case time.CLOCK_REALTIME:
                return clock.wall_ns()
            case _:
                return real_clock_ns(clk_id)

    time.clock_gettime_ns = clock_gettime_ns
    time.clock_gettime = lambda clk_id: clock_gettime_ns(clk_id) / 1e9
    time.time_ns = clock.wall_ns
    time.time = lambda: clock.wall_ns() / 1e9
    time.monotonic_ns = clock.mono_ns
    time.monotonic = lambda: began_s + (real_monotonic() - began_s) / SLOWER

    def now(cls: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return cls.fromtimestamp(clock.wall_ns() // 1000 / 1e6, tz)

    # The class must stay itself, since others hold it and compare with it; so its own table is changed.
    (own,) = gc.get_referents(datetime.datetime.__dict__)
    own["now"] = classmethod(now)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))


def script_kernel(clock: ScriptedClock) -> None:
    """The boot id and adjtimex(2) say what the script says."""
    real_open = builtins.open

    def scripted_open(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike) and os.fspath(file) == BOOT_ID:
            mode = options.get("mode", arguments[0] if arguments else "r")
            text = clock.boot() + "\n"
            return io.BytesIO(text.encode("ascii")) if "b" in mode else io.StringIO(text)
        return real_open(file, *arguments, **options)

    builtins.open = io.open = scripted_open  # pathlib takes io's, everybody else the other

    class ScriptedLibrary(ctypes.CDLL):
        def adjtimex(self, timex: Any) -> int:
            status = 0 if clock.synchronised() else STA_UNSYNC
            ctypes.c_int.from_buffer(timex, STATUS_OFFSET).value = status
            return 0 if clock.synchronised() else TIME_ERROR

    ctypes.CDLL = ScriptedLibrary  # type: ignore[misc]


def load_dice(dice: LoadedDice) -> None:
    os.urandom = dice
    random._urandom = dice  # type: ignore[attr-defined]  # what `secrets` draws from

    class SeededRandom(random.Random):
        def __init__(self, x: Any = 1) -> None:
            super().__init__(x)

    random.Random = SeededRandom  # type: ignore[misc]


def fix_version() -> None:
    real = importlib.metadata.version

    def version(distribution_name: str) -> str:
        return VERSION if distribution_name == DISTRIBUTION else real(distribution_name)

    importlib.metadata.version = version


def console_script() -> Any:
    """The function behind `edge-agent`, by pyproject.toml: an installed entry point may be older than the tree."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    module, _, function = project["project"]["scripts"]["edge-agent"].partition(":")
    return getattr(importlib.import_module(module), function)


def main() -> None:
    clock = ScriptedClock(os.environ["GOLDEN_CLOCK"])
    script_time(clock)
    script_kernel(clock)
    load_dice(LoadedDice(os.environ["GOLDEN_DICE"]))
    fix_version()
    sys.argv[0] = "edge-agent"
    console_script()()


if __name__ == "__main__":
    main()
