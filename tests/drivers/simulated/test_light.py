import json
from pathlib import Path

import pytest

from drivers.base import Signal
from drivers.errors import DeviceGone
from drivers.simulated.light import SimulatedLight, SimulatedLightSettings


def test_it_writes_down_what_it_showed_and_when(tmp_path: Path) -> None:
    file = tmp_path / "light.jsonl"
    light = SimulatedLight("door", SimulatedLightSettings(file=str(file)), clock=lambda: 7)
    light.open()
    light.show(Signal.WELCOME)
    light.show(Signal.ASK)
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"t_ns": 7, "name": "door", "signal": "welcome"},
        {"t_ns": 7, "name": "door", "signal": "ask"},
    ]
    assert list(light.shown) == [(7, Signal.WELCOME), (7, Signal.ASK)]
    light.close()


def test_a_file_that_cannot_be_written_is_told_as_ours(tmp_path: Path) -> None:
    with pytest.raises(DeviceGone, match="cannot write"):
        SimulatedLight("door", SimulatedLightSettings(file=str(tmp_path / "missing" / "light"))).open()
