"""The outputs themselves: a relay board on a serial port, pins of the board."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.base import Transport
from drivers.errors import DeviceGone, NotSupported
from drivers.protocols import lcus
from drivers.transports.base import gone

if TYPE_CHECKING:
    import gpiod


class Relays:
    """LCUS relays on a serial port; outputs are numbered from 1."""

    def __init__(self, transport: Transport, relays: Sequence[int]) -> None:
        self._transport, self._relays = transport, sorted(set(relays))

    def open(self) -> None:
        self._transport.open()

    def on(self, outputs: Sequence[int]) -> None:
        for relay in outputs:
            self._transport.write(lcus.encode(relay, on=True))

    def off(self) -> None:
        self._transport.write(b"".join(lcus.encode(relay, on=False) for relay in self._relays))

    def close(self) -> None:
        self._transport.close()


class Pins:
    """Lines of a GPIO chip by gpiod 2. The kernel holds them for us alone; others get EBUSY.

    When the process dies the kernel lets go of the lines, and what they do then is up to the chip: give each a
    resistor that pulls it to its resting level.
    """

    def __init__(self, chip: str, lines: Sequence[int], *, active_low: bool) -> None:
        self._chip, self._lines, self._active_low = chip, sorted(set(lines)), active_low
        self._request: gpiod.LineRequest | None = None

    def open(self) -> None:
        try:
            import gpiod
            from gpiod.line import Direction, Value
        except ImportError as error:
            raise NotSupported("pins need gpiod 2: pip install canteen-edge-agent[gpio]") from error
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=self._active_low
        )
        with gone(f"cannot take lines {self._lines} of {self._chip}; `gpioinfo` says who has them"):
            self._request = gpiod.request_lines(
                self._chip, consumer="edge-agent", config={tuple(self._lines): settings}
            )

    def on(self, outputs: Sequence[int]) -> None:
        self._set(outputs, on=True)

    def off(self) -> None:
        self._set(self._lines, on=False)

    def close(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()

    def _set(self, lines: Sequence[int], *, on: bool) -> None:
        if self._request is None:
            raise DeviceGone(f"{self._chip} is not open")
        from gpiod.line import Value

        with gone(self._chip):
            self._request.set_values(dict.fromkeys(lines, Value.ACTIVE if on else Value.INACTIVE))
