"""The kiosk of the simulation: a real journal on a card that can be copied, damaged and put back at any moment.

The card lies in memory and SQLite does not sync it: what a cut of the power leaves is a copy of the files as they are.
"""

import itertools
import shutil
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from edge_agent.domain.moment import Moment
from edge_agent.journal import store
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.journal.migrate import migrate
from edge_agent.journal.setting_aside import JournalSetAside
from edge_agent.journal.store import ProcessLock
from edge_agent.runtime.opening import JOURNAL_NAME, JournalOpener
from sync.client.ports import Outbox
from sync.contract.event import Carried, ClockQuality, EventsLost, UnreadableEvent, decode, encode
from tests.edge_agent.journal.damage.crashed import finish_salvage
from tests.edge_agent.journal.samples import BOOT, build_entry
from tests.sync.simulation.power import PowerLine
from tests.sync.simulation.real_ledger import Name

START = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
DAMAGES = ("none", "none", "bit in the log", "bit in the file", "log cut off")


@dataclass
class SimulatedClock:
    """Wall and monotonic clock of the kiosk, and its dice."""

    random: Random
    seconds: float = 0.0
    wrong: timedelta = timedelta()

    def __call__(self) -> Moment:
        return Moment(self.wall(), int(self.seconds * 1000), BOOT, ClockQuality.SYNCHRONISED)

    def wall(self) -> datetime:
        return self.true() + self.wrong

    def true(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def dice(self, size: int) -> bytes:
        return self.random.randbytes(size)


@cache
def make_empty_journal() -> bytes:
    """Returns the file of a new journal: the schema's steps are taken once for all schedules."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / JOURNAL_NAME
        migrate(path)
        return path.read_bytes()


@cache
def read_inside(payload: bytes) -> tuple[bytes, frozenset[Name]]:
    """Returns the payload that an event holds or is, and what it names as lost."""
    try:
        event = decode(payload)
        inner = decode(event.payload.encode()) if isinstance(event, Carried) else event
    except UnreadableEvent:  # what the ledger has may rot here
        return b"", frozenset()
    lost = range(inner.first_seq, inner.last_seq + 1) if isinstance(inner, EventsLost) else ()
    epoch = inner.lost_epoch if isinstance(inner, EventsLost) else ""
    return event.payload.encode() if isinstance(event, Carried) else payload, frozenset((epoch, seq) for seq in lost)


class PoweredConnection(sqlite3.Connection):
    """A journal's connection under whose commits the power may go."""

    power: PowerLine

    def execute(self, sql: str, /, *arguments: object) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, *arguments)  # type: ignore[arg-type]  # handed on as they are
        self.power.pass_point()
        done = super().execute(sql)
        self.power.pass_point()
        return done


@dataclass(frozen=True, slots=True)
class SimulatedOpener(JournalOpener):
    """Opens a journal as the agent does, without a child process and without waiting for a disk."""

    power: PowerLine

    def _open(self, predecessor: JournalSetAside | None) -> Journal:
        return Journal.open(
            self.state_dir / JOURNAL_NAME, self.kiosk, now=self.now, ballast_bytes=0, after=predecessor,
            random_bytes=self.now.dice,  # type: ignore[attr-defined]  # the clock is a simulated one
            migrate=self._put_schema, connect=self._connect,
        )  # fmt: skip

    def _put_schema(self, path: Path, lock: ProcessLock) -> None:
        if not path.exists():
            path.write_bytes(make_empty_journal())

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=PoweredConnection)
        connection.power = self.power
        try:
            store.set_pragmas(connection, path)
            connection.execute("PRAGMA synchronous = OFF")
        except BaseException:
            connection.close()
            raise
        return connection


@dataclass
class CardKiosk:
    """A kiosk whose memory is lost at every start; the card is what remains."""

    folder: Path
    identity: KioskIdentity
    clock: SimulatedClock
    power: PowerLine
    journal: Journal | None = None
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    damages = DAMAGES

    def __post_init__(self) -> None:
        self.card = self.folder / "card-0"
        self.card.mkdir()

    @property
    def outbox(self) -> Outbox:
        return self._open.outbox

    @property
    def _open(self) -> Journal:
        assert self.journal is not None, "the kiosk is off"
        return self.journal

    def start(self) -> None:
        """Opens the journal and brings over what a damaged one holds."""
        self.journal = SimulatedOpener(self.card, self.identity, self.clock, 0, self.power).open_journal()
        finish_salvage(self.journal)

    def stop(self) -> None:
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.close()

    def copy_card(self) -> Path:
        """Returns a copy of the card as it is at this moment, mid-write for all that SQLite knows."""
        target = self.folder / f"card-{next(self.numbers)}"
        target.mkdir()
        for file in self.card.iterdir():
            if not file.name.endswith((".lock", "-shm")):
                shutil.copyfile(file, target / file.name)
        return target

    def put_card(self, card: Path) -> None:
        """Puts a copy of this card into the kiosk, which is off."""
        self.card = self.folder / f"card-{next(self.numbers)}"
        shutil.copytree(card, self.card)

    def damage(self, card: Path, kind: str, random: Random) -> None:
        """Damages a card that is not in use."""
        path = card / (JOURNAL_NAME + ("" if kind == "bit in the file" else "-wal"))
        if kind == "none" or not path.exists() or path.stat().st_size < 100:
            return
        content = bytearray(path.read_bytes())
        if kind == "log cut off":
            del content[random.randrange(len(content)) :]
        else:
            content[random.randrange(100, len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)

    def record(self, number: int) -> tuple[Name, bytes]:
        """Returns the name and payload of an event that is confirmed."""
        event = build_entry(number, f"p{number}", note=f"event {number}")
        appended = self._open.append(event)
        return (appended.epoch, appended.seq), encode(event)

    def prune(self) -> int:
        """Returns how many rows retention removed after two days."""
        return sum(removal.rows for removal in self._open.prune(before=self.clock.wall() + timedelta(days=2)))

    def fold(self) -> str:
        return str(self._open.maintain().folded)

    def list_own(self) -> tuple[set[bytes], set[Name]]:
        """Returns the payloads that are here, and the names in the holes that these events tell of."""
        inside = [read_inside(row.payload) for row in self._open.recent(100_000)]
        return {payload for payload, _ in inside}, {name for _, lost in inside for name in lost}
