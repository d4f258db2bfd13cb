"""From the last byte of a frame on the pty to the durable row and the light, beside a bare loop.

Frames come to both as the reader sends them, byte by byte at 9600 baud; the time runs from the last byte. A shorter
series has them in one piece, as an adapter that collects bytes hands them on.
The whole agent runs in this process, with its screen's server and with an uplink that sends to a ledger in another
process. Scans through it and through the bare loop take turns, on one disk, over the same rows. Both hold the same
interpreter's lock, so what the agent's other threads take is taken from both.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drivers.readings import CardRead, Reading
from drivers.simulated.card_peer import CardPeer, Model, frame
from drivers.simulated.light import SimulatedLight
from edge_agent import identity, settings
from edge_agent.domain.decision import Decision
from edge_agent.domain.facts import Past
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.identify import Identity
from edge_agent.domain.moment import Moment
from edge_agent.domain.record import ByHand, Context
from edge_agent.identity import Registration
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import Appended
from edge_agent.process.clock import KernelClock
from edge_agent.runtime.agent import Agent
from edge_agent.station import Station
from sync.contract.chain import Epoch
from sync.contract.event import Fact, PersonId
from tests.benchmarks import school
from tests.benchmarks.figures import Figure, Result, Run, high, middle, milliseconds
from tests.benchmarks.floor import BareLoop
from tests.benchmarks.sink import sink
from tests.sync.client.drain import DEVICE
from tests.sync.client.ledger import SERVER_PUBLIC

RATIO_MAX = 1.5
PEOPLE = 2_000
ROWS = 12_000
WARM_UP = 10
PATIENCE_S = 30.0
BYTE_S = 10 / 9600  # 8N1

SETTINGS = """\
[kiosk]
state_dir = "{folder}/state"
run_dir = "{folder}/run"
[journal]
ballast_mib = 0
[screen]
port = 0
[[readers]]
name = "door"
driver = "em4100"
port = "{folder}/door"
[[indicators]]
name = "light"
driver = "simulated-light"
"""


@dataclass
class Marks:
    """When the steps of the scan under way began and how long they took, in nanoseconds."""

    arrived: int = 0
    taken: int = 0
    done: int = 0
    spent: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        started = time.monotonic_ns()
        yield
        self.spent[step] = self.spent.get(step, 0) + time.monotonic_ns() - started


class WatchedJournal:
    """The journal as the station knows it."""

    def __init__(self, journal: Journal, marks: Marks) -> None:
        self._journal, self._marks = journal, marks

    def append(self, event: Fact) -> Appended:
        with self._marks.around("append"):
            return self._journal.append(event)

    def append_all(self, events: Sequence[Fact]) -> Sequence[Appended]:
        return self._journal.append_all(events)

    def facts(self, person: PersonId, since: str) -> Sequence[Past]:
        with self._marks.around("facts"):
            return self._journal.facts(person, since)

    def sighting(self, epoch: Epoch, seq: int) -> Past | None:
        return self._journal.sighting(epoch, seq)


class WatchedStation(Station):
    """The agent's own station, with a clock beside its steps."""

    def __init__(self, station: Station, journal: Journal, marks: Marks) -> None:
        super().__init__(WatchedJournal(journal, marks), station.roster, station._policy)
        self._marks = marks

    def take(self, reading: Reading, moment: Moment) -> Feedback | None:
        assert isinstance(reading, CardRead)
        self._marks.spent.clear()
        self._marks.arrived, self._marks.taken = reading.monotonic_ns, time.monotonic_ns()
        feedback = super().take(reading, moment)
        self._marks.done = time.monotonic_ns()
        return feedback

    def _settle(self, identity: Identity, context: Context, hand: ByHand | None = None) -> Feedback:
        with self._marks.around("settle"):
            return super()._settle(identity, context, hand)

    def _decide(self, identity: Identity, context: Context, hand: ByHand | None) -> Decision:
        with self._marks.around("decide"):
            return super()._decide(identity, context, hand)


STEPS = (
    "pty, wake the device's thread",
    "decode, hand over to the station",
    "identify",
    "facts",
    "decide",
    "append, durable",
    "record, respond",
    "hand over to the light",
)


def steps(marks: Marks, sent: int, shown: int) -> tuple[int, ...]:
    """Nanoseconds of each of STEPS; together they are the whole scan."""
    spent = marks.spent
    return (
        marks.arrived - sent,
        marks.taken - marks.arrived,
        marks.done - marks.taken - spent["settle"],
        spent["facts"],
        spent["decide"] - spent["facts"],
        spent["append"],
        spent["settle"] - spent["decide"] - spent["append"],
        shown - marks.done,
    )


@dataclass
class Times:
    """In nanoseconds, one entry a scan."""

    agent: list[int] = field(default_factory=list)
    bare: list[int] = field(default_factory=list)
    commit: list[int] = field(default_factory=list)


class Bench:
    """The agent and the bare loop, and the people who come to both."""

    def __init__(self, agent: Agent, peer: CardPeer, bare: BareLoop) -> None:
        self._bare = bare
        light = agent.indicators[0].indicator
        assert isinstance(light, SimulatedLight)
        self._light = light
        self._line = peer.fileno()
        self._agent = agent
        self._people = iter(range(PEOPLE))
        self._send = _send

    def measure(self, scans: int, per_second: float, *, in_one_piece: bool = False) -> Times:
        """So many people, each through both, evenly spread; a raw commit after each."""
        self._send = _send_whole if in_one_piece else _send
        times = Times()
        slot_s = 1 / per_second / 3
        at = time.monotonic()
        for number in range(scans):
            who = next(self._people)
            turns = [self._through_agent, self._through_bare]
            for turn in turns if number % 2 else reversed(turns):
                at = _sleep_until(at + slot_s)
                turn(who, times, slot_s)
            at = _sleep_until(at + slot_s)
            times.commit.append(self._bare.commit(school.person(who)))
        return times

    def steps(self, scans: int, per_second: float) -> list[tuple[int, ...]]:
        """The steps of so many scans through the agent alone: to look at the clock between them slows it down."""
        marks = Marks()
        station, self._agent.station = (
            self._agent.station,
            WatchedStation(self._agent.station, self._agent.journal, marks),
        )
        found = []
        at = time.monotonic()
        for _ in range(scans):
            found.append(steps(marks, *self._scan(next(self._people), 0.5 / per_second)))
            at = _sleep_until(at + 1 / per_second)
        self._agent.station = station
        return found

    def _through_agent(self, who: int, times: Times, slot_s: float) -> None:
        sent, shown = self._scan(who, slot_s)
        times.agent.append(shown - sent)

    def _scan(self, who: int, slot_s: float) -> tuple[int, int]:
        """When the card was sent and when the light came."""
        before = len(self._light.shown)
        sent = self._send(self._line, frame(Model.RDM6300, school.card(who)))
        # Not waited for by a wake-up: that would take the interpreter's lock in the middle of what is measured.
        _wait(lambda: len(self._light.shown) > before, slot_s / 2)
        shown, signal = self._light.shown[-1]
        assert signal == "welcome", signal
        return sent, shown

    def _through_bare(self, who: int, times: Times, slot_s: float) -> None:
        before = len(self._bare.shown)
        sent = self._send(self._bare.line, frame(Model.RDM6300, school.card(who)))
        _wait(lambda: len(self._bare.shown) > before, slot_s / 2)
        times.bare.append(self._bare.shown[-1] - sent)


def run(run: Run) -> Result:
    folder = run.folder / "scan"
    folder.mkdir()
    figures: list[Figure] = []
    rates = ((5.0, 12), (1.0, 2)) if run.quick else ((5.0, 500), (1.0, 120))
    with sink() as url, bench(folder, url) as scans:
        scans.measure(WARM_UP, 10.0)
        for per_second, count in rates:
            times = scans.measure(count, per_second)
            figures += _figures(f"{per_second:g}/s", times, scans.steps(max(1, count // 4), per_second))
        whole = scans.measure(rates[0][1] // 4, rates[0][0], in_one_piece=True)
    p50, floor = (milliseconds(middle(each)) for each in (whole.agent, whole.bare))
    figures.append(Figure(f"{rates[0][0]:g}/s p50 of {len(whole.agent)}, frames in one piece", p50, "ms", floor))
    what = f"Frame on the pty to durable row to light; floor: the bare loop. {ROWS:,} rows before, {PEOPLE:,} people"
    return Result("scan", what, figures)


def _figures(rate: str, times: Times, taken: Sequence[tuple[int, ...]]) -> list[Figure]:
    p50, p99, floor_p50, floor_p99 = (
        milliseconds(value) for value in (middle(times.agent), high(times.agent), middle(times.bare), high(times.bare))
    )
    commit = milliseconds(middle(times.commit))
    figures = [
        Figure(f"{rate} p50 of {len(times.agent)}", p50, "ms", floor_p50, at_most=RATIO_MAX),
        Figure(f"{rate} p99 of {len(times.agent)}", p99, "ms", floor_p99, at_most=RATIO_MAX),
        Figure(f"{rate} p50 to one raw commit", p50, "ms", commit),
    ]
    columns = [middle(column) for column in zip(*taken, strict=True)]
    for step, column in zip(STEPS, columns, strict=True):
        share = column / sum(columns)
        figures.append(Figure(f"{rate} step: {step}", milliseconds(column), f"ms, {share:.0%}"))
    return figures


@contextmanager
def bench(folder: Path, ledger: str) -> Iterator[Bench]:
    """An agent that has sent what is old and has nothing to do, and a bare loop on a copy of its journal."""
    state_dir = folder / "state"
    state_dir.mkdir()
    registration = Registration(device=DEVICE, school=school.SCHOOL, ledger=ledger, server_key=SERVER_PUBLIC.hex())
    identity.write_registration(state_dir, registration)
    journal = school.prepare(state_dir, people=PEOPLE, rows=ROWS)
    shutil.copy(journal, folder / "bare.db")
    config = folder / "agent.toml"
    config.write_text(SETTINGS.format(folder=folder), "utf-8")
    frames = {frame(Model.RDM6300, school.card(number)): school.person(number) for number in range(PEOPLE)}
    stopping = threading.Event()
    with CardPeer(folder / "door") as peer:
        agent = Agent(settings.load(config), now=KernelClock())
        agent.start({})
        bare = BareLoop(folder / "bare.db", frames)
        ticking = threading.Thread(target=_tick, args=(agent, stopping))
        ticking.start()
        try:
            _wait(lambda: agent.readers[0].there and agent.upkeep.verdict is not None, 0.05)
            _wait(lambda: agent.journal.queue_depth() == 0, 0.05)
            yield Bench(agent, peer, bare)
        finally:
            stopping.set()
            ticking.join()
            bare.close()
            agent.stop()


def _tick(agent: Agent, stopping: threading.Event) -> None:
    """As `runtime.daemon.run` does."""
    while not stopping.wait(1.0):
        faults = agent.tick()
        assert not faults, faults


def _send(line: int, card: bytes) -> int:
    """Write a frame as the reader does; the time just before its last byte."""
    at = time.monotonic()
    for byte in card[:-1]:
        os.write(line, bytes((byte,)))
        at = _sleep_until(at + BYTE_S)
    sent = time.monotonic_ns()
    os.write(line, card[-1:])
    return sent


def _send_whole(line: int, card: bytes) -> int:
    sent = time.monotonic_ns()
    os.write(line, card)
    return sent


def _sleep_until(moment: float) -> float:
    time.sleep(max(0.0, moment - time.monotonic()))
    return max(moment, time.monotonic())


def _wait(holds: Callable[[], bool], step_s: float) -> None:
    until = time.monotonic() + PATIENCE_S
    time.sleep(step_s)
    while not holds():
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(step_s)
