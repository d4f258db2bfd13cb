"""One short life of a kiosk: the power is cut at every point of it, and the ledger ends at every statement.

Nothing is drawn here: the points are counted in an undisturbed run, and each has a run of its own.
"""

import psycopg
import pytest

from sync.proof.signer import LogSigner
from tests.sync.simulation.real_ledger import StoppableConnection
from tests.sync.simulation.real_world import make_real_world
from tests.sync.simulation.world import World

SEED = 1


def live(world: World) -> None:
    """Records, sends, opens an epoch, prunes, and meets a ledger that was restored."""
    for step in (
        world.record_one, world.send_all, world.back_up, world.record_one, world.send_all, world.prune,
        world.record_one, world.repair, world.restore, world.beat, world.send_all,
    ):  # fmt: skip
        world.take_step(step)
    world.heal()


@pytest.mark.slow
def test_the_power_goes_at_every_point(ledger_connection: psycopg.Connection, signer: LogSigner) -> None:
    with make_real_world(SEED, ledger_connection, signer) as world:
        live(world)
        points = world.power.passed
    assert points > 40
    for point in range(1, points + 1):
        with make_real_world(SEED, ledger_connection, signer, cut_at=point) as world:
            live(world)
            assert world.power.cut_at is None, "the power went"


@pytest.mark.slow
def test_the_ledger_ends_before_every_statement(ledger_connection: StoppableConnection, signer: LogSigner) -> None:
    with make_real_world(SEED, ledger_connection, signer) as world:
        world.record_one()
        before = ledger_connection.statements
        assert world.send_all() == "aligned sent idle"
        statements = ledger_connection.statements - before
        world.kiosk.stop()
    assert statements > 10
    for statement in range(1, statements + 1):
        with make_real_world(SEED, ledger_connection, signer) as world:
            world.take_step(world.record_one)
            ledger_connection.stop_at = ledger_connection.statements + statement
            world.take_step(world.send_all)
            assert not ledger_connection.is_to_stop(), "the process ended"
            assert "unreachable" in world.trace[-1]
            world.heal()
