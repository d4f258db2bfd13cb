"""Faults planted in kiosk and ledger; the simulation must find each. A check that cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from edge_agent.journal import succession
from edge_agent.journal.journal import Journal
from sync.client import batches
from sync.client.channel import LedgerChannel
from sync.client.heartbeat import HeartbeatSender
from sync.contract import receipt
from sync.contract.wire import time_text
from sync.ledger.intake import ingest
from sync.proof.signer import LogSigner
from tests.sync.simulation.model_world import make_model_world
from tests.sync.simulation.real_world import make_real_world
from tests.sync.simulation.test_power_cuts import SEED, live
from tests.sync.simulation.world import InvariantBroken

STEPS = 25
SCHEDULES_MAX = 200


@dataclass(frozen=True)
class PlantedFault:
    """A function of the product that does something else: `place` has it under `name`."""

    what: str
    place: Any
    name: str
    instead: Callable[..., Any]


def forget(*_: object) -> None:
    """Does nothing in the place of what stores something."""


def give_unstored_receipt(_: object, arrival: Any, key: Any, now: Any) -> receipt.Receipt:
    return receipt.issue(key, arrival.device, arrival.epoch, arrival.batch.head, time_text(now))


ON_THE_MODEL = (
    PlantedFault("a forged receipt is believed", batches, "check_receipt", lambda signed, *_: signed.covers()),
    PlantedFault("every answer counts as signed", LedgerChannel, "_read_signed_at", lambda *_: 0),
    PlantedFault("heartbeats compare nothing", HeartbeatSender, "_is_behind", lambda *_: False),
)
ON_REAL_PARTS = (
    PlantedFault("a new epoch carries nothing", succession, "carry_events", lambda _c, _s, target, _r: target),
    PlantedFault("the mark is not looked at", Journal, "_find_loss", lambda *_: None),
    PlantedFault("the ledger stores no event", ingest, "store_events", forget),
    PlantedFault("a receipt is given and not kept", ingest, "_receipt", give_unstored_receipt),
)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ON_THE_MODEL, ids=lambda fault: fault.what)
def test_a_fault_is_found_on_the_model(fault: PlantedFault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault.place, fault.name, fault.instead)

    def play_all() -> None:
        for seed in range(SCHEDULES_MAX):
            make_model_world(seed).play(STEPS)

    with pytest.raises(InvariantBroken, match="SIMULATION_SEEDS="):
        play_all()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ON_REAL_PARTS, ids=lambda fault: fault.what)
def test_a_fault_is_found_on_real_parts(
    fault: PlantedFault, monkeypatch: pytest.MonkeyPatch, ledger_connection: psycopg.Connection, signer: LogSigner
) -> None:
    monkeypatch.setattr(fault.place, fault.name, fault.instead)

    def play_all() -> None:
        for seed in range(SCHEDULES_MAX):
            with make_real_world(seed, ledger_connection, signer) as world:
                world.play(STEPS)

    with pytest.raises(InvariantBroken, match="SIMULATION_SEEDS="):
        play_all()


@pytest.mark.slow
def test_a_hole_that_the_ledger_forgets_is_found(
    monkeypatch: pytest.MonkeyPatch, ledger_connection: psycopg.Connection, signer: LogSigner
) -> None:
    """Drawn schedules seldom prune just what a restore takes; the written one always does."""
    monkeypatch.setattr(ingest, "note_holes", forget)
    with make_real_world(SEED, ledger_connection, signer) as world, pytest.raises(InvariantBroken):
        live(world)
