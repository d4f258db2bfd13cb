"""kill -9 of the kiosk, of the ledger and of its PostgreSQL while a lunch goes on: what a child was shown stands, once.

One thread taps cards and believes only the light. Another kills at moments drawn by seeded dice, wherever the processes
then are: before the commit, between commit and light, in the middle of a batch, while they start.
"""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import psycopg
import pytest

from canteen_demo.postgres import EmbeddedPostgres
from drivers.simulated.card_peer import CardPeer
from edge_agent.journal.verify import verify_journal
from sync.contract import chain
from sync.contract.chain import DeviceId, Epoch, Hash
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from tests.sync.ledger.test_kill import Process
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader

SCHOOL = "sch-soak"
PUPILS = 3_000
CARDS = {f"u-{number}": ("em4100", f"01{number:08X}") for number in range(1, PUPILS + 1)}
PATIENCE_S = 30.0
RULES = "[rules]\nstay_min_s = 7200\n"  # a second tap is a repeat, however slow the machine: one entry a child, then
READERS_PULLED = 60
RARER = {"kiosk": "starting", "ledger": "postgres"}  # what may be killed in the place of each, and how often
RARER_SHARE = 0.2


class SoakKiosk(Daemon):
    def __enter__(self) -> Self:
        return self

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, **environment: str) -> dict[str, Any]:
        """Its light is there as well: the file begins anew when it opens."""
        super().start(**environment)
        return self.until(lambda status: status["indicators"][0]["there"])

    def descriptors(self) -> int:
        assert self._process is not None
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))


@dataclass
class LunchRecord:
    """The record of a lunch, as the children saw it."""

    taps: Counter[str] = field(default_factory=Counter)
    confirmed: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)  # lights that were neither welcome nor noted


class Lunch:
    """Children one after the other, each once or until a light answers."""

    def __init__(self, daemon: SoakKiosk, peer: CardPeer, dice: random.Random) -> None:
        self.daemon, self.peer, self.dice = daemon, peer, dice
        self.record = LunchRecord()
        self._queue = self._children()
        self._waiting = ""  # who tapped and saw no light

    def serve(self, seconds: float) -> None:
        """For so long, or until the kiosk is dead: then the child who stands there taps again when it is back."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.daemon.alive():
            self._waiting = self._waiting or next(self._queue)
            if self._tap(self._waiting):
                self._waiting = ""
            time.sleep(self.dice.uniform(0, 0.03))

    def _children(self) -> Iterator[str]:
        while True:
            yield from self.dice.sample(sorted(CARDS), PUPILS)

    def _tap(self, person: str) -> bool:
        """False: the kiosk died before a light said anything, and nothing was promised."""
        if not self.daemon.alive():
            return False
        before = len(self.daemon.lights())
        self.record.taps[person] += 1
        self.peer.present(bytes.fromhex(CARDS[person][1]))
        until = time.monotonic() + PATIENCE_S
        while True:
            alive = self.daemon.alive()  # asked before the light: what it said before it died counts
            lights = self.daemon.lights()
            if len(lights) > before:
                break
            if not alive:
                return False
            assert time.monotonic() < until, f"no light for {person}\n{self.daemon.log[-4000:]}"
            time.sleep(0.002)
        if lights[before] not in {"welcome", "noted"}:
            self.record.refused.append(lights[before])
        self.record.confirmed[person] += 1
        return True


class Killer:
    """Sends SIGKILL to one of the three, and starts again what nobody else starts."""

    def __init__(self, daemon: SoakKiosk, ledger: Process, dice: random.Random, kills: Counter[str]) -> None:
        self._daemon, self._ledger, self._dice, self._kills = daemon, ledger, dice, kills
        self._victims = {
            "kiosk": self._kiosk,
            "starting": self._starting,
            "ledger": self._service,
            "postgres": self._postgres,
        }

    def strike(self, victim: str) -> None:
        """After a while. The kiosk stays dead: those who stand before it start it."""
        time.sleep(self._dice.uniform(0.05, 1.5))
        self._victims[victim]()
        self._kills[victim] += 1

    def _kiosk(self) -> None:
        self._daemon.kill()

    def _starting(self) -> None:
        """Once more before it has found its feet."""
        self._daemon.kill()
        self._daemon.launch()
        time.sleep(self._dice.uniform(0.02, 1.0))
        self._daemon.kill()

    def _service(self) -> None:
        self._ledger.kill()
        self._ledger.start()

    def _postgres(self) -> None:
        self._ledger.kill_postgres()
        time.sleep(2.0)  # the service sees it within a second, and starts it again


@pytest.fixture
def ledger(open_folder: Path) -> Iterator[Process]:
    running = Process(open_folder / f"soak-{time.monotonic_ns()}")
    yield running
    running.kill()
    heir = EmbeddedPostgres(running.folder)  # the orphan is adopted, and stopped
    heir.start()
    heir.stop()


def soak(folder: Path, ledger: Process, kills: int, seed: int) -> tuple[LunchRecord, int]:
    """Returns the lunch's record, and how many rows there are in the end, after so many kills."""
    dice = random.Random(seed)
    url = EmbeddedPostgres(ledger.folder).url
    with psycopg.connect(url, autocommit=True) as db:
        schools.add_school(db, SCHOOL, "School")
        export = school_export(folder / "export", SCHOOL, CARDS)
        import_export(db, read_export(export), [SCHOOL], date=datetime.now(UTC).date().isoformat())
        code = schools.issue_code(db, SCHOOL, "door", datetime.now(UTC))
    with (
        CardPeer(folder / "door") as peer,
        SoakKiosk(folder, serial_reader("door", "em4100", peer.port), tables=RULES) as daemon,
        ThreadPoolExecutor(1) as thread,
    ):
        edge_agent("register", ledger.url, code, "--config", str(daemon.config))
        daemon.start()
        daemon.until(lambda status: status["roster"]["people"] == PUPILS)
        lunch = Lunch(daemon, peer, dice)
        killer = Killer(daemon, ledger, dice, lunch.record.kills)
        victims = [*("kiosk" for _ in range(kills // 2)), *("ledger" for _ in range(kills - kills // 2))]
        victims = [RARER[victim] if dice.random() < RARER_SHARE else victim for victim in victims]
        dice.shuffle(victims)
        for victim in victims:
            strike = thread.submit(killer.strike, victim)
            while not strike.done() and daemon.alive():
                lunch.serve(0.1)
            strike.result(120)
            if not daemon.alive():
                daemon.start()
        lunch.serve(1.0)
        daemon.until(lambda status: status["journal"]["queue"] == 0)
        assert daemon.stop() == 0
        _check(daemon, lunch.record, url)
        return lunch.record, len(_journal(daemon.journal))


Row = tuple[str, int, bytes, bytes]  # epoch, seq, payload, hash


def _journal(path: Path) -> list[Row]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(
            "SELECT epoch.id, event.seq, event.payload, event.hash FROM event JOIN epoch ON epoch.ordinal = event.epoch"
            " ORDER BY event.epoch, event.seq"
        ).fetchall()


def _check(daemon: SoakKiosk, record: LunchRecord, url: str) -> None:
    rows = _journal(daemon.journal)
    assert verify_journal(daemon.journal).whole
    assert [seq for _, seq, _, _ in rows] == list(range(1, len(rows) + 1)), "no gap, and no second epoch"
    with psycopg.connect(url) as db:
        stored: list[Row] = db.execute(
            "SELECT epoch, seq, payload, hash FROM event WHERE school = %s ORDER BY seq", (SCHOOL,)
        ).fetchall()
        names: dict[str, str] = dict(db.execute("SELECT surrogate, source_id FROM person_surrogate").fetchall())
        devices = db.execute("SELECT device, public_key FROM device_key WHERE school = %s", (SCHOOL,)).fetchall()
        odd = [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("fork", "quarantine", "carried")]
    stored_rows = dict.fromkeys((seq, digest) for _, seq, _, digest in stored)
    unsent = [row for row in rows if (row[1], row[3]) not in stored_rows]
    assert not unsent, "what the journal holds and the ledger does not"
    assert stored == rows
    assert odd == [(0,), (0,), (0,)]
    ((device, key),) = devices
    first = chain.genesis(DeviceId(device), key, Epoch(rows[0][0]), b"")
    assert chain.chain_hashes(first, (payload for _, _, payload, _ in stored)) == [
        Hash(digest) for _, _, _, digest in stored
    ]
    _check_promises(rows, record, names)


def _check_promises(rows: list[Row], record: LunchRecord, names: dict[str, str]) -> None:
    facts = [msgspec.json.decode(payload) for _, _, payload, _ in rows]
    entries = Counter(names[fact["person"]] for fact in facts if fact["kind"] == "entry")
    sightings = Counter(names[fact["person"]] for fact in facts if fact["kind"] in {"entry", "repeat"})
    missing = {person: count for person, count in record.confirmed.items() if sightings[person] < count}
    assert not missing, "a light was seen, and there is no row"
    doubled = {person: count for person, count in sightings.items() if count > record.taps[person]}
    assert not doubled, "more rows than taps"
    assert set(entries.values()) == {1}
    assert not record.refused
    boots = sum(fact["kind"] == "boot" for fact in facts)
    killed = record.kills["kiosk"] + record.kills["starting"]
    assert 1 + killed <= boots <= 1 + killed + record.kills["starting"]


def test_six_kills(tmp_path: Path, ledger: Process) -> None:
    record, _ = soak(tmp_path, ledger, kills=6, seed=1)
    assert sum(record.kills.values()) == 6


@pytest.mark.soak
@pytest.mark.timeout(5_400)
def test_two_hundred_kills(tmp_path: Path, ledger: Process, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    record, rows = soak(tmp_path, ledger, kills=200, seed=2026)
    assert sum(record.kills.values()) == 200
    with capsys.disabled():
        print(
            f"\n{dict(record.kills)} kills in {time.monotonic() - started:.0f} s: {record.taps.total()} taps,"
            f" {record.confirmed.total()} confirmed by a light, {rows} rows in journal and ledger alike"
        )


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_a_reader_that_is_pulled_again_and_again_leaks_nothing(tmp_path: Path) -> None:
    with (
        CardPeer(tmp_path / "door") as peer,
        SoakKiosk(tmp_path, serial_reader("door", "em4100", peer.port), kiosk=f'school = "{SCHOOL}"') as daemon,
    ):
        daemon.start()
        counts = []
        for _ in range(READERS_PULLED):
            peer.unplug()
            daemon.until(lambda status: not status["readers"][0]["there"])
            peer.replug()
            daemon.until(lambda status: status["readers"][0]["there"])
            counts.append(daemon.descriptors())
        assert max(counts[READERS_PULLED // 2 :]) <= max(counts[: READERS_PULLED // 2])
