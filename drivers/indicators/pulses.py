"""Outputs that are on for a moment only: lamps and gates behind relays and pins.

An output is off before anything else happens (`open`), after every pulse, also one that failed, and at `close`, which
ends a pulse that is under way. No pulse is longer than PULSE_MS_MAX, whatever the settings say.

What no program can do: switch off after it was killed in the middle of a pulse. The supervisor starts the kiosk again
within seconds and `open` switches off; a gate whose lock must never wait for that has a pulse input of its own.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

from drivers.errors import DeviceGone

PULSE_MS_MAX = 2_000


class Switches(Protocol):
    """Outputs by number."""

    def open(self) -> None: ...

    def on(self, outputs: Sequence[int]) -> None: ...

    def off(self) -> None:
        """All of them."""

    def close(self) -> None: ...


class Pulses:
    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._in_use = threading.Lock()
        self._ended = threading.Event()  # wakes a pulse that is under way
        self._is_open = False

    def open(self) -> None:
        with self._in_use:
            self._switches.open()
            try:
                self._switches.off()
            except DeviceGone:
                self._switches.close()
                raise
            self._ended.clear()
            self._is_open = True

    def pulse(self, outputs: Sequence[int], pulse_ms: int) -> None:
        """On, and off again before this returns. Raises DeviceGone when it cannot be known that it worked."""
        with self._in_use:
            if not self._is_open:
                raise DeviceGone("the outputs are not open")
            if not outputs:
                return
            try:
                self._switches.on(outputs)
                self._ended.wait(min(pulse_ms, PULSE_MS_MAX) / 1000)
            finally:
                self._switches.off()

    def close(self) -> None:
        self._ended.set()
        with self._in_use:
            if not self._is_open:
                return
            self._is_open = False
            try:
                self._switches.off()
            except DeviceGone:
                pass  # it is away, and was off after its last pulse
            finally:
                self._switches.close()
