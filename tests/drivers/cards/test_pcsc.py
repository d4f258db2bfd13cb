"""The driver against the real pcscd and a virtual card."""

import threading
from collections.abc import Iterator

import pytest

from tests.drivers.pcsc_peer import NO_PYSCARD

pytest.importorskip("smartcard", reason=NO_PYSCARD)

from drivers.cards.pcsc import Pcsc, PcscSettings
from drivers.errors import DeviceGone, NotSupported
from drivers.protocols import pcsc
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault, Technology
from drivers.transports.pcsc import CardSlot
from tests.drivers.pcsc_peer import ONE_PCSCD, READER, UID, PcscPeer

pytestmark = ONE_PCSCD

TRIES = 100


@pytest.fixture
def peer() -> Iterator[PcscPeer]:
    peer = PcscPeer()
    yield peer
    peer.dispose()


def next_event(reader: Pcsc) -> DeviceEvent:
    for _ in range(TRIES):
        if events := reader.read(0.1):
            return events[0]
    pytest.fail("the reader reports nothing")


def test_a_card_comes_goes_and_comes_again_and_the_reader_is_pulled(peer: PcscPeer) -> None:
    reader = Pcsc("desk", PcscSettings(reader=READER))
    reader.open()
    for _ in range(2):
        peer.insert()
        read = next_event(reader)
        assert isinstance(read, CardRead)
        assert (read.uid.value, read.uid.technology) == (UID, Technology.ISO14443A)
        assert peer.asked.get(timeout=5) == pcsc.GET_UID
        peer.remove()
        assert isinstance(next_event(reader), CardRemoved)
    peer.unplug()
    with pytest.raises(DeviceGone):
        [reader.read(0.1) for _ in range(TRIES)]
    reader.close()
    with pytest.raises(DeviceGone, match=r"pcscd\.socket"):
        reader.open()
    peer.replug()
    reader.open()
    peer.insert(bytes.fromhex("08A3C6CA"))
    refused = next_event(reader)
    assert isinstance(refused, StreamFault)
    assert "random" in refused.what
    reader.close()


def test_a_card_that_lay_there_before_is_read(peer: PcscPeer) -> None:
    peer.insert()
    reader = Pcsc("desk", PcscSettings(reader=READER))
    for _ in range(3):  # pcscd needs a moment to see it
        reader.open()
        event = next_event(reader)
        assert isinstance(event, CardRead)
        reader.close()


def test_which_reader_is_never_guessed(peer: PcscPeer) -> None:
    with pytest.raises(NotSupported, match="several"):
        Pcsc("desk", PcscSettings()).open()
    with pytest.raises(DeviceGone, match="pn533_usb"):
        Pcsc("desk", PcscSettings(reader="ACR122U")).open()


def test_a_call_that_hangs_is_given_up_and_waited_for() -> None:
    slot = CardSlot("any", call_s=0.05)
    hang = threading.Event()
    with pytest.raises(DeviceGone, match="hangs"):
        slot._bounded(hang.wait)
    with pytest.raises(DeviceGone, match="hangs"):
        slot.open()
    hang.set()
    assert slot._hanging is not None
    slot._hanging.join(5)
    assert not slot._hanging.is_alive()
