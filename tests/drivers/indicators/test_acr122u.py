"""The lamp of an ACR122U: its commands reach the reader through the card on it."""

import pytest

from tests.drivers.pcsc_peer import NO_PYSCARD

pytest.importorskip("smartcard", reason=NO_PYSCARD)

from drivers.base import Signal
from drivers.cards.pcsc import Pcsc, PcscSettings
from drivers.errors import NotSupported
from drivers.indicators.acr122u import Acr122uLight, Acr122uLightSettings
from drivers.protocols import acr122u, pcsc
from drivers.readings import CardRead
from tests.drivers.pcsc_peer import ONE_PCSCD, READER, PcscPeer

pytestmark = ONE_PCSCD


def test_it_shares_the_reader_and_says_what_is_missing_without_a_card() -> None:
    peer = PcscPeer()
    light = Acr122uLight("lamp", Acr122uLightSettings(reader=READER))
    light.open()
    with pytest.raises(NotSupported, match="ifdDriverOptions"):
        light.show(Signal.WELCOME)
    reader = Pcsc("desk", PcscSettings(reader=READER))
    reader.open()
    peer.insert()
    events = [event for _ in range(20) for event in reader.read(0.1)]
    assert any(isinstance(event, CardRead) for event in events)
    light.show(Signal.WELCOME)
    light.show(Signal.IDLE)
    asked = [peer.asked.get(timeout=5) for _ in range(4)]
    assert asked[:2] == [pcsc.GET_UID, acr122u.QUIET]
    assert asked[2][:3] == bytes.fromhex("FF0040")
    assert asked[3] == acr122u.OFF
    assert [event for _ in range(5) for event in reader.read(0.1)] == [], "the reader sees no new card in it"
    light.close()
    reader.close()
    peer.dispose()
