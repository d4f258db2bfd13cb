"""The whole play: a ledger, a school, two kiosks, one lunch with everything that goes wrong in it, and the proof."""

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
from zoneinfo import ZoneInfo

import psycopg

from canteen_demo.clock import FastClock
from canteen_demo.kiosk import AGENT, Kiosk, free_port
from canteen_demo.lunch import Queue
from canteen_demo.plan import PALM_KIOSK, make_plan
from canteen_demo.postgres import embedded_database
from canteen_demo.proof import Proof, prove
from canteen_demo.relay import Relay
from canteen_demo.school import LATE_MINUTES, SCHOOL, Pupil, make_pupils, roster_files
from edge_agent.errors import RequestRefused
from sync.ledger import schools
from sync.ledger.roster_files import read_export
from sync.ledger.roster_import import import_export
from sync.ledger.server import connected

ZONE = ZoneInfo("Asia/Almaty")
KIOSKS = ("left", "right")
LEDGER_START_S = 120.0
DRAIN_S = 60.0
DOORS_S = 6.0  # real seconds from the last registration to the first child
ENROL_S = 2.0  # and for each palm that is made known before
PALMS_MAX = 8  # a picture takes two cores a fifth of a second, in which two cards could be read
PUPILS_PER_PALM = 8
PULLED_S = 1.5  # real seconds that a reader is away


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of the person at the command line. `minutes` are simulated, `speed` times as fast as life."""

    pupils: int = 700
    minutes: float = 20.0
    speed: float = 20.0
    seed: int = 1
    folder: Path


@dataclass(slots=True)
class Scene:
    """The state that a spectator may look at; the play changes it, the view reads it."""

    clock: FastClock
    minutes: float
    relay: Relay
    queues: list[Queue]
    database_url: str
    log: list[tuple[float, str]]

    def say(self, text: str) -> None:
        self.log.append((self.clock.seconds(), text))

    def ledger_rows(self) -> int:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM event").fetchone()
        return int(row[0]) if row else 0


def play(wish: Wish, progress: Callable[[str], None], watch: Callable[[Scene], None]) -> Proof:
    """Run it all. `progress` hears what is being prepared; `watch` is called when the doors open and returns when it
    has seen the end (`Queue.done`)."""
    dice = random.Random(wish.seed)  # noqa: S311  the same seed, the same school day
    pupils = make_pupils(wish.pupils, dice)
    opens = datetime.now(ZONE).replace(hour=12, minute=30, second=0, microsecond=0)
    with ExitStack() as stack:
        progress("a ledger on a PostgreSQL of its own")
        ledger = stack.enter_context(_ledger(wish.folder / "ledger"))
        relay = Relay(("127.0.0.1", ledger.port))
        stack.callback(relay.close)
        database_url = stack.enter_context(_school(wish, ledger, pupils, opens, progress))
        kiosks = []
        for number, name in enumerate(KIOSKS):
            progress(f"kiosk {name}, registered with a one-time code")
            seed = wish.seed if number == PALM_KIOSK else None
            kiosk = Kiosk(name, wish.folder / name, port=free_port(), palms_seed=seed)
            stack.callback(kiosk.close)
            with psycopg.connect(database_url, autocommit=True) as connection:
                code = schools.issue_code(connection, SCHOOL, name, datetime.now(ZONE), timedelta(hours=1))
            kiosk.register(f"http://127.0.0.1:{relay.port}", code)
            kiosks.append(kiosk)
        palms = [pupil.id for pupil in pupils if pupil.consent][: min(PALMS_MAX, wish.pupils // PUPILS_PER_PALM)]
        doors_s = DOORS_S + ENROL_S * len(palms)
        clock = FastClock(opens, time.monotonic_ns() + int(doors_s * 1e9), wish.speed)
        plan = make_plan(pupils, wish.minutes, len(KIOSKS), dice, palms)
        queues = [
            Queue(kiosk, [visit for visit in plan if visit.kiosk == number], clock)
            for number, kiosk in enumerate(kiosks)
        ]
        for kiosk in kiosks:
            progress(f"kiosk {kiosk.name} starts; its screen is {kiosk.url}")
            kiosk.start(clock)
        for kiosk in kiosks:
            _wait_for_roster(kiosk, wish.pupils)
        progress(f"{len(palms)} palms, drawn and nobody's, are made known at the camera of kiosk {KIOSKS[PALM_KIOSK]}")
        for pupil in palms:
            kiosks[PALM_KIOSK].enrol(pupil)
        scene = Scene(clock, wish.minutes, relay, queues, database_url, [])
        mishaps = threading.Thread(target=_mishaps, args=(scene,), daemon=True)
        for queue in queues:
            stack.callback(queue.abandon)
            queue.start()
        mishaps.start()
        watch(scene)
        mishaps.join()
        progress("what is queued goes to the ledger")
        _drain(scene)
        for queue in queues:
            queue.kiosk.stop()
        after = opens + timedelta(minutes=wish.minutes + LATE_MINUTES + 60)
        return prove(
            database_url,
            [queue.kiosk.journal for queue in queues],
            [queue.tally for queue in queues],
            pupils,
            opens.date(),
            max(after, datetime.now(ZONE)),
        )


@dataclass(frozen=True, slots=True)
class _Ledger:
    data: Path
    port: int


@contextmanager
def _ledger(data: Path) -> Iterator[_Ledger]:
    """`edge-agent ledger serve` as a process; its last words say where it listens."""
    data.mkdir(parents=True)
    log = data.with_name("ledger.log").open("wb")
    with log:
        process = subprocess.Popen(
            [*AGENT, "ledger", "serve", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, stderr=log
        )
    try:
        yield _Ledger(data, _port(process))
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        if process.poll() is None:
            process.kill()
            process.wait()


def _port(process: "subprocess.Popen[bytes]") -> int:
    """From the line `ledger at http://127.0.0.1:…`."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(rb"ledger at http://127\.0\.0\.1:(\d+)", line)
        if found:
            return int(found[1])
    raise RequestRefused("the ledger did not start; its log is beside its folder, in ledger.log")


@contextmanager
def _school(
    wish: Wish, ledger: _Ledger, pupils: Sequence[Pupil], opens: datetime, progress: Callable[[str], None]
) -> Iterator[str]:
    """The school in the ledger, its roster imported as a city would; the database's URL while it is looked at."""
    export = wish.folder / "oneroster"
    export.mkdir()
    for name, content in roster_files(pupils, opens, wish.minutes).items():
        (export / name).write_bytes(content)
    progress(f"a school of {len(pupils)} pupils, imported from OneRoster files")
    with embedded_database(ledger.data) as url:
        with connected(url) as connection:
            schools.add_school(connection, SCHOOL, "Школа «Демо»", str(ZONE))
            import_export(connection, read_export(export), [SCHOOL], date=opens.date().isoformat())
        yield url


def _wait_for_roster(kiosk: Kiosk, people: int) -> None:
    until = time.monotonic() + 60
    while (status := kiosk.status()) is None or status.roster.people < people:
        if time.monotonic() > until:
            raise RequestRefused(f"kiosk {kiosk.name} gets no roster; its log is {kiosk.folder / 'log'}")
        time.sleep(0.1)


def _mishaps(scene: Scene) -> None:
    """An outage in the middle; within it a kiosk is killed and a reader pulled."""
    first, second = (queue.kiosk for queue in scene.queues)
    length_s = scene.minutes * 60

    def at(share: float) -> None:
        time.sleep(max(0.0, (share * length_s - scene.clock.seconds()) / scene.clock.speed))

    at(0.25)
    scene.relay.cut()
    scene.say("the network goes down")
    at(0.35)
    first.kill()
    scene.say(f"kiosk {first.name} is killed (SIGKILL)")
    first.start(scene.clock)
    scene.say(f"kiosk {first.name} is back, still without a network")
    at(0.45)
    second.peer.unplug()
    scene.say(f"kiosk {second.name}: the card reader is pulled")
    time.sleep(PULLED_S)
    second.peer.replug()
    scene.say(f"kiosk {second.name}: the card reader is back")
    at(0.6)
    scene.relay.mend()
    scene.say("the network is back")


def _drain(scene: Scene) -> None:
    until = time.monotonic() + DRAIN_S
    for queue in scene.queues:
        while (status := queue.kiosk.status()) is None or status.journal.queue > 0:
            if time.monotonic() > until:
                raise RequestRefused(
                    f"kiosk {queue.kiosk.name} does not get rid of its queue; see {queue.kiosk.folder}/log"
                )
            time.sleep(0.1)
