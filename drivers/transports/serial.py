"""A serial port by pyserial, held by us alone.

Name it as under /dev/serial/by-id (or by-path for adapters without a serial number of their own): ttyUSB numbers change
on every replug. Two locks are taken: flock, which other well-behaved programs ask for, and TIOCEXCL, which makes the
kernel refuse everybody else who is not root, so that ModemManager or a forgotten terminal steals no bytes.

When a port vanishes, pyserial raises SerialException (an OSError) from reads, and termios.error, which is neither, from
`reset_input_buffer` and whatever else sets terminal attributes.
"""

import errno
import fcntl
import os
import select
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import serial

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.transports.base import READ_BYTES_MAX

WRITE_TIMEOUT_S = 1.0
_PTY_MAJORS = range(136, 144)  # Linux, Documentation/admin-guide/devices.txt


@dataclass(frozen=True, slots=True)
class SerialLine:
    """The settings of a serial line, always with 8 data bits and no parity."""

    baud: int = 9600
    stop_bits: int = 1


class Serial:
    def __init__(self, port: str, line: SerialLine) -> None:
        self.port = port
        self._line = line
        self._open: serial.Serial | None = None
        self._in_use = threading.Lock()  # held by the thread that touches the port; close wakes it, then waits
        self._closing = threading.Lock()

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._open is not None:
                raise RuntimeError(f"{self.port} is already open: close it first")
            with self._errors():
                port = serial.Serial(
                    self.port,
                    baudrate=self._line.baud,
                    stopbits=self._line.stop_bits,
                    timeout=0,
                    write_timeout=WRITE_TIMEOUT_S,
                    exclusive=True,
                )
            try:
                with self._errors():
                    _exclude_others(port.fd)
            except DeviceError:
                port.close()
                raise
            self._open = port

    def fileno(self) -> int:
        """Returns the descriptor, for a child process that is to hold the port as well. Its writes and ours are whole,
        not in turn.
        """
        with self._in_use:
            descriptor: int = self._open_port().fd
            return descriptor

    def read(self, timeout_s: float) -> bytes:
        with self._in_use:
            port = self._open_port()
            try:
                # pyserial reads a count of bytes; whatever there is takes it three system calls more.
                ready, _, _ = select.select([port.fd, port.pipe_abort_read_r], [], [], timeout_s)
                data = os.read(port.fd, READ_BYTES_MAX) if port.fd in ready else None
            except BlockingIOError:
                return b""  # ready, and yet nothing there: select(2) allows it
            except OSError as error:
                raise self._translated(error) from error
            if data is None:
                return b""
            if not data:
                raise DeviceGone(f"{self.port} went away: it has hung up")
            return data

    def write(self, data: bytes) -> None:
        with self._in_use, self._errors():
            self._open_port().write(data)

    def close(self) -> None:
        with self._closing:
            port = self._open
            if port is None:
                return
            self._open = None
            with suppress(OSError):  # to wake a reader that is not there is no fault
                port.cancel_read()
                port.cancel_write()
            with self._in_use:
                with suppress(OSError, termios.error):  # a vanished port has nothing left to release
                    fcntl.ioctl(port.fd, termios.TIOCNXCL)
                with suppress(OSError, termios.error):
                    port.close()

    def _open_port(self) -> serial.Serial:
        if self._open is None:
            raise DeviceGone(f"{self.port} is not open")
        return self._open

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns the errors of pyserial and of the kernel into ours. `termios.error` is no OSError."""
        try:
            yield
        except serial.SerialTimeoutException as error:
            raise DeviceGone(f"{self.port} takes no bytes: check cable and power") from error
        except (OSError, termios.error) as error:
            raise self._translated(error) from error
        except ValueError as error:
            raise NotSupported(f"{self.port}: {error}; correct baud and stop_bits in the settings") from error

    def _translated(self, error: Exception) -> DeviceError:
        match _errno(error):
            case errno.EBUSY | errno.EAGAIN:
                return DeviceBusy(
                    f"{self.port} is held by another program: `fuser -v {self.port}` or `lsof {self.port}` says by "
                    "which; stop it (often ModemManager, a terminal, or a second agent)"
                )
            case errno.EACCES | errno.EPERM:
                return DeviceGone(
                    f"{self.port}: no permission; install the udev rules or add the agent's user to the port's group"
                )
            case errno.ENOENT | errno.ENODEV | errno.ENXIO:
                return DeviceGone(f"{self.port} is not there: check that the reader is plugged in and has power")
            case errno.ENOTTY | errno.EISDIR:
                return NotSupported(f"{self.port} is no serial port: `edge-agent devices probe` lists them")
        return DeviceGone(f"{self.port} went away: {error}")


def _errno(error: BaseException) -> int | None:
    """Returns the system's number of the error, also where pyserial wrapped a termios.error and dropped it."""
    match error:
        case OSError(errno=int() as number) | termios.error(args=(int() as number, *_)):
            return number
    return None if error.__context__ is None else _errno(error.__context__)


def _exclude_others(fd: int) -> None:
    # A pseudo-terminal keeps this mark until its other end closes, even when the holder was killed: the next start
    # would find it busy. Real ports lose it with the last close.
    if os.major(os.fstat(fd).st_rdev) not in _PTY_MAJORS:
        fcntl.ioctl(fd, termios.TIOCEXCL)
