"""What stands at the far end of each driver's cable in the contract suite. A new driver adds one rig."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from drivers.base import Indicator, Reader, Tap
from drivers.protocols import hid
from drivers.protocols.line import encode_block
from drivers.registry import build_indicator, build_reader
from drivers.simulated.card_peer import CardPeer, Model
from drivers.simulated.palm_terminal import PalmFeeder
from drivers.simulated.pn532_peer import Pn532Peer
from drivers.transports.evdev import EVENT_BYTES


class ReaderRig(Protocol):
    """One device that can be used, pulled and put back."""

    def build(self, tap: Tap | None = None) -> Reader: ...

    def show(self) -> None:
        """Make the device report something."""

    def rubbish(self) -> None:
        """Make it send what is no frame."""

    def unplug(self) -> None: ...

    def replug(self) -> None: ...

    def dispose(self) -> None: ...


class CardRig:
    """A real driver on a pseudo-terminal."""

    def __init__(self, folder: Path, model: Model) -> None:
        self._peer = CardPeer(folder / "usb-reader-if00", model)
        self._driver = model.driver
        self.show_uid = bytes.fromhex("1F00644BB6")

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader(self._driver, "left", {"port": str(self._peer.port)}, tap=tap)

    def show(self) -> None:
        self._peer.present(self.show_uid)

    def rubbish(self) -> None:
        self._peer.noise(b"\xff\xfe\r\n")

    def unplug(self) -> None:
        self._peer.unplug()

    def replug(self) -> None:
        self._peer.replug()

    def dispose(self) -> None:
        self._peer.unplug()


class Pn532Rig:
    """A real driver in conversation with a chip."""

    def __init__(self, folder: Path) -> None:
        self._peer = Pn532Peer(folder / "usb-ch340-if00")

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("pn532", "left", {"port": str(self._peer.port), "poll_ms": 50}, tap=tap)

    def show(self) -> None:
        self._peer.present(bytes.fromhex("047BCB51962280"))

    def rubbish(self) -> None:
        self._peer.noise()

    def unplug(self) -> None:
        self._peer.unplug()

    def replug(self) -> None:
        self._peer.replug()

    def dispose(self) -> None:
        self._peer.unplug()


class LineRig:
    """Any sender of lines on a pseudo-terminal."""

    def __init__(self, folder: Path, form: str, shown: bytes, rubbish: bytes) -> None:
        self._peer = CardPeer(folder / "usb-cdc-if00")
        self._form, self._shown, self._rubbish = form, shown, rubbish

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("line", "left", {"port": str(self._peer.port), "form": self._form}, tap=tap)

    def show(self) -> None:
        self._peer.send(self._shown)

    def rubbish(self) -> None:
        self._peer.send(self._rubbish)

    def unplug(self) -> None:
        self._peer.unplug()

    def replug(self) -> None:
        self._peer.replug()

    def dispose(self) -> None:
        self._peer.unplug()


class WedgeRig:
    """A keyboard reader's events through a named pipe: no input device can be made here."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "event0"
        self._device: int | None = None
        self.replug()

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("hid-wedge", "left", {"device": str(self._path)}, tap=tap)

    def show(self) -> None:
        assert self._device is not None
        os.write(self._device, hid.encode("0012345678", size=EVENT_BYTES))

    def rubbish(self) -> None:
        assert self._device is not None
        os.write(self._device, hid.encode("12", size=EVENT_BYTES))

    def unplug(self) -> None:
        if self._device is not None:
            os.close(self._device)
            self._device = None
            self._path.unlink()

    def replug(self) -> None:
        os.mkfifo(self._path)
        self._device = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def dispose(self) -> None:
        self.unplug()


class PalmTerminalRig:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "palm.sock"

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("simulated-palm-terminal", "palm", {"socket": str(self._path)}, tap=tap)

    def show(self) -> None:
        feeder = PalmFeeder(self._path)
        feeder.match("1042", 9731)
        feeder.close()

    def rubbish(self) -> None:
        feeder = PalmFeeder(self._path)
        feeder.match("not a number at all")
        feeder.close()

    def unplug(self) -> None:
        feeder = PalmFeeder(self._path)
        feeder.unplug()
        feeder.close()

    def replug(self) -> None:
        """Opening it again is enough."""

    def dispose(self) -> None:
        """Nothing of it is left once the driver is closed."""


READERS: Mapping[str, Callable[[Path], ReaderRig]] = {
    "em4100": lambda folder: CardRig(folder, Model.RDM6300),
    "em4100/id-12la": lambda folder: CardRig(folder, Model.ID12LA),
    "ironlogic": lambda folder: CardRig(folder, Model.IRONLOGIC),
    "pn532": Pn532Rig,
    "line/w26": lambda folder: LineRig(folder, "w26-hex", b"1293D8\r", b"\xff\xfe\r"),
    "line/block": lambda folder: LineRig(folder, "block", encode_block(b"0012345678"), b"\x02\xff\r\n"),
    "line/code": lambda folder: LineRig(folder, "code", "]Q1Әлия-5".encode(), b"\xff\xfe\r\n"),
    "hid-wedge": WedgeRig,
    "simulated-palm-terminal": PalmTerminalRig,
}

INDICATORS: Mapping[str, Callable[[Path], Indicator]] = {
    "simulated-light": lambda folder: build_indicator("simulated-light", "door", {"file": str(folder / "light.jsonl")}),
}
