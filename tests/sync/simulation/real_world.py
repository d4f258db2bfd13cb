"""Makes a world of real parts: SQLite on a card in memory, and the ledger's ingest on PostgreSQL."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.journal.epochs import KioskIdentity
from sync.client.keys import DeviceKey
from sync.contract.chain import DeviceId
from sync.proof.signer import LogSigner
from tests.sync.simulation.power import PowerLine
from tests.sync.simulation.real_kiosk import CardKiosk, SimulatedClock
from tests.sync.simulation.real_ledger import SCHOOL, RealLedger
from tests.sync.simulation.world import World


@contextmanager
def make_real_world(
    seed: int, connection: psycopg.Connection, signer: LogSigner, *, cut_at: int | None = None
) -> Iterator[World]:
    """Yields the world of this seed; its card is gone afterwards. `cut_at`: the point at which the power goes first."""
    clock = SimulatedClock(Random(seed + 1))
    key = DeviceKey(Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big")))
    ledger = RealLedger(connection, clock.true, signer)
    device = ledger.register(key.public_bytes, seed)
    power = PowerLine(lambda: None, cut_at=cut_at)
    replay = f"SIMULATION_SEEDS={seed} .venv/bin/pytest -m 'not soak' tests/sync/simulation/test_schedules.py"
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        identity = KioskIdentity(DeviceId(device), key.public_bytes, SCHOOL)
        kiosk = CardKiosk(Path(folder), identity, clock, power)
        try:
            yield World(seed, kiosk, ledger, clock, key, device, power, replay)
        finally:
            kiosk.stop()
