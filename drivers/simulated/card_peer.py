"""A card reader on a pseudo-terminal: the far end of the cable, so that the real driver runs.

It speaks the bytes of an RDM6300, an ID-12LA or an Iron Logic reader, behind a stable name as udev gives it under
/dev/serial/by-id. It does nothing by itself: whoever holds it says when a card comes and goes.

Does not imitate: the speed of the line (bytes arrive at once), a reader's own timing, two cards in one field, modem
lines, USB. As on a real line, what nobody reads in time is lost.
"""

import os
import tty
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from drivers.errors import DeviceGone
from drivers.protocols import em4100, ironlogic
from drivers.transports.base import device_gone_on_error


class ReaderModel(StrEnum):
    RDM6300 = "rdm6300"
    ID12LA = "id12la"
    IRONLOGIC = "ironlogic"

    @property
    def driver(self) -> str:
        """Returns the name of the driver that understands this model."""
        return "ironlogic" if self is ReaderModel.IRONLOGIC else "em4100"


def frame(model: ReaderModel, uid: bytes) -> bytes:
    """Returns the bytes that a reader of this model sends for a card: 5 bytes of EM4100, or 4 or 7 of Mifare for Iron
    Logic.
    """
    match model:
        case ReaderModel.RDM6300:
            return em4100.encode(uid)
        case ReaderModel.ID12LA:
            return em4100.encode(uid, crlf=True)
        case ReaderModel.IRONLOGIC:
            return ironlogic.encode_em_marine(uid) if len(uid) == 5 else ironlogic.encode_mifare(uid)


class CardPeer:
    """A reader of one model. `port` is what goes into the settings; plugged in from the start."""

    def __init__(self, port: Path, model: ReaderModel = ReaderModel.RDM6300) -> None:
        self.port, self.model = port, model
        self._master: int | None = None
        self.replug()

    def present(self, uid: bytes, frames: int = 1) -> None:
        """Puts a card down; a reader of the EM kind sends `frames` frames while it lies there, Iron Logic one line."""
        self.send(frame(self.model, uid) * (1 if self.model is ReaderModel.IRONLOGIC else frames))

    def remove(self) -> None:
        """Takes the card away; only Iron Logic reports it."""
        if self.model is ReaderModel.IRONLOGIC:
            self.send(ironlogic.NO_CARD)

    def phantom(self) -> None:
        """Sends a frame of a card that is not there, as published for EM readers: one frame whose checksum holds."""
        if self.model is not ReaderModel.IRONLOGIC:
            self.send(frame(self.model, bytes.fromhex("00F00000F0")))

    def noise(self, data: bytes = b"\xff\x00\xfe\xff") -> None:
        """Sends bytes that are no frame, as a wrong speed or a wrong level makes them."""
        self.send(data)

    def send(self, data: bytes) -> int:
        """Sends any bytes, and returns how many of them there was room for. Raises DeviceGone while it is unplugged."""
        if self._master is None:
            raise DeviceGone(f"{self.port} is unplugged: replug it first")
        with device_gone_on_error(str(self.port)):
            try:
                return os.write(self._master, data)
            except BlockingIOError:
                return 0

    def fileno(self) -> int:
        """Returns our end of the line, for a peer that also listens. Raises DeviceGone while it is unplugged."""
        if self._master is None:
            raise DeviceGone(f"{self.port} is unplugged: replug it first")
        return self._master

    def unplug(self) -> None:
        """Pulls the cable: the driver's end hangs up and the name goes, as with udev."""
        if self._master is None:
            return
        self.port.unlink(missing_ok=True)
        os.close(self._master)
        self._master = None

    def replug(self) -> None:
        """Puts the cable back: another device node behind the same name."""
        self.unplug()
        with device_gone_on_error(str(self.port)):
            master, slave = os.openpty()
            try:
                # before the driver opens it, the terminal would echo bytes back and change line ends
                tty.setraw(slave)
                os.set_blocking(master, False)
                fresh = self.port.with_name(self.port.name + ".new")
                fresh.unlink(missing_ok=True)
                fresh.symlink_to(os.ttyname(slave))
                fresh.replace(self.port)
            except OSError:
                os.close(master)
                raise
            finally:
                os.close(slave)
            self._master = master

    def __enter__(self) -> "CardPeer":
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        self.unplug()
