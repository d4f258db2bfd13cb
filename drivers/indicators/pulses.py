"""Outputs that are on for a moment only: lamps and gates behind relays and pins.

An output is off before anything else happens (`open`), after every pulse, also one that failed, and at `close`, which
ends a pulse that is under way. No pulse is longer than PULSE_MS_MAX, whatever the settings say.

Neither this process alone nor its guardian alone holds an output: the guardian does the pulses, and each of the two
switches off when the other dies. There is no pulse without a guardian.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from drivers.base import Tap
from drivers.errors import DeviceError, DeviceGone
from drivers.indicators.guard import GuardianProcess

PULSE_MS_MAX = 2_000


class RelayBoard(Protocol):
    """Outputs by number behind one descriptor. `request` is the ioctl that takes the bytes; 0: they are written."""

    request: int

    def open(self) -> int:
        """Opens the board, and returns its descriptor, which a child process may be given. The bytes below hold while
        it is open.
        """

    def on(self, outputs: Sequence[int]) -> bytes: ...

    def off(self) -> bytes:
        """Returns the bytes that switch all outputs off."""

    def switch(self, data: bytes) -> None:
        """Switches at once, from this process."""

    def close(self) -> None: ...


class Pulses:
    def __init__(self, board: RelayBoard, tap: Tap | None = None) -> None:
        self._board, self._tap = board, tap
        self._in_use = threading.Lock()
        self._guard: GuardianProcess | None = None  # None: not open
        self._descriptor = -1

    def open(self) -> None:
        with self._in_use:
            self._descriptor = self._board.open()
            try:
                self._off()
                self._guard = self._new_guard()
            except DeviceError:
                self._board.close()
                raise

    def pulse(self, outputs: Sequence[int], pulse_ms: int) -> None:
        """Switches outputs on, and off again before this returns. Raises DeviceGone when nobody can know that it
        worked. It is also raised when the guardian had died before: then a new one has done the pulse.
        """
        with self._in_use:
            guard = self._guard
            if guard is None:
                raise DeviceGone("the outputs are not open")
            died = guard.pid if guard.died() else 0
            if died:
                guard.kill()
                self._off()
                guard = self._guard = self._new_guard()
            if outputs:
                self._through(guard, self._board.on(outputs), min(pulse_ms, PULSE_MS_MAX))
            if died:
                raise DeviceGone(
                    f"the guardian of the outputs (process {died}) had died and was started anew: see the system's log"
                )

    def close(self) -> None:
        guard = self._guard
        if guard is not None:
            guard.hang_up()
        with self._in_use:
            guard, self._guard = self._guard, None
            if guard is None:
                return
            guard.leave()
            try:
                with suppress(DeviceGone):  # it is away, and was off after its last pulse
                    self._off()
            finally:
                self._board.close()

    def _through(self, guard: GuardianProcess, on: bytes, pulse_ms: int) -> None:
        self._tell(on)
        if guard.pulse(on, pulse_ms):
            self._tell(self._board.off())
            return
        guard.kill()  # first: one that hangs might go on
        self._off()
        raise DeviceGone(
            f"the guardian of the outputs (process {guard.pid}) died in a pulse, which was ended: see the system's log"
        )

    def _new_guard(self) -> GuardianProcess:
        return GuardianProcess(self._descriptor, self._board.request, self._board.off())

    def _off(self) -> None:
        off = self._board.off()
        self._tell(off)
        self._board.switch(off)

    def _tell(self, data: bytes) -> None:
        if self._tap is not None:
            self._tap("SEND", data)
