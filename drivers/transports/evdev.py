"""A Linux input device (/dev/input/event…), held by us alone: what its keys do reaches no screen.

Bytes are the kernel's `struct input_event`; the kernel hands on whole ones. Two ioctls are all that is needed, so no
library. Unplugged, the device says ENODEV. A named pipe does as well, for a test or a recording: it cannot be grabbed.
"""

import errno
import fcntl
import os
import select
import socket
import stat
import threading
from contextlib import suppress

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.protocols.hid import SIZE_HERE
from drivers.transports.base import READ_BYTES_MAX

EVENT_BYTES = SIZE_HERE  # 24, or 16 on a 32-bit system
EVIOCGRAB = 0x40044590  # linux/input.h: _IOW('E', 0x90, int)


class InputDevice:
    def __init__(self, path: str, *, grab: bool = True) -> None:
        self.path = path
        self._grab = grab
        self._in_use = threading.Lock()
        self._closing = threading.Lock()
        self._device: int | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._device is not None:
                raise RuntimeError(f"{self.path} is already open: close it first")
            try:
                device = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise self._translated(error) from error
            try:
                self._take_alone(device)
            except OSError as error:
                os.close(device)
                raise self._translated(error) from error
            self._device, self._wake = device, socket.socketpair()

    def read(self, timeout_s: float) -> bytes:
        with self._in_use:
            if self._device is None or self._wake is None:
                raise DeviceGone(f"{self.path} is not open")
            woken = self._wake[1].fileno()
            ready, _, _ = select.select([woken, self._device], (), (), timeout_s)
            if woken in ready or not ready:
                return b""
            try:
                data = os.read(self._device, READ_BYTES_MAX // EVENT_BYTES * EVENT_BYTES)
            except BlockingIOError:
                return b""
            except OSError as error:
                raise self._translated(error) from error
            if not data:
                raise DeviceGone(f"{self.path} was closed at its other end")
            return data

    def write(self, data: bytes) -> None:
        raise NotSupported(f"{self.path} is a keyboard: nothing can be written to it")

    def close(self) -> None:
        with self._closing:
            if self._wake is None:
                return
            with suppress(OSError):
                self._wake[0].send(b"x")
            with self._in_use:
                if self._device is not None:
                    os.close(self._device)  # which ends the grab too
                for end in self._wake:
                    end.close()
                self._device = self._wake = None

    def _take_alone(self, device: int) -> None:
        fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self._grab and not stat.S_ISFIFO(os.fstat(device).st_mode):
            fcntl.ioctl(device, EVIOCGRAB, 1)

    def _translated(self, error: OSError) -> DeviceError:
        match error.errno:
            case errno.EBUSY | errno.EAGAIN:
                return DeviceBusy(
                    f"{self.path} is held by another program: `fuser -v {self.path}` or `lsof {self.path}` says by "
                    "which; stop it, then the reader is ours"
                )
            case errno.EACCES | errno.EPERM:
                return DeviceGone(
                    f"{self.path}: no permission; install the udev rules or add the agent's user to the group input"
                )
            case errno.ENOENT | errno.ENODEV | errno.ENXIO:
                return DeviceGone(f"{self.path} is not there: check that the reader is plugged in")
            case errno.ENOTTY | errno.EINVAL | errno.EISDIR:
                return NotSupported(f"{self.path} is no input device: name one under /dev/input/by-path")
        return DeviceGone(f"{self.path} went away: {error.strerror or error}")
