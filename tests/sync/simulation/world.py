"""One kiosk, its card, the network, the ledger and its backups under one seed: real SQLite, real ingest, no real time.

`World(seed, …).play(steps)` draws one step after the other. After each of them every event that the kiosk had confirmed
is on the kiosk, or at the ledger, or named as a hole. The same seed plays the same schedule again.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.domain.moment import Moment
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.journal.setting_aside import JournalSetAside
from edge_agent.runtime.opening import JOURNAL_NAME, JournalOpener
from sync.client.batches import BatchSender
from sync.client.channel import HttpResponse, LedgerChannel
from sync.client.faults import FaultyTransport, NetworkFault
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.keys import DeviceKey
from sync.client.paced import Pace, SyncOutcome
from sync.contract import batch, receipt, signature, wire
from sync.contract.event import Carried, ClockQuality, EventsLost, UnreadableEvent, decode, encode
from sync.ledger.intake.holes import read_holes
from sync.ledger.registry import schools
from sync.ledger.requests import LedgerContext, ProblemReply
from sync.proof.signer import LogSigner
from tests.edge_agent.journal.damage.crashed import finish_salvage
from tests.edge_agent.journal.samples import BOOT, build_entry, migrate_in_process

START = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
# What a backup holds of one school. The device and its key were there before the first one.
TABLES = (
    "hole", "heard_head", "receipt", "quarantine", "fork", "carried", "event", "batch", "log_leaf", "epoch", "head",
)  # fmt: skip

Name = tuple[str, int]  # epoch and number under which an event was recorded


class SimulatedOpener(JournalOpener):
    """Opens a journal as the agent does, without a child process for a new one's schema."""

    def _open(self, predecessor: JournalSetAside | None) -> Journal:
        return Journal.open(
            self.state_dir / JOURNAL_NAME, self.kiosk, now=self.now, ballast_bytes=0, after=predecessor,
            random_bytes=self.now.dice, migrate=migrate_in_process,  # type: ignore[attr-defined]
        )  # fmt: skip


@dataclass
class SimulatedClock:
    """Wall and monotonic clock of the kiosk, and its dice."""

    random: Random
    seconds: float = 0.0
    wrong: timedelta = timedelta()

    def __call__(self) -> Moment:
        return Moment(self.wall(), int(self.seconds * 1000), BOOT, ClockQuality.SYNCHRONISED)

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.seconds) + self.wrong

    def dice(self, size: int) -> bytes:
        return self.random.randbytes(size)


class DirectLedger:
    """The ledger's requests without HTTP: a transport that signs its answers."""

    def __init__(self, connection: psycopg.Connection, clock: Callable[[], datetime], signer: LogSigner) -> None:
        self.context = LedgerContext(LEDGER_KEY, clock, signer)
        self._connection = connection
        self._clock = clock

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        request = signature.SignableRequest(method, path, query, headers, body)
        try:
            match path.split("/")[2:]:
                case ["devices", device, "epochs", epoch, "batches"]:
                    reply = wire.to_json(self.context.store_batch(self._connection, request, device, epoch))
                case ["devices", device, "cursor"]:
                    reply = wire.to_json(self.context.read_cursor(self._connection, request, device))
                case ["devices", device, "heartbeats"]:
                    reply = wire.to_json(self.context.record_heartbeat(self._connection, request, device))
                case _:
                    raise AssertionError(path)
            status = 200
        except ProblemReply as error:
            status, reply = error.problem.status, wire.to_json(error.problem)
        answer = signature.SignableAnswer(status, {}, reply)
        keyid = receipt.fingerprint(LEDGER_KEY.public_key().public_bytes_raw())
        signed = signature.sign_answer(answer, request, LEDGER_KEY, keyid, int(self._clock().timestamp()))
        return HttpResponse(status, signed, reply)


class RefusingProxy:
    """A proxy that answers some batches with a page of its own, while it is there."""

    def __init__(self, transport: DirectLedger) -> None:
        self._transport = transport
        self.refused = b""

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if self.refused and body and path.endswith("batches"):
            plain = batch.decompress(body, headers.get("content-encoding", ""))
            if self.refused in plain:
                return HttpResponse(400, {"content-type": "text/html"}, b"<h1>Bad Request</h1>")
        return self._transport.request(method, path, query, headers, body, bytes_max)


@dataclass
class World:
    """Everything that one seed decides."""

    seed: int
    folder: Path
    db: psycopg.Connection
    school: str
    signer: LogSigner
    trace: list[str] = field(default_factory=list)  # the steps, for a failing seed

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.clock = SimulatedClock(Random(self.seed + 1))
        self.key = DeviceKey(Ed25519PrivateKey.from_private_bytes(self.seed.to_bytes(32, "big")))
        code = schools.issue_code(self.db, self.school, "door", START)
        registered = schools.register_device(self.db, code, self.key.public_bytes, "", START)
        assert not isinstance(registered, schools.RefusedCode)
        self.device = registered[0].device
        self.proxy = RefusingProxy(DirectLedger(self.db, self.ledger_time, self.signer))
        self.faults: list[NetworkFault] = []
        self.network = FaultyTransport(self.proxy, lambda: self.faults.pop() if self.faults else NetworkFault.NONE)
        self.confirmed: dict[Name, bytes] = {}
        self.excused: set[bytes] = set()
        self.backup: dict[str, list[tuple[object, ...]]] | None = None
        self.image: tuple[Path, set[Name]] | None = None
        self.heard: dict[str, int] = {}
        self.lives = itertools.count(1)
        self.numbers = itertools.count(1)
        self.card = self.folder / "card-0"
        self.card.mkdir()
        self.start_agent()

    def ledger_time(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds)

    # The kiosk

    def start_agent(self) -> None:
        identity = KioskIdentity(self.device, self.key.public_bytes, self.school)
        self.journal = SimulatedOpener(self.card, identity, self.clock, 0).open_journal()
        finish_salvage(self.journal)
        pace = Pace(self.clock.wall, lambda: self.clock.seconds, Random(self.seed))
        server_key = LEDGER_KEY.public_key().public_bytes_raw()
        channel = LedgerChannel(self.network, self.key, self.device, self.clock.wall, server_key)
        events_max = self.random.choice([3, 7, 1000])
        self.sender = BatchSender(self.journal.outbox, channel, server_key, pace, events_max=events_max)
        report = AgentReport("sim", 0, BOOT, "synchronised")
        self.heart = HeartbeatSender(self.journal.outbox, channel, lambda: report, pace)

    def copy_card(self, target: Path) -> None:
        """Copies the card as it is at this moment, mid-write for all that SQLite knows."""
        target.mkdir()
        for file in self.card.iterdir():
            if not file.name.endswith((".lock", "-shm")):
                shutil.copy(file, target)

    def swap_card(self, card: Path) -> None:
        self.journal.close()
        self.card = card
        self.start_agent()

    # The steps. Each returns a word about what it did.

    def record(self) -> str:
        count = self.random.randrange(1, 8)
        for number in itertools.islice(self.numbers, count):
            event = build_entry(number, f"p{number}", note=f"event {number}")
            appended = self.journal.append(event)
            self.confirmed[appended.epoch, appended.seq] = encode(event)
        return str(count)

    def sync(self) -> str:
        steps = self.random.randrange(1, 7)
        self.faults = [self.random.choice([*NetworkFault]) for _ in range(steps)] if self.random.random() < 0.5 else []
        outcomes = [self.step_sender() for _ in range(steps)]
        self.faults = []
        return " ".join(outcomes)

    def step_sender(self) -> str:
        step = self.sender.step()
        if step.outcome is SyncOutcome.WAITING:
            self.clock.seconds += step.due_s
            step = self.sender.step()
        return step.outcome.value

    def beat(self) -> str:
        self.clock.seconds += 70
        step = self.heart.step()
        if step.outcome is SyncOutcome.SENT:
            outbox = self.journal.outbox
            self.heard[outbox.epoch] = max(outbox.head.seq, self.heard.get(outbox.epoch, 0))
            if self.heart.differs:
                self.sender.realign()
        return step.outcome.value

    def crash(self) -> str:
        """The power goes. Sometimes the card returns with a flipped bit, in the log or in the file."""
        card = self.folder / f"card-{next(self.lives)}"
        self.copy_card(card)
        damage = self.random.choice(["none", "none", "wal", "file"])
        name = card / (JOURNAL_NAME + ("-wal" if damage == "wal" else ""))
        if damage != "none" and name.exists() and name.stat().st_size > 100:
            content = bytearray(name.read_bytes())
            content[self.random.randrange(100, len(content))] ^= 1 << self.random.randrange(8)
            name.write_bytes(content)
        self.swap_card(card)
        return damage

    def cut_log(self) -> str:
        card = self.folder / f"card-{next(self.lives)}"
        self.copy_card(card)
        wal = card / (JOURNAL_NAME + "-wal")
        if wal.exists():
            wal.write_bytes(wal.read_bytes()[: self.random.randrange(wal.stat().st_size + 1)])
        self.swap_card(card)
        return "cut"

    def repair(self) -> str:
        outbox = self.journal.outbox
        outbox.open_epoch("repair", parent=outbox.acknowledged() if outbox.acknowledged().seq else None)
        return outbox.epoch

    def prune(self) -> str:
        """Retention takes weeks, heartbeats a minute: it does not meet a ledger that was restored just now."""
        self.beat()
        if self.heart.differs:
            return "not now"
        gone = self.journal.prune(before=self.clock.wall() + timedelta(days=2))
        return str(sum(removal.rows for removal in gone))

    def fold(self) -> str:
        return str(self.journal.maintain().folded)

    def take_image(self) -> str:
        path = self.folder / f"image-{next(self.lives)}"
        self.copy_card(path)
        self.image = path, set(self.confirmed)
        return path.name

    def put_image_back(self) -> str:
        """What was recorded since, and neither sent nor told of by a heartbeat of the image's epochs, is forgotten."""
        if self.image is None:
            return "no image"
        path, known = self.image
        delivered, (_, holes) = self.delivered(), self.kept()
        for name, payload in self.confirmed.items():
            told = name[1] <= self.heard.get(name[0], 0) and name[0] in {epoch for epoch, _ in known}
            if payload not in delivered and (name in holes or (name not in known and not told)):
                self.excused.add(payload)
        card = self.folder / f"card-{next(self.lives)}"
        shutil.copytree(path, card)
        self.swap_card(card)
        self.image = None
        return f"{path.name}, then {self.beat()}"

    def jump(self) -> str:
        self.clock.wrong = timedelta(days=self.random.choice([-3650, -1, 0, 0, 3]))
        return str(self.clock.wrong)

    def toggle_proxy(self) -> str:
        number = self.random.choice(list(self.confirmed.values()) or [b""])
        self.proxy.refused = b"" if self.proxy.refused else number
        return self.proxy.refused.decode()[80:130]

    def back_up(self) -> str:
        self.backup = {
            table: self.db.execute(f"SELECT * FROM {table} WHERE school = %s".encode(), (self.school,)).fetchall()
            for table in TABLES
        }
        return f"{len(self.backup['event'])} events"

    def restore(self) -> str:
        """What was at the ledger alone, since the card is an old image, and not in the backup, is forgotten."""
        if self.backup is None:
            return "no backup"
        payloads, _ = self.kept()
        backed_up = {bytes(column) for row in self.backup["event"] for column in row if isinstance(column, bytes)}
        self.excused |= set(self.confirmed.values()) & set(self.delivered()) - payloads - backed_up
        with self.db.transaction():
            for table in TABLES:
                self.db.execute(f"DELETE FROM {table} WHERE school = %s".encode(), (self.school,))
            for table in reversed(TABLES):
                for row in self.backup[table]:
                    marks = ", ".join(["%s"] * len(row))
                    overriding = " OVERRIDING SYSTEM VALUE" if table == "log_leaf" else ""
                    self.db.execute(f"INSERT INTO {table}{overriding} VALUES ({marks})".encode(), row)
        self.heard = {epoch: seq for _, _, epoch, seq, _ in self.backup["heard_head"]}  # type: ignore[misc]
        return f"{len(self.backup['event'])} events"

    # The invariants

    def delivered(self) -> dict[bytes, int]:
        """Returns how often each payload counts at the ledger."""
        counts: dict[bytes, int] = {}
        rows = self.db.execute("SELECT payload FROM fact WHERE school = %s AND kind <> 'tombstone'", (self.school,))
        for (payload,) in rows:
            counts[bytes(payload)] = counts.get(bytes(payload), 0) + 1
        return counts

    def kept(self) -> tuple[set[bytes], set[Name]]:
        """Returns the payloads that the kiosk has, and the names in the holes that it tells of."""
        payloads, holes = set[bytes](), set[Name]()
        for row in self.journal.recent(100_000):
            try:
                event = decode(row.payload)
            except UnreadableEvent:  # what the ledger has may rot here
                continue
            payloads.add(event.payload.encode() if isinstance(event, Carried) else row.payload)
            inner = decode(event.payload.encode()) if isinstance(event, Carried) else event
            if isinstance(inner, EventsLost):
                holes |= {(inner.lost_epoch, seq) for seq in range(inner.first_seq, inner.last_seq + 1)}
        return payloads, holes

    def named_holes(self) -> Iterator[Name]:
        for hole in read_holes(self.db, self.school):
            yield from ((hole.epoch, seq) for seq in range(hole.first_seq, hole.last_seq + 1))

    def check(self, *, finished: bool = False) -> None:
        """Raises AssertionError where a confirmed event is nowhere, or twice, or once `finished` is not delivered."""
        delivered = self.delivered()
        payloads, holes = self.kept()
        holes |= set(self.named_holes())
        if not finished:  # the kiosk's event tells of them; the ledger hears of it with the next batch
            holes |= {(one.id, seq) for one in self.journal.outbox.epochs() for seq in range(1, one.anchor.seq + 1)}
        twice = [payload for payload, count in delivered.items() if count > 1]
        assert not twice, self.tell(f"counted twice: {twice[:3]}")
        for name, payload in self.confirmed.items():
            if payload in delivered or payload in self.excused or name in holes:
                continue
            where = "on the kiosk alone" if payload in payloads else "nowhere"
            assert where == "on the kiosk alone", self.tell(f"{where}: {name}")
            assert not finished, self.tell(f"{where}: {name}")

    def tell(self, what: str) -> str:
        return f"seed {self.seed}: {what}\n" + "\n".join(self.trace)

    # The play

    def play(self, steps: int) -> None:
        """Plays so many steps, then lets everything heal, and checks that every event has arrived."""
        weighted = [
            *[self.record] * 6, *[self.sync] * 6, *[self.beat] * 2, *[self.crash] * 2, self.cut_log, self.repair,
            self.prune, self.fold, self.take_image, self.put_image_back, self.jump, self.toggle_proxy, self.back_up,
            *[self.restore] * 2,
        ]  # fmt: skip
        for _ in range(steps):
            step = self.random.choice(weighted)
            self.trace.append(f"{step.__name__}: …")
            self.trace[-1] = f"{step.__name__}: {step()}"
            self.check()
        self.heal()
        self.check(finished=True)
        self.journal.close()

    def heal(self) -> None:
        self.proxy.refused, self.faults = b"", []
        for _ in range(3):
            self.clock.seconds += 25 * 3600  # what was deferred is offered again
            self.clock.wrong = timedelta()
            self.trace.append(f"heal: {self.beat()}")
            for _ in range(300):
                if self.step_sender() == SyncOutcome.IDLE:
                    break
            else:
                raise AssertionError(self.tell(f"does not come to rest: {self.sender.last.why}"))
