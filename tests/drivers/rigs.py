"""What stands at the far end of each driver's cable in the contract suite. A new driver adds one rig."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from drivers.base import Indicator, Reader, Tap
from drivers.registry import build_indicator, build_reader
from drivers.simulated.card_peer import CardPeer, Model
from drivers.simulated.palm_terminal import PalmFeeder
from drivers.simulated.pn532_peer import Pn532Peer


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
    "simulated-palm-terminal": PalmTerminalRig,
}

INDICATORS: Mapping[str, Callable[[Path], Indicator]] = {
    "simulated-light": lambda folder: build_indicator("simulated-light", "door", {"file": str(folder / "light.jsonl")}),
}
