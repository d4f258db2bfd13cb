"""The outputs themselves: a relay board on a serial port, pins of the board."""

import fcntl
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.errors import DeviceGone, NotSupported
from drivers.installation import build_install_command
from drivers.protocols import lcus
from drivers.transports.base import device_gone_on_error
from drivers.transports.serial import Serial, SerialLine

if TYPE_CHECKING:
    import gpiod

# linux/gpio.h: _IOWR(0xB4, 0x0F, struct gpio_v2_line_values), which is two numbers of 64 bits: the values, and which
# lines of the request are meant, each by its place in it.
GPIO_V2_LINE_SET_VALUES_IOCTL = 0xC010B40F
_LINE_VALUES = struct.Struct("=QQ")


class Relays:
    """LCUS relays on a serial port; outputs are numbered from 1."""

    request = 0

    def __init__(self, port: str, relays: Sequence[int]) -> None:
        self._port, self._relays = Serial(port, SerialLine()), sorted(set(relays))

    def open(self) -> int:
        self._port.open()
        return self._port.fileno()

    def on(self, outputs: Sequence[int]) -> bytes:
        return b"".join(lcus.encode(relay, on=True) for relay in outputs)

    def off(self) -> bytes:
        return b"".join(lcus.encode(relay, on=False) for relay in self._relays)

    def switch(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        self._port.close()


class Pins:
    """Lines of a GPIO chip by gpiod 2. The kernel holds them for us alone; others get EBUSY.

    They are let go when nobody has the request's descriptor open any more, and what they do then is up to the chip:
    give each a resistor that pulls it to its resting level. Values are logical: the kernel inverts what is active low.
    """

    request = GPIO_V2_LINE_SET_VALUES_IOCTL

    def __init__(self, chip: str, lines: Sequence[int], *, active_low: bool) -> None:
        self._chip, self._lines, self._active_low = chip, sorted(set(lines)), active_low
        self._request: gpiod.LineRequest | None = None

    def open(self) -> int:
        try:
            import gpiod
            from gpiod.line import Direction, Value
        except ImportError as error:
            raise NotSupported(
                "pins need the extra gpio, which is not installed", build_install_command("gpio")
            ) from error
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=self._active_low
        )
        with device_gone_on_error(f"cannot take lines {self._lines} of {self._chip}; `gpioinfo` says who has them"):
            self._request = gpiod.request_lines(
                self._chip, consumer="edge-agent", config={tuple(self._lines): settings}
            )
        descriptor: int = self._request.fd
        return descriptor

    def on(self, outputs: Sequence[int]) -> bytes:
        lines = sum(1 << self._lines.index(line) for line in outputs)
        return _LINE_VALUES.pack(lines, lines)

    def off(self) -> bytes:
        return _LINE_VALUES.pack(0, (1 << len(self._lines)) - 1)

    def switch(self, data: bytes) -> None:
        if self._request is None:
            raise DeviceGone(f"{self._chip} is not open")
        with device_gone_on_error(self._chip):
            fcntl.ioctl(self._request.fd, self.request, data)

    def close(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()
