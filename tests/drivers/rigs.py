"""What stands at the far end of each driver's cable in the contract suite. A new driver adds one rig."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from drivers.base import Indicator, Reader, Tap
from drivers.protocols import bridge, hid
from drivers.protocols.line import encode_block
from drivers.registry import indicator_class
from drivers.settings import parse
from drivers.simulated.card_peer import CardPeer, ReaderModel
from drivers.simulated.mqtt_reader import MqttReaderPeer
from drivers.simulated.palm_bridge_vendor import PalmVendor
from drivers.simulated.palm_terminal import PalmFeeder
from drivers.simulated.pn532_peer import Pn532Peer
from drivers.simulated.zk_terminal import SimulatedZkTerminal
from drivers.transports.evdev import EVENT_BYTES
from drivers.transports.memory import MemoryTransport
from tests.drivers.building import build_indicator, build_reader
from tests.drivers.network.mosquitto_broker import MOSQUITTO, MosquittoBroker, needs_mosquitto
from tests.drivers.osdp_peer import OsdpPeer
from tests.drivers.palm.mjpeg_camera import MjpegCamera, jpeg, picture
from tests.drivers.pcsc_peer import ONE_PCSCD, READER, PcscPeer
from tests.drivers.relay_board import RelayBoard


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

    def __init__(self, folder: Path, model: ReaderModel) -> None:
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


class AdmsRig:
    """A terminal that calls over loopback. Its answers are left unread: the reader belongs to the test's own thread."""

    SERIAL = "BOCK200961014"

    def __init__(self, _: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._calls: list[socket.socket] = []
        self._punches = 0
        self._silent = False
        self._asked = 0

    def build(self, tap: Tap | None = None) -> Reader:
        options = {"listen": f"127.0.0.1:{self._port}", "serials": [self.SERIAL]}
        return build_reader("zk-adms", "palm", options, clock=self._clock, tap=tap)

    def show(self) -> None:
        self._punches += 1
        row = f"1001\t2026-11-20 09:{self._punches // 60:02d}:{self._punches % 60:02d}\t0\t25\t0\t0\t0\n"
        head = f"POST /iclock/cdata?SN={self.SERIAL}&table=ATTLOG&Stamp=9999 HTTP/1.1\r\nHost: kiosk\r\n"
        self._call(f"{head}Content-Length: {len(row)}\r\n\r\n{row}".encode())

    def rubbish(self) -> None:
        self._call(b"\xff\xfe\r\n\r\n")

    def unplug(self) -> None:
        """One last sign of life, and then the time runs."""
        self._call(f"GET /iclock/getrequest?SN={self.SERIAL} HTTP/1.1\r\nHost: kiosk\r\n\r\n".encode())
        self._silent = True

    def replug(self) -> None:
        self._silent = False
        self._hang_up()

    def dispose(self) -> None:
        self._hang_up()

    def _call(self, request: bytes) -> None:
        call = socket.create_connection(("127.0.0.1", self._port))
        call.sendall(request)
        self._calls.append(call)

    def _hang_up(self) -> None:
        for call in self._calls:
            call.close()
        self._calls.clear()

    def _clock(self) -> int:
        self._asked += 1
        return time.monotonic_ns() + (self._asked * 1_000_000_000_000 if self._silent else 0)


class HikvisionRig:
    """A terminal that posts over loopback, as `AdmsRig` does, and is never asked."""

    SERIAL = "DS-K1T341AM20220210V030230ENGA6820584"

    def __init__(self, _: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._calls: list[socket.socket] = []
        self._events = 0
        self._silent = False

    def build(self, tap: Tap | None = None) -> Reader:
        options = {"listen": f"127.0.0.1:{self._port}", "terminals": [{"serial": self.SERIAL}]}
        return build_reader("hikvision", "palm", options, clock=self._clock, tap=tap)

    def show(self) -> None:
        self._events += 1
        inner = f'"majorEventType":5,"subEventType":75,"employeeNoString":"1001","serialNo":{self._events}'
        head = '{"dateTime":"2026-11-20T09:40:15+05:00","eventType":"AccessControllerEvent"'
        self._post(head + ',"AccessControllerEvent":{' + inner + "}}")

    def rubbish(self) -> None:
        self._post("rubbish")

    def unplug(self) -> None:
        """The time runs, and nothing comes."""
        self._silent = True

    def replug(self) -> None:
        self._silent = False
        self.dispose()

    def dispose(self) -> None:
        for call in self._calls:
            call.close()
        self._calls.clear()

    def _post(self, body: str) -> None:
        call = socket.create_connection(("127.0.0.1", self._port))
        head = f"POST /hikvision/{self.SERIAL} HTTP/1.1\r\nHost: kiosk\r\nContent-Type: application/json\r\n"
        call.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        self._calls.append(call)

    def _clock(self) -> int:
        return time.monotonic_ns() + (1_000_000_000_000 if self._silent else 0)


class GateRig:
    """A system that posts over loopback, with a token."""

    SECRET = "0123456789abcdef"

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._secret_file = folder / "secret"
        self._secret_file.write_text(self.SECRET)
        self._secret_file.chmod(0o600)
        self._calls: list[socket.socket] = []
        self._records = 0
        self._silent = False

    def build(self, tap: Tap | None = None) -> Reader:
        options = {
            "listen": f"127.0.0.1:{self._port}",
            "secret_file": str(self._secret_file),
            "person": "/person",
            "id": "/id",
            "silence_s": 60,
        }
        return build_reader("http-gate", "gate", options, clock=self._clock, tap=tap)

    def show(self) -> None:
        self._records += 1
        self._post(f'{{"id":{self._records},"person":"1001"}}')

    def rubbish(self) -> None:
        self._post("rubbish")

    def unplug(self) -> None:
        """The time runs, and nothing comes."""
        self._silent = True

    def replug(self) -> None:
        self._silent = False
        self.dispose()

    def dispose(self) -> None:
        for call in self._calls:
            call.close()
        self._calls.clear()

    def _post(self, body: str) -> None:
        call = socket.create_connection(("127.0.0.1", self._port))
        head = f"POST /gate HTTP/1.1\r\nHost: kiosk\r\nAuthorization: Bearer {self.SECRET}\r\n"
        call.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        self._calls.append(call)

    def _clock(self) -> int:
        return time.monotonic_ns() + (1_000_000_000_000 if self._silent else 0)


class MqttRig:
    """A reader's messages through a real broker; unplugging takes the broker away."""

    def __init__(self, folder: Path) -> None:
        if not MOSQUITTO:
            pytest.skip(needs_mosquitto.kwargs["reason"])
        self._broker = MosquittoBroker(folder)
        self._messages = 0

    def build(self, tap: Tap | None = None) -> Reader:
        options = {"host": "127.0.0.1", "port": self._broker.port, "topics": {"door/tag": "plain"}}
        return build_reader("mqtt", "left", options | {"client_id": f"rig-{self._broker.port}"}, tap=tap)

    def show(self) -> None:
        self._messages += 1
        self._publish(f"04-A3-C6-{self._messages:02X}")

    def rubbish(self) -> None:
        self._publish("")

    def unplug(self) -> None:
        self._broker.stop()

    def replug(self) -> None:
        self._broker.start()

    def dispose(self) -> None:
        self._broker.stop()

    def _publish(self, payload: str) -> None:
        peer = MqttReaderPeer("127.0.0.1", self._broker.port)
        peer.publish("door/tag", payload)
        peer.close()


class Zk4370Rig:
    """The simulated terminal on loopback."""

    def __init__(self, _: Path) -> None:
        self._terminal = SimulatedZkTerminal(clock=self._now)
        self._punches = 0
        self.unplug, self.replug, self.dispose = self._terminal.unplug, self._terminal.plug_in, self._terminal.unplug

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("zk-4370", "old", {"host": "127.0.0.1", "port": self._terminal.port}, tap=tap)

    def show(self) -> None:
        self._punches += 1
        self._terminal.punch("1001", self._now() - timedelta(hours=1, seconds=-self._punches))

    def rubbish(self) -> None:
        while not self._terminal.clients:  # the caller is connected before the terminal has noticed
            time.sleep(0.001)
        self._terminal.noise(b"\xff\xfe\r\n")

    def _now(self) -> datetime:
        return (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0, tzinfo=None)


class BridgeRig:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "bridge.sock"

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("palm-bridge", "palm", {"socket": str(self._path)}, tap=tap)

    def show(self) -> None:
        self._say(bridge.encode("match", {"subject": "1042", "score": 9731, "hand": "left", "live": True}))

    def rubbish(self) -> None:
        self._say(b"{rubbish}\n")

    def unplug(self) -> None:
        self._say(bridge.encode("gone"))

    def replug(self) -> None:
        """Opening it again is enough."""

    def dispose(self) -> None:
        """Nothing of it is left once the driver is closed."""

    def _say(self, data: bytes) -> None:
        vendor = PalmVendor(self._path)
        vendor.send(data)
        vendor.close()


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


class OsdpRig:
    """libosdp's own reader in another process, at the end of a terminal, with its secure channel on."""

    def __init__(self, folder: Path) -> None:
        self._peer = OsdpPeer(folder, bytes.fromhex("202122232425262728292A2B2C2D2E2F"))
        self.port = self._peer.port
        self.unplug, self.replug, self.dispose = self._peer.unplug, self._peer.replug, self._peer.dispose

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader(
            "osdp", "left", {"port": str(self._peer.port), "key_file": str(self._peer.key_file)}, tap=tap
        )

    def show(self) -> None:
        self._peer.card(32, bytes.fromhex("04A3C6CA"))

    def rubbish(self) -> None:
        self._peer.noise(b"\x00\xfe\r\n")


class PcscRig:
    """The real pcscd with a virtual reader; skips where it cannot run."""

    def __init__(self, _folder: Path) -> None:
        self._peer = PcscPeer()
        self.unplug, self.replug, self.dispose = self._peer.unplug, self._peer.replug, self._peer.dispose

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("pcsc", "left", {"reader": READER}, tap=tap)

    def show(self) -> None:
        self._peer.insert()

    def rubbish(self) -> None:
        self._peer.insert(b"", status=b"\x6a\x81")


class MjpegRig:
    """A network camera on loopback. V4L2 cannot be had without a kernel module: see tests/drivers/palm."""

    def __init__(self, _: Path) -> None:
        self._camera = MjpegCamera()
        self.show, self.unplug, self.replug = self._camera.show, self._camera.pull, self._camera.plug_in
        self.dispose = self._camera.pull

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("camera", "palm", {"source": self._camera.url, "silence_s": 1.5}, tap=tap)

    def rubbish(self) -> None:
        self._camera.send(b"no picture at all")


class FolderRig:
    """Pictures that are put into a folder while it is played."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "palms"
        self._number = 0
        self.replug()

    def build(self, tap: Tap | None = None) -> Reader:
        return build_reader("folder", "palm", {"folder": str(self._folder)}, tap=tap)

    def show(self) -> None:
        self._put(jpeg(picture(self._number)))

    def rubbish(self) -> None:
        self._put(jpeg(picture(0))[:500])

    def unplug(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def replug(self) -> None:
        self._folder.mkdir()

    def dispose(self) -> None:
        self.unplug()

    def _put(self, body: bytes) -> None:
        self._number += 1
        whole = self._folder / f"{self._number:04}.jpg"
        whole.with_name(".new").write_bytes(body)
        whole.with_name(".new").rename(whole)


READERS: Mapping[str, Callable[[Path], ReaderRig]] = {
    "em4100": lambda folder: CardRig(folder, ReaderModel.RDM6300),
    "em4100/id-12la": lambda folder: CardRig(folder, ReaderModel.ID12LA),
    "ironlogic": lambda folder: CardRig(folder, ReaderModel.IRONLOGIC),
    "pn532": Pn532Rig,
    "line/w26": lambda folder: LineRig(folder, "w26-hex", b"1293D8\r", b"\xff\xfe\r"),
    "line/block": lambda folder: LineRig(folder, "block", encode_block(b"0012345678"), b"\x02\xff\r\n"),
    "line/code": lambda folder: LineRig(folder, "code", "]Q1Әлия-5".encode(), b"\xff\xfe\r\n"),
    "hid-wedge": WedgeRig,
    "osdp": OsdpRig,
    "pcsc": PcscRig,
    "zk-adms": AdmsRig,
    "zk-4370": Zk4370Rig,
    "hikvision": HikvisionRig,
    "http-gate": GateRig,
    "mqtt": MqttRig,
    "palm-bridge": BridgeRig,
    "camera": MjpegRig,
    "folder": FolderRig,
    "simulated-palm-terminal": PalmTerminalRig,
}


class IndicatorRig(Protocol):
    """One light or gate that can be used, pulled and put back."""

    def build(self, tap: Tap | None = None) -> Indicator: ...

    def unplug(self) -> None: ...

    def replug(self) -> None: ...

    def dispose(self) -> None: ...


class SimulatedLightRig:
    """It has nothing to pull but what it writes to."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "light.jsonl"
        self._line = MemoryTransport()
        self.unplug, self.replug = self._line.unplug, self._line.replug

    def build(self, tap: Tap | None = None) -> Indicator:
        cls = indicator_class("simulated-light")
        return cls("door", parse(cls.Settings, {"file": str(self._file)}), tap=tap, transport=self._line)

    def dispose(self) -> None:
        """Nothing of it is left."""


class OsdpLightRig:
    """The lamp goes with its reader."""

    def __init__(self, folder: Path) -> None:
        self._rig = OsdpRig(folder)
        self._reader = self._rig.build()
        self._reader.open()

    def build(self, tap: Tap | None = None) -> Indicator:
        return build_indicator("osdp-light", "lamp", {"port": str(self._rig.port)}, tap=tap)

    def unplug(self) -> None:
        self._reader.close()

    def replug(self) -> None:
        self._reader.open()

    def dispose(self) -> None:
        self._reader.close()
        self._rig.dispose()


class RelayRig:
    def __init__(self, folder: Path, driver: str, options: Mapping[str, object]) -> None:
        self._board = RelayBoard(folder / "usb-relay-if00")
        self._driver, self._options = driver, options
        self.unplug, self.replug, self.dispose = self._board.unplug, self._board.replug, self._board.unplug

    def build(self, tap: Tap | None = None) -> Indicator:
        return build_indicator(self._driver, "gate", {"port": str(self._board.port)} | dict(self._options), tap=tap)


class GpioRig:
    """Skips: no machine of ours has pins."""

    def __init__(self, _folder: Path) -> None:
        pytest.skip("no /dev/gpiochip with free pins: tried on hardware only")

    def build(self, tap: Tap | None = None) -> Indicator:
        return build_indicator("gpio", "lamp", {"welcome": 17}, tap=tap)

    def unplug(self) -> None:
        """Pins are not pulled."""

    def replug(self) -> None:
        """Nor put back."""

    def dispose(self) -> None:
        """Nothing of it is left."""


class Acr122uLightRig:
    def __init__(self, _folder: Path) -> None:
        self._peer = PcscPeer()
        self._put_card()
        self.unplug, self.dispose = self._peer.unplug, self._peer.dispose

    def build(self, tap: Tap | None = None) -> Indicator:
        return build_indicator("acr122u-light", "lamp", {"reader": READER}, tap=tap)

    def replug(self) -> None:
        self._peer.replug()
        self._put_card()

    def _put_card(self) -> None:
        """Put one down and wait until pcscd sees it: without a card the lamp needs pcscd's leave, off by default."""
        self._peer.insert()
        reader = build_reader("pcsc", "left", {"reader": READER})
        reader.open()
        assert any(reader.read(0.1) for _ in range(200)), "pcscd does not see the card"
        reader.close()


RELAYS = {"welcome": 1, "noted": 2, "ask": 3, "fault": 4, "pulse_ms": 50}

INDICATORS: Mapping[str, Callable[[Path], IndicatorRig]] = {
    "simulated-light": SimulatedLightRig,
    "osdp-light": OsdpLightRig,
    "acr122u-light": Acr122uLightRig,
    "lcus": lambda folder: RelayRig(folder, "lcus", RELAYS),
    "gpio": GpioRig,
    "turnstile": lambda folder: RelayRig(folder, "turnstile", {"way_in": 1, "way_out": 2, "pulse_ms": 100}),
}


def rig_params(names: Iterable[str]) -> list[object]:
    """Return the rigs' names as parameters of a fixture; those that share one pcscd are kept on one worker."""
    return [pytest.param(name, marks=ONE_PCSCD) if name in ("pcsc", "acr122u-light") else name for name in names]
