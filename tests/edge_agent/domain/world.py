"""A small school, a kiosk with a memory, and a clock, for tests of the rules."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.readings import CardRead, PersonMatched, Technology, Uid
from edge_agent.domain.decision import Decision, DecisionRules, decide
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.identify import BlockedCredential, Identity, RecognisedPerson, identify, identify_by_hand
from edge_agent.domain.moment import Moment
from edge_agent.domain.record import EventContext, SightingEvent, StaffAct, build_sighting, build_void
from edge_agent.domain.respond import respond
from edge_agent.domain.roster import Roster, build_roster
from edge_agent.domain.sighting import EarlierSighting, SightingKind
from sync.contract.chain import Epoch
from sync.contract.event import (
    Claim,
    ClockQuality,
    Entry,
    Event,
    Exit,
    Manual,
    PersonId,
    Refusal,
    Repeat,
    SessionId,
    Void,
)
from sync.contract.movements import Direction
from sync.contract.roster import (
    Consent,
    Credential,
    CredentialKind,
    Entitlement,
    MealSession,
    Person,
    Programme,
    Record,
    School,
)

ALMATY = ZoneInfo("Asia/Almaty")
SCHOOL = "sch-151"
DAY = "2026-11-23"  # a Monday
CONFIRMED = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

RULES = DecisionRules(
    debounce_ms=5_000,
    stay_min_ms=60_000,
    leave_ms=1_800_000,
    roster_age_max_s=3 * 86_400,
    unplaced_ms=2_700_000,
)

LUNCH = MealSession(id="lunch", name="Lunch", start="09:30", end="10:10")
SUPPER = MealSession(id="supper", name="Supper", start="19:00", end="00:30")
PROGRAMMES = (Programme(id="state", name="State meals"), Programme(id="paid", name="Paid meals"))


def card_value(number: int) -> str:
    return f"01{number:08X}"


def pupil(number: int, programme: str = "state", **fields: object) -> list[Record]:
    """A pupil `u1` with a card, a terminal number, a consent and, unless `programme` is empty, an entitlement."""
    person = f"u{number}"
    names: dict[str, object] = {"given_name": f"Given{number}", "family_name": f"Family{number}", "group": "1 «А»"}
    records: list[Record] = [
        Person(id=person, **{**names, **fields}),  # type: ignore[arg-type]  # a test's own fields
        Credential(id=f"c{number}", person=person, value=card_value(number), technology="em4100"),
        Credential(id=f"t{number}", person=person, kind=CredentialKind.TERMINAL, value=str(number)),
        Consent(id=f"k{number}", person=person, given_at="2026-09-01T00:00:00Z"),
    ]
    if programme:
        records.append(Entitlement(id=f"e{number}", person=person, programme=programme))
    return records


def school(
    *extra: Record, pupils: int = 3, version: int = 7, confirmed_at: datetime | None = CONFIRMED, bare: bool = False
) -> Roster:
    """Lunch and supper, and pupils u1, u2, …; `bare`: only what is in `extra`."""
    records: list[Record] = []
    if not bare:
        records += [School(id=SCHOOL, name="School 151"), *PROGRAMMES, LUNCH, SUPPER]
        for number in range(1, pupils + 1):
            records += pupil(number)
    return build_roster([*records, *extra], school=SCHOOL, version=version, confirmed_at=confirmed_at, tz=ALMATY)


def local(clock: str, day: str = DAY) -> datetime:
    """The UTC instant of a local time, as `09:40:00`."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ALMATY).astimezone(UTC)


def moment(
    clock: str, day: str = DAY, quality: ClockQuality = ClockQuality.SYNCHRONISED, boot: str = "boot-1"
) -> Moment:
    """A moment whose monotonic clock began at the local midnight before 23 November."""
    utc = local(clock, day)
    mono = utc - local("00:00:00")
    return Moment(utc, int(mono.total_seconds() * 1000), boot, quality)


def em4100(number: int) -> Uid:
    return Uid(Technology.EM4100, bytes.fromhex(card_value(number)), 40)


def card(number: int, reader: str = "r1") -> CardRead:
    return CardRead(reader, em4100(number), 0)


def palm_terminal(number: int) -> PersonMatched:
    return PersonMatched("palm", str(number), 0, score=9_900)


_KINDS = {
    Entry: SightingKind.ENTRY,
    Manual: SightingKind.MANUAL,
    Exit: SightingKind.EXIT,
    Repeat: SightingKind.REPEAT,
    Refusal: SightingKind.REFUSAL,
}


@dataclass
class RulesKiosk:
    """A kiosk that decides, keeps its events in order, and remembers them for the next decision."""

    roster: Roster
    device: str = "A"
    rules: DecisionRules = RULES
    direction: Direction = Direction.BOTH
    early: timedelta = timedelta()
    late: timedelta = timedelta()
    events: list[Event] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)

    @property
    def epoch(self) -> Epoch:
        return Epoch(f"{ord(self.device[0]):016x}")

    def earlier_sightings(self, person: str) -> tuple[EarlierSighting, ...]:
        voided = {(event.void_epoch, event.void_seq) for event in self.events if isinstance(event, Void)}
        return tuple(
            build_earlier_sighting(event, self.epoch, seq, voided=(self.epoch, seq) in voided)
            for seq, event in enumerate(self.events, start=1)
            if isinstance(event, Entry | Manual | Exit | Repeat | Refusal) and event.person == person
        )

    def decide(self, identity: Identity, when: Moment, staff_act: StaffAct | None = None) -> Decision:
        hours = self.roster.timetable.find_slots(when.utc, early=self.early, late=self.late)
        person = identity.person.id if isinstance(identity, RecognisedPerson | BlockedCredential) else ""
        direction = Direction.IN if staff_act else self.direction
        decision = decide(
            identity, when, hours, self.earlier_sightings(person), self.rules, self.roster, direction=direction
        )
        self.keep(build_sighting(decision, EventContext(when, self.roster, "r1"), staff_act))
        self.decisions.append(decision)
        self.feedback.append(respond(decision, self.roster, epoch=self.epoch, seq=len(self.events)))
        return decision

    def scan(self, reading: CardRead | PersonMatched, when: Moment) -> Decision:
        return self.decide(identify(reading, self.roster), when)

    def enter_by_hand(self, person: str, when: Moment, staff_act: StaffAct) -> Decision:
        return self.decide(identify_by_hand(person, self.roster), when, staff_act)

    def void(self, seq: int, when: Moment, staff_act: StaffAct) -> None:
        event = self.events[seq - 1]
        assert isinstance(event, Entry | Manual)
        self.keep(
            build_void(
                EventContext(when, self.roster), epoch=self.epoch, seq=seq, person=event.person, staff_act=staff_act
            )
        )

    def keep(self, event: Event) -> None:
        self.events.append(event)

    @property
    def last(self) -> Event:
        return self.events[-1]


def build_earlier_sighting(event: SightingEvent, epoch: Epoch, seq: int, *, voided: bool = False) -> EarlierSighting:
    ends = event if isinstance(event, Exit) else None
    return EarlierSighting(
        epoch=epoch,
        seq=seq,
        kind=_KINDS[type(event)],
        person=PersonId(event.person),
        session=SessionId(event.session),
        service_date=event.service_date,
        at=datetime.fromisoformat(event.at),
        boot=event.boot,
        mono_ms=event.mono_ms,
        clock=event.clock,
        method=event.method,
        reader=event.reader,
        offset_s=event.offset_s,
        claim=event.claim if isinstance(event, Entry | Manual) else Claim.NONE,
        voided=voided,
        entry_epoch=ends.entry_epoch if ends else "",
        entry_seq=ends.entry_seq if ends else 0,
    )
