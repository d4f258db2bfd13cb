"""A turnstile on the real daemon: a card opens it, and it does not stand open, however the daemon ends just then."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.card_peer import CardPeer
from edge_agent.errors import ExitCode
from tests.drivers.relay_board import RelayBoard
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader

CARD = "015A3C9601"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[RelayBoard]:
    board = RelayBoard(tmp_path / "relays")
    yield board
    board.unplug()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CardPeer]:
    with CardPeer(tmp_path / "door") as reader:
        yield reader


@pytest.fixture
def daemon(tmp_path: Path, peer: CardPeer, board: RelayBoard) -> Iterator[Daemon]:
    gate = (
        f'[[indicators]]\nname = "gate"\ndriver = "turnstile"\nport = "{board.port}"\n'
        "way_in = 1\nway_out = 2\npulse_ms = 500\n"
    )
    with Daemon(tmp_path, serial_reader("door", "em4100", peer.port) + gate, kiosk='school = "sch-1"') as kiosk:
        export = school_export(tmp_path / "export", "sch-1", {"u-1": ("em4100", CARD)})
        edge_agent("roster", "import", str(export), "--local", "--config", str(kiosk.config))
        yield kiosk


def has_gate(status: dict[str, Any]) -> bool:
    return any(indicator["name"] == "gate" and indicator["there"] for indicator in status["indicators"])


def test_a_daemon_that_is_killed_while_a_child_goes_through_leaves_the_gate_shut(
    daemon: Daemon, peer: CardPeer, board: RelayBoard
) -> None:
    daemon.start()
    daemon.until(has_gate)
    peer.present(bytes.fromhex(CARD))
    board.wait_for(1)
    daemon.kill()
    board.wait_for(1, on=False)
    assert [event.relay for event in board.switched if event.on] == [1]


def test_a_gate_is_switched_off_by_hand_only_while_the_daemon_is_stopped(daemon: Daemon, board: RelayBoard) -> None:
    daemon.start()
    daemon.until(has_gate)
    assert edge_agent("devices", "off", "--config", str(daemon.config), check=False).returncode == ExitCode.DAEMON
    assert daemon.stop() == 0
    assert "gate: off" in edge_agent("devices", "off", "--config", str(daemon.config)).stdout
    assert board.on == set()
