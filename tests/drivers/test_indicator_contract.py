"""The rules of `drivers.base` for lights and gates, held against every indicator of the registry."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.base import Indicator, Signal
from drivers.errors import DeviceGone
from tests.drivers.rigs import INDICATORS, IndicatorRig, rig_params

HANG_S = 20.0
TRIES = 50


@pytest.fixture(params=rig_params(INDICATORS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IndicatorRig]:
    rig = INDICATORS[request.param](tmp_path)
    yield rig
    rig.dispose()


def show_often(indicator: Indicator) -> None:
    """Nothing answers on some lines: that they are away shows with the next bytes."""
    for _ in range(TRIES):
        indicator.show(Signal.WELCOME)


def test_it_shows_every_signal_and_survives_a_reopen(rig: IndicatorRig) -> None:
    rig.build()
    indicator = rig.build()
    indicator.close()
    with pytest.raises(DeviceGone):
        indicator.show(Signal.WELCOME)
    for _ in range(2):
        indicator.open()
        for signal in Signal:
            indicator.show(signal)
        indicator.close()
        indicator.close()
    with pytest.raises(DeviceGone):
        indicator.show(Signal.IDLE)


def test_what_was_pulled_is_gone_and_works_again_once_it_is_back(rig: IndicatorRig) -> None:
    indicator = rig.build()
    indicator.open()
    rig.unplug()
    with pytest.raises(DeviceGone):
        show_often(indicator)
    indicator.close()
    with pytest.raises(DeviceGone):
        indicator.open()
    indicator.close()
    rig.replug()
    indicator.open()
    indicator.show(Signal.WELCOME)
    indicator.close()


def test_many_threads_may_close_at_once_while_it_shows(rig: IndicatorRig) -> None:
    indicator = rig.build()
    indicator.open()

    def show() -> None:
        try:
            indicator.show(Signal.WELCOME)
        except DeviceGone:
            return

    threads = [threading.Thread(target=show, daemon=True)]
    threads += [threading.Thread(target=indicator.close, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert not any(thread.is_alive() for thread in threads)
