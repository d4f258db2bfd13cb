"""A kiosk, its clock and its children, for the journal's tests."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.domain.moment import Moment
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.journal.migrate import is_up_to_date, migrate
from edge_agent.journal.setting_aside import JournalSetAside
from edge_agent.journal.store import ProcessLock
from sync.contract.chain import DeviceId, Epoch
from sync.contract.event import Claim, ClockQuality, Entry, Exit, Refusal, Repeat, Void

KIOSK = KioskIdentity(DeviceId("kiosk-1"), bytes(range(32)), "school-1")
NOON = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
BOOT = "3c5e6f0e-0000-4000-8000-000000000001"
DAY = "2026-11-23"


class StandingClock:
    """A clock that stands until it is moved."""

    def __init__(self, utc: datetime = NOON) -> None:
        self.utc = utc

    def __call__(self) -> Moment:
        return Moment(self.utc, int((self.utc - NOON).total_seconds() * 1000), BOOT, ClockQuality.SYNCHRONISED)

    def forward(self, **step: float) -> None:
        self.utc += timedelta(**step)


def open_journal(
    path: Path,
    kiosk: KioskIdentity = KIOSK,
    now: Callable[[], Moment] | None = None,
    *,
    ballast_bytes: int = 0,
    after: JournalSetAside | None = None,
) -> Journal:
    return Journal.open(
        path, kiosk, now=now or StandingClock(), ballast_bytes=ballast_bytes, after=after, migrate=migrate_in_process
    )


def migrate_in_process(path: Path, lock: ProcessLock) -> None:
    """Brings the schema up to date in this process: a child for every journal of a test would take too long."""
    if not is_up_to_date(path):
        migrate(path)


def build_entry(number: int, person: str = "", *, day: str = DAY, session: str = "lunch", note: str = "") -> Entry:
    return Entry(
        school="school-1",
        at="2026-11-23T04:40:00.123Z",
        boot=BOOT,
        mono_ms=number,
        clock=ClockQuality.SYNCHRONISED,
        roster=12,
        roster_age_s=60,
        person=person or f"p{number}",
        session=session,
        service_date=day,
        reader="left",
        credential="card-1",
        programme="state",
        claim=Claim.CLAIMABLE,
        note=note,
    )


def build_exit(number: int, person: str, epoch: Epoch, seq: int, *, day: str = DAY) -> Exit:
    return Exit(
        school="school-1",
        at="2026-11-23T04:52:00.000Z",
        boot=BOOT,
        mono_ms=number,
        clock=ClockQuality.SYNCHRONISED,
        person=person,
        session="lunch",
        service_date=day,
        entry_epoch=epoch,
        entry_seq=seq,
    )


def build_repeat(number: int, person: str, *, day: str = DAY) -> Repeat:
    return Repeat(
        school="school-1",
        at="2026-11-23T04:40:02.000Z",
        boot=BOOT,
        mono_ms=number,
        clock=ClockQuality.UNSYNCHRONISED,
        person=person,
        session="lunch",
        service_date=day,
    )


def build_refusal(number: int, person: str = "") -> Refusal:
    return Refusal(
        school="school-1",
        at="2026-11-23T04:40:02.000Z",
        boot=BOOT,
        mono_ms=number,
        clock=ClockQuality.SYNCHRONISED,
        person=person,
        reason="no_session",
    )


def build_void(number: int, person: str, epoch: Epoch, seq: int) -> Void:
    return Void(
        school="school-1",
        at="2026-11-23T04:45:00.000Z",
        boot=BOOT,
        mono_ms=number,
        clock=ClockQuality.SYNCHRONISED,
        void_epoch=epoch,
        void_seq=seq,
        person=person,
        operator="cook-1",
        note="wrong child",
    )
