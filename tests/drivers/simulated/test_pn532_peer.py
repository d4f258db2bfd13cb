"""Other people's hosts, each against our chip on a pseudo-terminal: they say whether it is one."""

import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from drivers.bench.capture import CaptureTap, read_capture
from drivers.cards.pn532 import Pn532, Pn532Settings
from drivers.errors import DeviceGone
from drivers.protocols import pn532
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault
from drivers.simulated.pn532_peer import Chip, Habits, Pn532Peer
from drivers.transports.recorded import RecordedTransport
from tests.drivers.building import build_reader
from tests.drivers.simulated.test_card_peer import read_until

HOSTS = Path(__file__).parents[3] / ".venv" / "hosts"
HANG_S = 60.0
TRIES = 3
CARDS = ("24D34F59", "041F9B02005281")

NFCPY = """
import sys, nfc.clf, nfc.clf.pn532, nfc.clf.transport
device = nfc.clf.pn532.init(nfc.clf.transport.TTY(sys.argv[1]))
print(device.sense_tta(nfc.clf.RemoteTarget("106A")).sdd_res.hex().upper())
device.close()
"""
ADAFRUIT = """
import sys, serial
from adafruit_pn532.uart import PN532_UART
host = PN532_UART(serial.Serial(sys.argv[1], 115200, timeout=0.2))
host.SAM_configuration()
print(bytes(host.read_passive_target(timeout=2)).hex().upper())
"""


@pytest.fixture(params=[0, 3], ids=["in one", "in threes"])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pn532Peer]:
    with Pn532Peer(tmp_path / "pn532", Habits(piece_bytes=request.param)) as peer:
        yield peer


def told_by(command: Sequence[str | Path], environment: Mapping[str, str], uid: str) -> str:
    """What a host prints of the card. It gives an answer 100 ms, which a busy machine may miss: it has three tries."""
    for _ in range(TRIES):
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=HANG_S, env={**os.environ, **environment}
        )
        if uid in run.stdout.replace(" ", "").upper():
            return run.stdout
    pytest.fail(f"no card was read: {run.stdout}{run.stderr}")


@pytest.mark.parametrize("uid", CARDS)
@pytest.mark.parametrize("host", [NFCPY, ADAFRUIT], ids=["nfcpy", "adafruit"])
def test_python_hosts_read_the_card(peer: Pn532Peer, host: str, uid: str) -> None:
    if not (HOSTS / "ready").exists():
        pytest.skip("nfcpy and Adafruit's library are not installed: sh scripts/install-test-hosts.sh")
    peer.present(bytes.fromhex(uid))
    environment = {"BLINKA_FORCEBOARD": "GENERIC_LINUX_PC", "BLINKA_FORCECHIP": "GENERIC_X86"}
    told = told_by([HOSTS / "bin" / "python", "-c", host, os.path.realpath(peer.port)], environment, uid)
    assert told.split() == [uid]


@pytest.mark.parametrize("uid", CARDS)
def test_libnfc_reads_the_card(peer: Pn532Peer, uid: str) -> None:
    if shutil.which("nfc-list") is None:
        pytest.skip("no nfc-list: apt install libnfc-bin")
    peer.present(bytes.fromhex(uid))
    told = told_by(["nfc-list"], {"LIBNFC_DEVICE": f"pn532_uart:{os.path.realpath(peer.port)}:115200"}, uid)
    [line] = [line for line in told.splitlines() if "NFCID1" in line]
    assert line.split(":")[1].replace(" ", "").upper() == uid


@pytest.mark.parametrize("power_down", [True, False])
def test_a_board_that_never_wakes_up_is_read_again_without_power_down(power_down: bool, tmp_path: Path) -> None:
    with Pn532Peer(tmp_path / "pn532", Habits(never_wakes=True)) as peer:
        peer.present(bytes.fromhex(CARDS[0]))
        reader = Pn532("left", Pn532Settings(port=str(peer.port), power_down=power_down))
        reader.open()
        assert isinstance(read_until(reader, 1)[0], CardRead)
        reader.close()
        reader.open()
        if power_down:
            with pytest.raises(DeviceGone, match="power_down = false"):
                read_until(reader, 1)
        else:
            assert isinstance(read_until(reader, 1)[0], CardRead)
        reader.close()


def test_our_own_driver_reads_and_misses_the_card_and_puts_the_chip_to_sleep(peer: Pn532Peer) -> None:
    reader = build_reader("pn532", "left", {"port": str(peer.port), "poll_ms": 50})
    reader.open()
    peer.present(bytes.fromhex("047BCB51962280"), sel_res=0x20, ats=bytes.fromhex("77807102"))
    first, again = read_until(reader, 2)
    assert isinstance(first, CardRead)
    assert isinstance(again, CardRead)
    assert (first.uid.hex, first.again, again.again) == ("047BCB51962280", False, True)
    peer.remove()
    [removed] = read_until(reader, 1)
    assert isinstance(removed, CardRemoved)
    peer.present(bytes.fromhex("08A1B2C3"))
    [phone] = read_until(reader, 1)
    assert isinstance(phone, StreamFault)
    assert "phone" in phone.what
    reader.close()
    peer.unplug()
    assert peer.chip.asleep


def test_a_redacted_recording_of_a_card_plays_again(peer: Pn532Peer) -> None:
    out = io.BytesIO()
    settings = Pn532Settings(port=str(peer.port), poll_ms=50)
    tap = CaptureTap(out, "pn532", settings, clock=time.monotonic_ns, redact_key=b"key")
    reader = Pn532("left", settings, tap=tap)
    reader.open()
    peer.present(bytes.fromhex("047BCB51962280"))
    live = read_until(reader, 2)
    peer.remove()
    live += read_until(reader, 1)
    peer.present(bytes.fromhex("24D34F59"))
    live += read_until(reader, 2)
    reader.close()
    tap.finish()
    out.seek(0)
    _, chunks = read_capture(out)
    recorded = RecordedTransport(chunks, gaps=False)
    replayed = Pn532("left", settings, clock=recorded.clock, transport=recorded)
    replayed.open()
    events: list[DeviceEvent] = []
    while not recorded.ended:
        events += replayed.read(1)
    assert [type(event) for event in events] == [type(event) for event in live]
    uids = [event.uid for event in events if isinstance(event, CardRead)]
    assert [uid.bits for uid in uids] == [56, 56, 32, 32]
    assert b"24d34f59" not in out.getvalue()


def test_a_command_that_the_chip_does_not_know_gets_its_error_frame() -> None:
    chip = Chip()
    assert chip.receive(pn532.encode(pn532.HOST, b"\x42")) == pn532.ACK + pn532.SYNTAX_ERROR
    damaged = bytearray(pn532.command(pn532.Command.GET_FIRMWARE_VERSION))
    damaged[-2] ^= 1
    assert chip.receive(bytes(damaged)) == pn532.NACK
