"""Several OSDP readers on one line: real ones, each in a process, that hear each other as on RS-485."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("osdp", reason="libosdp is not installed: pip install canteen-edge-agent[osdp]")

from drivers.base import Signal
from drivers.cards.osdp import Osdp
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.indicators.osdp import OsdpLight, OsdpLightSettings
from drivers.readings import CardRead, DeviceEvent
from tests.drivers.osdp_peer import OsdpPeer

KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
CARDS = {0: bytes.fromhex("04A3C6CA"), 1: bytes.fromhex("1EA68671"), 5: bytes.fromhex("DB96007D")}
HANG_S = 30.0
BACK_S = 8.0


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[OsdpPeer]:
    peer = OsdpPeer(tmp_path, KEY, addresses=tuple(CARDS))
    yield peer
    peer.dispose()


class Loop:
    """A reader as the runtime drives it: a thread of its own that opens it again when it is gone."""

    def __init__(self, peer: OsdpPeer, address: int) -> None:
        self.reader = Osdp(
            f"reader-{address}", OsdpSettings(port=str(peer.port), key_file=str(peer.key_file), address=address)
        )
        self.events: list[DeviceEvent] = []
        self.gone: list[str] = []
        self.there = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cards(self) -> list[bytes]:
        return [event.uid.value for event in self.events if isinstance(event, CardRead) and not event.again]

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(HANG_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.reader.open()
                self.there.set()
                while not self._ending.is_set():
                    self.events += self.reader.read(0.1)
            except DeviceGone as error:
                self.gone.append(str(error))
            finally:
                self.there.clear()
                self.reader.close()
            self._ending.wait(0.1)


@pytest.fixture
def loops(peer: OsdpPeer) -> Iterator[dict[int, Loop]]:
    loops = {address: Loop(peer, address) for address in CARDS}
    for loop in loops.values():
        assert loop.there.wait(HANG_S)
    yield loops
    for loop in loops.values():
        loop.stop()


def wait_until_read(loop: Loop, count: int, within_s: float = HANG_S) -> None:
    until = time.monotonic() + within_s
    while len(loop.cards()) < count:
        assert time.monotonic() < until, "the card was not told"
        threading.Event().wait(0.01)


def test_each_card_is_told_by_its_own_reader_and_nobody_elses(peer: OsdpPeer, loops: dict[int, Loop]) -> None:
    for turn in range(1, 4):
        for address, card in CARDS.items():
            peer.readers[address].card(32, card[:3] + bytes((turn,)))
        for loop in loops.values():
            wait_until_read(loop, turn)
    for address, loop in loops.items():
        assert loop.cards() == [CARDS[address][:3] + bytes((turn,)) for turn in range(1, 4)]
        assert loop.gone == []


def test_a_light_is_that_of_its_own_reader(peer: OsdpPeer, loops: dict[int, Loop]) -> None:
    light = OsdpLight("lamp", OsdpLightSettings(port=str(peer.port), address=1))
    light.open()
    light.show(Signal.WELCOME)
    assert peer.readers[1].said.get(timeout=HANG_S)
    assert all(peer.readers[address].said.empty() for address in CARDS if address != 1)
    light.close()


@pytest.mark.alone
def test_one_reader_that_is_away_keeps_the_others_from_nothing(peer: OsdpPeer, loops: dict[int, Loop]) -> None:
    peer.readers[5].connected = False
    until = time.monotonic() + HANG_S
    while not loops[5].gone:
        assert time.monotonic() < until
        threading.Event().wait(0.05)
    for address in (0, 1):
        peer.readers[address].card(32, CARDS[address])
        wait_until_read(loops[address], 1)
        assert loops[address].gone == []
    peer.readers[5].connected = True
    assert loops[5].there.wait(BACK_S)
    peer.readers[5].card(32, CARDS[5])
    wait_until_read(loops[5], 1)


def test_an_adapter_that_was_pulled_is_gone_for_all_and_back_for_all(peer: OsdpPeer, loops: dict[int, Loop]) -> None:
    peer.unplug()
    until = time.monotonic() + HANG_S
    while not all(loop.gone for loop in loops.values()):
        assert time.monotonic() < until
        threading.Event().wait(0.05)
    peer.replug()
    for address, loop in loops.items():
        assert loop.there.wait(BACK_S)
        peer.readers[address].card(32, CARDS[address])
        wait_until_read(loop, 1)


def test_what_two_readers_of_a_line_cannot_have_is_refused(peer: OsdpPeer) -> None:
    first = Osdp("first", OsdpSettings(port=str(peer.port), key_file=str(peer.key_file)))
    first.open()
    same = Osdp("same", OsdpSettings(port=str(peer.port), key_file=str(peer.key_file)))
    with pytest.raises(DeviceBusy, match="an address of its own"):
        same.open()
    faster = Osdp("faster", OsdpSettings(port=str(peer.port), key_file=str(peer.key_file), address=1, baud=19_200))
    with pytest.raises(NotSupported, match="one speed"):
        faster.open()
    first.close()
    same.open()
    same.close()
