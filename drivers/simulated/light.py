"""`simulated-light`: an indicator that writes down what it was asked to show, in memory and, when named, in a file.

    {"t_ns":123456789,"name":"door","signal":"welcome"}

The file is started anew at each `open` and ends at LIGHT_FILE_BYTES_MAX. Does not imitate: falling back to idle after a
while, lamps that fail, the time a relay takes.
"""

import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, ClassVar

import msgspec

from drivers.base import DriverSettings, Monotonic, Signal, Tap, Transport
from drivers.errors import DeviceGone
from drivers.transports.base import device_gone_on_error

SHOWN_MAX = 10_000
LIGHT_FILE_BYTES_MAX = 16 * 1024 * 1024


class SimulatedLightSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: str = ""  # where to write; empty: in memory only


class SimulatedLight:
    Settings: ClassVar[type[DriverSettings]] = SimulatedLightSettings

    def __init__(
        self,
        name: str,
        settings: SimulatedLightSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self._path = settings.file
        self._clock, self._tap, self._transport = clock, tap, transport
        self._file: BinaryIO | None = None
        self._file_lock = threading.Lock()  # another thread may close while this one writes
        self._is_open = False
        self.shown: deque[tuple[int, Signal]] = deque(maxlen=SHOWN_MAX)

    def open(self) -> None:
        if self._transport is not None:
            self._transport.open()
        if self._path:
            with device_gone_on_error(f"cannot write {self._path}"):
                self._file = Path(self._path).open("wb", buffering=0)  # noqa: SIM115  closed by close()
        self._is_open = True

    def show(self, signal: Signal) -> None:
        if not self._is_open:
            raise DeviceGone(f"the simulated light {self.name} is not open")
        now_ns = self._clock()
        line = msgspec.json.encode({"t_ns": now_ns, "name": self.name, "signal": signal}) + b"\n"
        if self._tap is not None:
            self._tap("SEND", line)
        if self._transport is not None:
            self._transport.write(line)
        with self._file_lock, device_gone_on_error(f"cannot write {self._path}"):
            if self._file is not None and self._file.tell() + len(line) <= LIGHT_FILE_BYTES_MAX:
                self._file.write(line)
        self.shown.append((now_ns, signal))

    def close(self) -> None:
        self._is_open = False
        if self._transport is not None:
            self._transport.close()
        with self._file_lock, device_gone_on_error(f"cannot close {self._path}"):
            file, self._file = self._file, None
            if file is not None:
                file.close()
