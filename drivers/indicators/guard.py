"""The agent's end of a guardian: starts it, gives it pulses, and notices when it dies. `drivers.indicators.guardian`
says why there is one.

What the guardian is for, `drivers.indicators.guardian` says.
"""

import os
import select
import subprocess
import sys
import threading
from contextlib import suppress

from drivers.errors import DeviceGone
from drivers.indicators import guardian
from drivers.transports.base import device_gone_on_error

GUARDIAN_START_S = 15.0  # a small computer that starts everything at once
LATE_S = 2.0  # later than this after a pulse's end, the guardian hangs
LEAVE_S = 3.0


class GuardianProcess:
    """A guardian's process. Raises DeviceGone when it cannot be started or does not speak."""

    def __init__(self, board: int, request: int, off: bytes) -> None:
        command = [sys.executable, "-I", "-S", guardian.__file__, str(board), str(request), off.hex()]
        with device_gone_on_error("the guardian of the outputs cannot be started"):
            # A session of its own: what a terminal or `kill -- -GROUP` sends to the agent's group does not reach it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pass_fds=(board,),
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._speaking = threading.Lock()  # held to write orders or to close them
        if self._read_answer(GUARDIAN_START_S) != guardian.READY:
            self.kill()
            raise DeviceGone("the guardian of the outputs does not start: look for it in the log of this process")

    @property
    def pid(self) -> int:
        return self._process.pid

    def died(self) -> bool:
        """Tells if the guardian ended by itself."""
        return not self._orders.closed and self._process.poll() is not None

    def pulse(self, on: bytes, pulse_ms: int) -> bool:
        """Has an output switched on, and off again before this returns. False: the guardian died or hangs; kill it and
        switch off.
        """
        order = pulse_ms.to_bytes(2, "big") + on
        assert len(order) <= guardian.ORDER_BYTES_MAX
        try:
            with self._speaking:
                if self._orders.closed:
                    raise DeviceGone("the outputs are being closed")
                self._orders.write(order)
        except BrokenPipeError:
            return False
        return self._read_answer(pulse_ms / 1000 + LATE_S) == guardian.OVER

    def hang_up(self) -> None:
        """Ends a pulse that is under way, and the guardian once it has switched off. Any thread may call it."""
        with self._speaking:
            self._orders.close()

    def leave(self) -> None:
        """Ends the guardian in order, and kills it where that takes too long."""
        self.hang_up()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self.kill()

    def kill(self) -> None:
        """Kills the guardian. After this it switches nothing any more."""
        self._process.kill()
        self._process.wait()
        self.hang_up()
        self._answers.close()

    def _read_answer(self, within_s: float) -> bytes:
        """Returns the guardian's next answer; empty when it died or says nothing."""
        ready, _, _ = select.select([self._answers], [], [], within_s)
        return os.read(self._answers.fileno(), 1) if ready else b""
