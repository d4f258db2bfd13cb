"""The whole demo: a ledger, a school, two kiosks, a lunch with three mishaps, and the proof."""

import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import psycopg

from canteen_demo.clock import FastClock
from canteen_demo.kiosk import AGENT, DemoKiosk, find_free_port
from canteen_demo.lunch import ChildrenQueue
from canteen_demo.money import DemoMoney, settle_money
from canteen_demo.plan import PALM_KIOSK, make_plan
from canteen_demo.postgres import embedded_database
from canteen_demo.proof import Proof, prove
from canteen_demo.relay import Relay
from canteen_demo.school import LATE_MINUTES, SCHOOL, DemoPupil, make_pupils, roster_files
from edge_agent.errors import RequestRefused
from sync.ledger.database import connected
from sync.ledger.keys import load_or_create_signer
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogates
from sync.proof.leaves import LogName
from sync.proof.notes import NoteKey, parse_key

ZONE = ZoneInfo("Asia/Almaty")
LOG_NAME = "demo.canteen"
KIOSKS = ("left", "right")
LEDGER_START_S = 120.0
DRAIN_S = 60.0
DOORS_S = 6.0  # real seconds from the last registration to the first child
ENROL_S = 2.0  # more for each palm that is enrolled before
PALMS_MAX = 8  # a picture takes two cores a fifth of a second, in which two cards could be read
PUPILS_PER_PALM = 8
UNPLUGGED_S = 1.5  # real seconds without the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options of a demo. `minutes` are simulated, and pass `speed` times as fast as life."""

    pupils: int = 700
    minutes: float = 20.0
    speed: float = 20.0
    seed: int = 1
    folder: Path


@dataclass(slots=True)
class Scene:
    """The state of a running demo. The play changes it, and the view reads it."""

    clock: FastClock
    minutes: float
    relay: Relay
    queues: list[ChildrenQueue]
    database_url: str
    log: list[tuple[float, str]]

    def announce(self, text: str) -> None:
        """Notes an event of the demo with its simulated time."""
        self.log.append((self.clock.seconds(), text))

    def count_ledger_rows(self) -> int:
        """Returns the number of events in the ledger."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM event").fetchone()
        return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """The proof of a demo, and the money that follows from it."""

    proof: Proof
    money: DemoMoney

    @property
    def holds(self) -> bool:
        """True when every claim holds."""
        return self.proof.holds and all(line.holds for line in self.money.lines)


def play(options: DemoOptions, progress: Callable[[str], None], watch: Callable[[Scene], None]) -> DemoOutcome:
    """Runs the whole demo, and returns what came of it.

    `progress` is called with each step of the preparation. `watch` is called when the doors open, and returns after the
    end of all queues (`ChildrenQueue.is_done`).
    """
    dice = random.Random(options.seed)  # noqa: S311  the same seed, the same school day
    pupils = make_pupils(options.pupils, dice)
    # Yesterday's lunch: the ledger holds what claims to be later than its own clock.
    opens = (datetime.now(ZONE) - timedelta(days=1)).replace(hour=12, minute=30, second=0, microsecond=0)
    with ExitStack() as stack:
        folder = options.folder / "ledger"
        folder.mkdir(parents=True)
        signer = load_or_create_signer(folder / "log.key", LOG_NAME)
        progress("a witness, and a ledger on a PostgreSQL of its own")
        witness = stack.enter_context(_run_witness(options.folder / "witness", signer.ledger_key))
        ledger = stack.enter_context(_run_ledger(folder, witness))
        relay = Relay(("127.0.0.1", ledger.port))
        stack.callback(relay.close)
        database_url = stack.enter_context(_import_school(options, ledger, pupils, opens, progress))
        kiosks = []
        for number, name in enumerate(KIOSKS):
            progress(f"kiosk {name}, registered with a one-time code")
            seed = options.seed if number == PALM_KIOSK else None
            kiosk = DemoKiosk(name, options.folder / name, port=find_free_port(), palms_seed=seed)
            stack.callback(kiosk.close)
            with psycopg.connect(database_url, autocommit=True) as connection:
                code = schools.issue_code(connection, SCHOOL, name, datetime.now(ZONE), timedelta(hours=1))
            kiosk.register(f"http://127.0.0.1:{relay.port}", code)
            kiosks.append(kiosk)
        palms = [pupil.id for pupil in pupils if pupil.consent][: min(PALMS_MAX, options.pupils // PUPILS_PER_PALM)]
        doors_s = DOORS_S + ENROL_S * len(palms)
        clock = FastClock(opens, time.monotonic_ns() + int(doors_s * 1e9), options.speed)
        plan = make_plan(pupils, options.minutes, len(KIOSKS), dice, palms)
        queues = [
            ChildrenQueue(kiosk, [visit for visit in plan if visit.kiosk == number], clock)
            for number, kiosk in enumerate(kiosks)
        ]
        for kiosk in kiosks:
            progress(f"kiosk {kiosk.name} starts; its screen is {kiosk.url}")
            kiosk.start(clock)
        for kiosk in kiosks:
            _wait_for_roster(kiosk, options.pupils)
        progress(f"{len(palms)} drawn palms of nobody are enrolled at the camera of kiosk {KIOSKS[PALM_KIOSK]}")
        with psycopg.connect(database_url, autocommit=True) as connection:
            surrogates = find_surrogates(connection, SCHOOL, palms)
        kiosks[PALM_KIOSK].add_operator()
        for pupil in palms:
            kiosks[PALM_KIOSK].enrol(pupil, surrogates[pupil])
        scene = Scene(clock, options.minutes, relay, queues, database_url, [])
        mishaps = threading.Thread(target=_play_mishaps, args=(scene,), daemon=True)
        for queue in queues:
            stack.callback(queue.abandon)
            queue.start()
        mishaps.start()
        watch(scene)
        mishaps.join()
        progress("the queued events go to the ledger")
        _wait_for_empty_queues(scene)
        for queue in queues:
            queue.kiosk.stop()
        after = opens + timedelta(minutes=options.minutes + LATE_MINUTES + 60)
        now = max(after, datetime.now(ZONE))
        proof = prove(
            database_url,
            [queue.kiosk.journal for queue in queues],
            [queue.tally for queue in queues],
            pupils,
            opens.date(),
            now,
        )
        progress("the day's sheets, a proof read back, and another count")
        log_key = signer.log_key(SCHOOL, LogName.CLAIMS)
        return DemoOutcome(proof, settle_money(database_url, opens.date(), now, log_key, witness.key))


@dataclass(frozen=True, slots=True)
class _RunningLedger:
    folder: Path
    port: int


@dataclass(frozen=True, slots=True)
class _RunningWitness:
    url: str
    key: NoteKey


@contextmanager
def _run_ledger(folder: Path, witness: _RunningWitness) -> Iterator[_RunningLedger]:
    """Runs `edge-agent ledger serve` as a process."""
    arguments = ("--data", str(folder), "--port", "0", "--log-name", LOG_NAME, "--settle-interval", "1")
    peer = ("--witness-url", witness.url, "--witness-key", str(witness.key))
    with _run_service(folder.with_name("ledger.log"), "serve", *arguments, *peer) as output:
        url = _read_line(output, rb"ledger at (http://127\.0\.0\.1:\d+)")
        yield _RunningLedger(folder, int(url.rsplit(":", 1)[1]))


@contextmanager
def _run_witness(folder: Path, ledger_key: NoteKey) -> Iterator[_RunningWitness]:
    """Runs `edge-agent ledger witness` as a process."""
    arguments = ("--name", "witness.demo", "--data", str(folder), "--port", "0")
    with _run_service(folder.with_name("witness.log"), "witness", str(ledger_key), *arguments) as output:
        url = _read_line(output, rb"witness at (http://127\.0\.0\.1:\d+)")
        yield _RunningWitness(url, parse_key(_read_line(output, rb"(witness\.demo\+\S+)")))


@contextmanager
def _run_service(log_file: Path, *command: str) -> Iterator[IO[bytes]]:
    """Runs a service of `edge-agent ledger` as a process, and yields what it prints."""
    with log_file.open("wb") as log:
        process = subprocess.Popen([*AGENT, "ledger", *command], stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        if process.poll() is None:
            process.kill()
            process.wait()


def _read_line(output: IO[bytes], pattern: bytes) -> str:
    """Returns the group of a pattern in the first line that fits. Raises RequestRefused where none comes."""
    for line in output:
        match = re.search(pattern, line)
        if match:
            return match[1].decode()
    raise RequestRefused(
        "the ledger or its witness did not start", "see ledger.log and witness.log in the demo's folder"
    )


@contextmanager
def _import_school(
    options: DemoOptions,
    ledger: _RunningLedger,
    pupils: Sequence[DemoPupil],
    opens: datetime,
    progress: Callable[[str], None],
) -> Iterator[str]:
    """Imports the school into the ledger. Yields the URL of the ledger's database."""
    export = options.folder / "oneroster"
    export.mkdir()
    for name, content in roster_files(pupils, opens, options.minutes).items():
        (export / name).write_bytes(content)
    progress(f"a school of {len(pupils)} pupils, imported from OneRoster files")
    with embedded_database(ledger.folder) as url:
        with connected(url) as connection:
            schools.add_school(connection, SCHOOL, "Школа «Демо»", str(ZONE))
            day = opens.date().isoformat()
            import_export(connection, read_export(export), [SCHOOL], date=day, in_force=opens - timedelta(hours=4))
        yield url


def _wait_for_roster(kiosk: DemoKiosk, people: int) -> None:
    until = time.monotonic() + 60
    while (status := kiosk.status()) is None or status.roster.people < people:
        if time.monotonic() > until:
            raise RequestRefused(f"kiosk {kiosk.name} gets no roster", f"see its log {kiosk.folder / 'log'}")
        time.sleep(0.1)


def _play_mishaps(scene: Scene) -> None:
    """Cuts the network for a while; within the outage a kiosk is killed and a reader unplugged."""
    first, second = (queue.kiosk for queue in scene.queues)
    length_s = scene.minutes * 60

    def wait_until(share: float) -> None:
        time.sleep(max(0.0, (share * length_s - scene.clock.seconds()) / scene.clock.speed))

    wait_until(0.25)
    scene.relay.cut()
    scene.announce("the network goes down")
    wait_until(0.35)
    first.kill()
    scene.announce(f"kiosk {first.name} is killed (SIGKILL)")
    first.start(scene.clock)
    scene.announce(f"kiosk {first.name} is back, still without a network")
    wait_until(0.45)
    second.peer.unplug()
    scene.announce(f"kiosk {second.name}: the card reader is pulled")
    time.sleep(UNPLUGGED_S)
    second.peer.replug()
    scene.announce(f"kiosk {second.name}: the card reader is back")
    wait_until(0.6)
    scene.relay.mend()
    scene.announce("the network is back")


def _wait_for_empty_queues(scene: Scene) -> None:
    until = time.monotonic() + DRAIN_S
    for queue in scene.queues:
        while (status := queue.kiosk.status()) is None or status.journal.queue > 0:
            if time.monotonic() > until:
                raise RequestRefused(
                    f"kiosk {queue.kiosk.name} cannot send its queue", f"see its log {queue.kiosk.folder / 'log'}"
                )
            time.sleep(0.1)
