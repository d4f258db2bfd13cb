"""The steps of one scan: feedback comes after the event is on disk, and names a journal that refuses."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.readings import Authenticity, CardRead, PersonMatched, Technology, Uid
from edge_agent.domain.confirmation import ConfirmationLimits
from edge_agent.domain.decision import DecisionRules
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.identify import PalmScore
from edge_agent.domain.moment import Moment
from edge_agent.domain.record import StaffAct
from edge_agent.domain.roster import Roster, build_roster
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.verify import verify_journal
from edge_agent.station.ports import (
    EntryAlreadyVoid,
    HeldInMemory,
    NoMealNow,
    NoSuchEntry,
    PalmPresentation,
    StationPolicy,
)
from edge_agent.station.station import Station
from edge_agent.station.waiting_scans import WaitingScans
from sync.contract.chain import DeviceId, Epoch, Hash
from sync.contract.event import (
    Claim,
    ClockQuality,
    Entry,
    Event,
    Exit,
    GuestMeals,
    Manual,
    Method,
    PersonId,
    Refusal,
    Repeat,
    Sighting,
    Void,
    decode,
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
)
from tests.edge_agent.journal.samples import migrate_in_process

NOON = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)  # 12:00 in Almaty
SECOND_NS = 1_000_000_000
STAFF_ACT = StaffAct("Cook", "forgot_card")


def moment(seconds: float = 0.0) -> Moment:
    return Moment(NOON + timedelta(seconds=seconds), int(seconds * 1000), "boot", ClockQuality.SYNCHRONISED)


def roster(*extra: Record) -> Roster:
    people = [Person(id=f"u-{n}", given_name=f"Name{n}", family_name="F", group="1A") for n in (1, 2, 3)]
    cards = [Credential(id=f"c-{n}", person=f"u-{n}", value=f"010000000{n}", technology="em4100") for n in (1, 2, 3)]
    paid = [Entitlement(id=f"e-{n}", person=f"u-{n}", programme="state") for n in (1, 2)]
    lunch = MealSession(id="lunch", name="Lunch", start="11:30", end="13:00")
    records: list[Record] = [*people, *cards, *paid, lunch, Programme(id="state", name="State"), *extra]
    return build_roster(records, school="s", version=7, confirmed_at=NOON, tz=ZoneInfo("Asia/Almaty"))


POLICY = StationPolicy(
    rules=DecisionRules(
        debounce_ms=5_000, stay_min_ms=60_000, leave_ms=3_600_000, roster_age_max_s=86_400, unplaced_ms=2_700_000
    ),
    confirmation_limits=ConfirmationLimits(window_ns=SECOND_NS // 2, unknown_per_minute=20),
    early_grace=timedelta(0),
    late_grace=timedelta(0),
    palm_with_card=False,
    pairing_ms=8_000,
    directions={"exit": Direction.OUT},
)


def card(number: int, reader: str = "door", time_ns: int = 0, *, again: bool = False) -> CardRead:
    return CardRead(reader, Uid(Technology.EM4100, bytes.fromhex(f"010000000{number}"), 40), time_ns, again)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    kiosk = KioskIdentity(DeviceId("d"), bytes(32), "s")
    with closing(
        Journal.open(tmp_path / "journal.db", kiosk, now=moment, ballast_bytes=0, migrate=migrate_in_process)
    ) as opened:
        yield opened


def read_events(journal: Journal) -> list[Event]:
    return [decode(row.payload) for row in reversed(journal.recent(100))]


def test_entry_repeat_and_exit_and_their_events(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    welcome = station.take_reading(card(1), moment())
    again = station.take_reading(card(1), moment(2))
    goodbye = station.take_reading(card(1), moment(600))
    assert [feedback.kind for feedback in (welcome, again, goodbye) if feedback] == [
        FeedbackKind.WELCOME,
        FeedbackKind.NOTED,
        FeedbackKind.GOODBYE,
    ]
    entry, repeat, leave = read_events(journal)
    assert isinstance(entry, Entry)
    assert (entry.person, entry.session, entry.programme, entry.roster) == ("u-1", "lunch", "state", 7)
    assert isinstance(leave, Exit)
    assert (leave.entry_epoch, leave.entry_seq) == (journal.outbox.epoch, 1)
    assert repeat.at == "2026-11-20T07:00:02.000Z"


@pytest.mark.parametrize("authenticity", Authenticity)
def test_the_row_says_what_the_card_has_shown(journal: Journal, authenticity: Authenticity) -> None:
    station = Station(journal, roster(), POLICY)
    station.take_reading(msgspec.structs.replace(card(1), authenticity=authenticity), moment())
    (entry,) = read_events(journal)
    assert isinstance(entry, Entry)
    assert entry.authenticity == authenticity.value


class FullJournal:
    """A journal whose disk is full."""

    def append(self, event: Event) -> AppendedEvent:
        raise JournalUnwritable("disk full")

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        raise JournalUnwritable("disk full")

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        return ()

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        return None


class TurningJournal(FullJournal):
    """A journal that refuses, and gives nothing back, until its disk is mended."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.is_mended = False

    def append(self, event: Event) -> AppendedEvent:
        return self.journal.append(event) if self.is_mended else super().append(event)

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        return self.journal.append_all(events) if self.is_mended else super().append_all(events)

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        if not self.is_mended:
            raise JournalUnwritable("the file cannot be opened")
        return self.journal.earlier_sightings(person, since)


def test_scans_that_waited_are_recorded_in_order_as_if_no_time_had_passed(journal: Journal, tmp_path: Path) -> None:
    disk = TurningJournal(journal)
    station = Station(disk, roster(), POLICY)
    shown = [
        station.take_reading(card(1), moment()),
        station.enter_by_hand(PersonId("u-2"), moment(2), STAFF_ACT),
        station.take_reading(card(1), moment(4)),  # again, too soon to mean anything
        station.take_reading(card(1), moment(60 * 30)),  # leaves
    ]
    assert {kind_shown(feedback) for feedback in shown} == {FeedbackKind.WAITING}
    assert all(feedback and feedback.greeting == "" for feedback in shown)
    with pytest.raises(JournalUnwritable):
        station.write_waiting()
    disk.is_mended = True
    newcomer = station.take_reading(card(3), moment(60 * 31))
    assert kind_shown(newcomer) is FeedbackKind.WAITING  # nobody is recorded before those who wait
    assert station.write_waiting()
    events = read_events(journal)
    assert [type(event).__name__ for event in events] == ["Entry", "Manual", "Repeat", "Exit", "Entry"]
    assert [event.at for event in events] == [moment(s).text for s in (0, 2, 4, 60 * 30, 60 * 31)]
    assert [event.mono_ms for event in events] == [moment(s).mono_ms for s in (0, 2, 4, 60 * 30, 60 * 31)]
    assert all(isinstance(event, Sighting) and event.written_late for event in events)
    assert kind_shown(station.take_reading(card(2), moment(60 * 40))) is not FeedbackKind.WAITING


def test_a_class_that_cannot_be_recorded_waits_as_a_whole_or_is_refused() -> None:
    station = Station(FullJournal(), roster(), POLICY)
    group = next(person.group for person in station.roster.people.values())
    members = len(station.roster.group_members(group))
    with pytest.raises(HeldInMemory) as held:
        station.enter_class(group, moment(), STAFF_ACT)
    assert held.value.people == members == len(station.waiting_scans.scans)
    station.waiting_scans = WaitingScans(members - 1)
    with pytest.raises(JournalUnwritable):
        station.enter_class(group, moment(), STAFF_ACT)
    assert station.waiting_scans.not_kept == members


def test_no_green_without_a_durable_row() -> None:
    station = Station(FullJournal(), roster(), POLICY)
    station.waiting_scans = WaitingScans(0)  # no room to wait, either
    for feedback in (
        station.take_reading(card(1), moment()),
        station.enter_by_hand(PersonId("u-1"), moment(), STAFF_ACT),
    ):
        assert feedback is not None
        assert feedback.kind is FeedbackKind.NOT_RECORDED
        assert feedback.greeting == ""
        assert feedback.staff is not None
        assert feedback.staff.name == "Name1 F"


def test_a_child_without_a_programme_sees_what_every_child_sees(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    entitled, unentitled = station.take_reading(card(1), moment()), station.take_reading(card(3), moment())
    assert entitled is not None
    assert unentitled is not None
    assert (entitled.kind, entitled.silent, entitled.language) == (
        unentitled.kind,
        unentitled.silent,
        unentitled.language,
    )


def test_an_unknown_card_counts_with_its_second_frame_and_a_phantom_does_not(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    once = station.take_reading(card(9), moment())
    assert once is not None
    assert once.kind is FeedbackKind.AGAIN
    assert read_events(journal) == []
    twice = station.take_reading(card(9, time_ns=SECOND_NS // 10, again=True), moment(0.1))
    assert twice is not None
    assert twice.kind is FeedbackKind.ASK_STAFF
    (refusal,) = read_events(journal)
    assert isinstance(refusal, Refusal)
    assert refusal.credential.startswith("#")
    assert "0100000009" not in refusal.credential


def test_a_card_on_the_roster_counts_immediately_and_its_second_frame_is_dropped(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    assert station.take_reading(card(1), moment()) is not None
    assert station.take_reading(card(1, time_ns=SECOND_NS // 10, again=True), moment(0.1)) is None
    assert len(read_events(journal)) == 1


def test_an_exit_reader_never_makes_an_entry(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    assert station.take_reading(card(2, "exit"), moment()) is not None
    (event,) = read_events(journal)
    assert isinstance(event, Exit)
    assert event.entry_seq == 0


def test_a_whole_class_by_hand_shares_a_group_and_a_transaction(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    station.take_reading(card(1), moment())
    staff_act = StaffAct("Teacher", "reader_down", group="g1")
    assert station.enter_class("1A", moment(120), staff_act) == 3
    entries = [event for event in read_events(journal) if isinstance(event, Manual)]
    assert {event.person for event in entries} == {
        "u-2",
        "u-3",
    }  # a child who is inside gets a repeat and no second entry
    assert {(event.operator, event.group) for event in entries} == {("Teacher", "g1")}


def test_those_ticked_are_entered_once_and_whoever_is_in_is_left_alone(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    station.take_reading(card(1), moment())
    people = [PersonId("u-1"), PersonId("u-2")]
    staff_act = StaffAct("Teacher", "reader_down", group="g1")
    assert station.enter_people(people, moment(120), staff_act) == 1
    assert station.enter_people(people, moment(121), staff_act) == 0
    assert [event.person for event in read_events(journal) if isinstance(event, Entry | Manual)] == ["u-1", "u-2"]
    assert len(read_events(journal)) == 2
    with pytest.raises(NoMealNow):
        station.enter_people([PersonId("u-3")], moment(12 * 3600), staff_act)


def test_void_and_again(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    station.take_reading(card(1), moment())
    station.void_entry(journal.outbox.epoch, 1, moment(10), STAFF_ACT)
    with pytest.raises(EntryAlreadyVoid):
        station.void_entry(journal.outbox.epoch, 1, moment(11), STAFF_ACT)
    with pytest.raises(NoSuchEntry):
        station.void_entry(journal.outbox.epoch, 2, moment(12), STAFF_ACT)  # the void itself is no entry
    feedback = station.take_reading(card(1), moment(20))
    assert feedback is not None
    assert feedback.kind is FeedbackKind.WELCOME
    entry, void, second = read_events(journal)
    assert isinstance(void, Void)
    assert isinstance(entry, Entry)
    assert isinstance(second, Entry)
    assert entry.claim == second.claim


def test_guests_are_counted_voided_and_carried_by_nobody(journal: Journal) -> None:
    station = Station(journal, roster(), POLICY)
    station.take_reading(card(1), moment())
    assert station.enter_guests(5, "guest", moment(60), StaffAct("Cook", "inspection")) == 1
    with pytest.raises(NoMealNow):
        station.enter_guests(5, "guest", moment(12 * 3600), STAFF_ACT)
    station.void_entry(journal.outbox.epoch, 2, moment(70), STAFF_ACT)
    with pytest.raises(EntryAlreadyVoid):
        station.void_entry(journal.outbox.epoch, 2, moment(71), STAFF_ACT)
    _, guests, void = read_events(journal)
    assert isinstance(guests, GuestMeals)
    assert (guests.counted, guests.payer, guests.session, guests.service_date) == (5, "guest", "lunch", "2026-11-20")
    assert isinstance(void, Void)
    assert void.person == ""
    assert [(entry.seq, entry.voided) for entry in journal.day_entries(NOON.date())] == [(2, True), (1, False)]
    assert verify_journal(journal.path).whole
    doubtful = msgspec.structs.replace(moment(12 * 3600), clock=ClockQuality.UNSYNCHRONISED)
    assert station.enter_guests(2, "guest", doubtful, STAFF_ACT) == 1  # a meal may be served all the same


def test_same_in_same_out(tmp_path: Path) -> None:
    """Equal readings, rosters and clocks give equal bytes on every machine."""
    script = [(card(1), 0.0), (card(2), 3.0), (card(1), 3.5), (card(9), 4.0), (card(1), 400.0), (card(2), 500.0)]
    heads = set()
    for name in ("one", "two"):
        kiosk = KioskIdentity(DeviceId("d"), bytes(32), "s")
        with Journal.open(
            tmp_path / name, kiosk, now=moment, random_bytes=bytes, ballast_bytes=0, migrate=migrate_in_process
        ) as journal:
            station = Station(journal, roster(), POLICY)
            for reading, seconds in script:
                station.take_reading(reading, moment(seconds))
            heads.add(journal.outbox.head)
    assert len(heads) == 1


def present(*scores: tuple[str, int], copied: bool = False) -> PalmPresentation:
    palm_scores = tuple(PalmScore(PersonId(person), "palm-left", score) for person, score in scores)
    return PalmPresentation("palm", palm_scores, accept_score=3_000, margin_score=400, looks_copied=copied)


def roster_with_consents(*people: str) -> Roster:
    consents = [Consent(id=f"k-{person}", person=person, given_at="2026-09-01T00:00:00Z") for person in people]
    return roster(*consents)


def test_a_palm_counts_like_a_card(journal: Journal) -> None:
    station = Station(journal, roster_with_consents("u-1", "u-2"), POLICY)
    welcome = station.take_palm(present(("u-1", 5_000), ("u-2", 1_000)), moment())
    assert (welcome.kind, welcome.greeting) == (FeedbackKind.WELCOME, "Name1")
    assert station.take_palm(present(("u-1", 5_000)), moment(2)).kind is FeedbackKind.NOTED
    assert station.take_reading(card(1), moment(3)) is not None
    entry, repeat, by_card = read_events(journal)
    assert isinstance(entry, Entry)
    assert (entry.person, entry.method, entry.score, entry.reader) == ("u-1", Method.PALM, 5_000, "palm")
    assert (entry.credential, entry.programme) == ("palm-left", "state")
    assert isinstance(repeat, Repeat)
    assert isinstance(by_card, Repeat), "a card right after the palm belongs to the same visit"


@pytest.mark.parametrize(
    ("presentation", "reason", "kind"),
    [
        (present(("u-1", 2_999)), "palm_unknown", FeedbackKind.USE_CARD),
        (present(), "palm_unknown", FeedbackKind.USE_CARD),
        (present(("u-1", 5_000), ("u-2", 4_700)), "ambiguous", FeedbackKind.USE_CARD),
        (
            present(("u-3", 9_000)),
            "palm_unknown",
            FeedbackKind.USE_CARD,
        ),  # the parents have not agreed, whatever the score
        (present(("u-1", 9_000), copied=True), "palm_copy", FeedbackKind.USE_CARD),
    ],
)
def test_a_palm_that_settles_nothing_asks_for_the_card(
    journal: Journal, presentation: PalmPresentation, reason: str, kind: FeedbackKind
) -> None:
    station = Station(journal, roster_with_consents("u-1", "u-2"), POLICY)
    assert station.take_palm(presentation, moment()).kind is kind
    (refusal,) = read_events(journal)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.person, refusal.method) == (reason, "", Method.PALM)


PAIRING_POLICY = replace(POLICY, palm_with_card=True)


class ListedPalms:
    """Palms of u-1 and u-2; a test can take the camera away."""

    def __init__(self) -> None:
        self.camera = True

    def has_template(self, person: PersonId) -> bool:
        return person in ("u-1", "u-2")

    def has_camera(self) -> bool:
        return self.camera


def station_with_pairing(journal: Journal) -> Station:
    station = Station(journal, roster_with_consents("u-1", "u-2"), PAIRING_POLICY)
    station.palms = ListedPalms()
    return station


def present_for_card(person: str, score: int, *others: tuple[str, int], copied: bool = False) -> PalmPresentation:
    return replace(
        present((person, score), *others, copied=copied), expected_person=PersonId(person), confirm_score=2_900
    )


def kind_shown(feedback: Feedback | None) -> FeedbackKind:
    assert feedback is not None
    return feedback.kind


def test_a_card_waits_for_its_owners_palm_and_only_then_counts(journal: Journal) -> None:
    station = station_with_pairing(journal)
    assert kind_shown(station.take_reading(card(1), moment())) is FeedbackKind.SHOW_PALM
    assert read_events(journal) == []
    assert station.awaited_person("palm") == "u-1"
    # Too little among all people, and enough for the owner of this card.
    assert kind_shown(station.take_palm(present_for_card("u-1", 2_950), moment(2))) is FeedbackKind.WELCOME
    assert (station.has_waits, station.awaited_person("palm")) == (False, None)
    (entry,) = read_events(journal)
    assert isinstance(entry, Entry)
    assert (entry.person, entry.method, entry.score, entry.reader) == ("u-1", Method.CARD, 2_950, "door")
    assert (entry.reason, entry.review) == ("", False)
    assert kind_shown(station.take_reading(card(1), moment(600))) is FeedbackKind.GOODBYE, (
        "nobody is asked for a palm on the way out"
    )


@pytest.mark.parametrize(
    ("presentation", "candidates"),
    [
        (present_for_card("u-1", 2_899), "u-1"),
        (present_for_card("u-1", 0, ("u-2", 6_000)), "u-1,u-2"),
        (present_for_card("u-1", 2_000, ("u-2", 3_500), ("u-3", 3_400)), "u-1,u-2"),  # u-3 has not agreed: no candidate
    ],
)
def test_the_palm_of_another_person_is_a_refusal_for_the_staff(
    journal: Journal, presentation: PalmPresentation, candidates: str
) -> None:
    station = station_with_pairing(journal)
    station.take_reading(card(1), moment())
    assert kind_shown(station.take_palm(presentation, moment(2))) is FeedbackKind.ASK_STAFF
    (refusal,) = read_events(journal)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.person, refusal.candidates) == ("mismatch", "", candidates)
    assert kind_shown(station.take_reading(card(1), moment(4))) is FeedbackKind.SHOW_PALM, (
        "the owner may try again at once"
    )


def test_the_staff_learn_of_a_print_beside_the_card(journal: Journal) -> None:
    station = station_with_pairing(journal)
    station.take_reading(card(1), moment())
    assert (
        kind_shown(station.take_palm(present_for_card("u-1", 9_000, copied=True), moment(1))) is FeedbackKind.ASK_STAFF
    )
    (refusal,) = read_events(journal)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "palm_copy"


def test_a_card_whose_palm_does_not_come_counts_and_is_marked(journal: Journal) -> None:
    station = station_with_pairing(journal)
    station.take_reading(card(1), moment())
    assert station.end_waits(moment(7.9)) == []
    assert station.take_reading(card(1, time_ns=SECOND_NS // 5, again=True), moment(0.2)) is None
    assert [kind_shown(feedback) for feedback in station.end_waits(moment(8))] == [FeedbackKind.WELCOME]
    (entry,) = read_events(journal)
    assert isinstance(entry, Entry)
    assert (entry.reason, entry.review, entry.at) == ("palm_unconfirmed", True, "2026-11-20T07:00:00.000Z")
    assert station.end_waits(moment(20)) == []


def test_the_next_card_ends_the_wait_and_so_does_the_end_of_the_day(journal: Journal) -> None:
    station = station_with_pairing(journal)
    station.take_reading(card(1), moment())
    assert station.end_waits(moment(1), card(1)) == []
    assert station.end_waits(moment(1), card(2, "exit")) == [], "another gate"
    assert station.end_waits(moment(1), card(9)) == [], "a card that nobody knows"
    assert [kind_shown(feedback) for feedback in station.end_waits(moment(1), card(2))] == [FeedbackKind.WELCOME]
    assert kind_shown(station.take_reading(card(2), moment(1))) is FeedbackKind.SHOW_PALM
    assert [kind_shown(feedback) for feedback in station.end_all_waits()] == [FeedbackKind.WELCOME]
    assert [event.person for event in read_events(journal) if isinstance(event, Entry)] == ["u-1", "u-2"]


def test_the_palm_of_an_earlier_visitor_does_not_end_the_wait_of_a_new_card(journal: Journal) -> None:
    station = station_with_pairing(journal)
    station.take_reading(card(1), moment())
    assert kind_shown(station.take_palm(present(("u-2", 6_000)), moment(0.5))) is FeedbackKind.WELCOME
    assert station.awaited_person("palm") == "u-1"
    assert kind_shown(station.take_palm(present(("u-1", 6_000)), moment(1))) is FeedbackKind.WELCOME, (
        "known without having been asked"
    )
    assert {event.person: event.method for event in read_events(journal) if isinstance(event, Entry)} == {
        "u-2": Method.PALM,
        "u-1": Method.CARD,
    }


def test_a_card_alone_is_enough_where_no_palm_can_be_asked_for(journal: Journal) -> None:
    station = station_with_pairing(journal)
    assert kind_shown(station.take_reading(card(3), moment())) is FeedbackKind.WELCOME  # has not agreed
    assert isinstance(station.palms, ListedPalms)
    station.palms.camera = False
    assert kind_shown(station.take_reading(card(1), moment(1))) is FeedbackKind.WELCOME
    station.palms = None
    assert kind_shown(station.take_reading(card(2), moment(2))) is FeedbackKind.WELCOME
    marks = {event.person: event.reason for event in read_events(journal) if isinstance(event, Entry)}
    assert marks == {"u-3": "no_entitlement", "u-1": "palm_unconfirmed", "u-2": ""}


def test_the_feedback_names_a_wait_that_cannot_be_recorded() -> None:
    station = Station(FullJournal(), roster_with_consents("u-1"), PAIRING_POLICY)
    station.palms = ListedPalms()
    assert kind_shown(station.take_reading(card(1), moment())) is FeedbackKind.SHOW_PALM
    assert [kind_shown(feedback) for feedback in station.end_waits(moment(9))] == [FeedbackKind.WAITING]


class ForgetfulJournal:
    """A journal without memory, so that every card is an entry."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> AppendedEvent:
        self.events.append(event)
        return AppendedEvent(Epoch("e"), len(self.events), Hash(bytes(32)))

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        return [self.append(event) for event in events]

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        return ()

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        return None


SCORES = st.sampled_from([0, 2_000, 2_950, 3_500, 6_000])
STEPS = st.one_of(
    st.tuples(st.just("card"), st.sampled_from([1, 2, 3]), st.sampled_from(["door", "exit"])),
    st.tuples(st.just("palm"), st.tuples(SCORES, SCORES), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 10), st.none()),
)


@given(steps=st.lists(STEPS, max_size=25))
def test_every_waiting_card_counts_exactly_once(
    steps: list[tuple[str, Any, Any]],
) -> None:
    journal, seconds, waits = ForgetfulJournal(), 0.0, 0
    station = Station(journal, roster_with_consents("u-1", "u-2"), PAIRING_POLICY)
    station.palms = ListedPalms()
    for place, (kind, what, more) in enumerate(steps):
        seconds += what if kind == "wait" else 0.5
        reading = card(what, more, place * SECOND_NS) if kind == "card" else None
        station.end_waits(moment(seconds), reading)
        awaited = {gate: station.awaited_person(gate) for gate in ("door", "exit")}
        if reading is not None:
            fresh = awaited[more] != f"u-{what}"
            waits += kind_shown(station.take_reading(reading, moment(seconds))) is FeedbackKind.SHOW_PALM and fresh
        elif kind == "palm":
            scores = [("u-1", what[0]), ("u-2", what[1])]
            owner = station.awaited_person("palm")
            presentation = present(*scores, copied=more)
            station.take_palm(
                replace(presentation, expected_person=owner, confirm_score=2_900) if owner else presentation,
                moment(seconds),
            )
        assert len(station._waiting) <= 2
    station.end_all_waits()
    card_events = [
        event for event in journal.events if isinstance(event, Entry | Refusal) and event.method is Method.CARD
    ]
    ended = [
        event
        for event in card_events
        if event.reason in ("mismatch", "palm_copy") or (isinstance(event, Entry) and (event.score or event.review))
    ]
    assert len(ended) == waits
    assert not station.has_waits


ALIKE = present(("u-1", 5_000), ("u-2", 4_900))


def with_camera(journal: Journal) -> Station:
    station = Station(journal, roster_with_consents("u-1", "u-2"), POLICY)
    station.palms = ListedPalms()
    return station


def test_the_card_chooses_among_look_alikes(journal: Journal) -> None:
    station = with_camera(journal)
    assert kind_shown(station.take_palm(ALIKE, moment())) is FeedbackKind.USE_CARD
    assert kind_shown(station.take_reading(card(2), moment(3))) is FeedbackKind.WELCOME
    refusal, entry = read_events(journal)
    assert isinstance(refusal, Refusal)
    assert isinstance(entry, Entry)
    assert (refusal.candidates, entry.person, entry.reason, entry.review) == ("u-1,u-2", "u-2", "", False)
    assert not station.has_waits


def test_the_card_of_a_stranger_to_the_look_alikes_is_marked(journal: Journal) -> None:
    station = with_camera(journal)
    station.take_palm(ALIKE, moment())
    third = station.take_reading(card(3), moment(3))
    assert kind_shown(third) is FeedbackKind.WELCOME  # perhaps simply the next in the queue
    assert third is not None
    assert third.staff is not None
    assert "palm_unconfirmed" in (third.staff.reason, *third.staff.notes)
    (_, entry) = read_events(journal)
    assert isinstance(entry, Entry)
    assert entry.review


def test_look_alikes_are_forgotten_after_a_while_and_with_the_next_palm(journal: Journal) -> None:
    station = with_camera(journal)
    station.take_palm(ALIKE, moment())
    assert station.end_waits(moment(8)) == []
    assert not station.has_waits
    station.take_palm(ALIKE, moment(10))
    station.take_palm(present(("u-1", 6_000)), moment(11))  # the other hand
    assert not station.has_waits


def terminal(number: str, matched_at: datetime, *, suspect: bool = False) -> PersonMatched:
    return PersonMatched("palms", number, 0, "palm", 9_000, matched_at, suspect)


def test_a_late_report_of_a_terminal_counts_with_its_own_time(journal: Journal) -> None:
    """Two sightings of lunch that are reported together in the evening are an entry and its exit, and no repeat."""
    station = Station(journal, with_terminals(), POLICY)
    evening = moment(6 * 3600)
    for matched_at in (NOON, NOON + timedelta(minutes=20), NOON + timedelta(minutes=20)):
        assert station.take_reading(terminal("1001", matched_at), evening) is not None
    entry, leave, again = read_events(journal)
    assert isinstance(entry, Entry)
    assert (entry.at, entry.session, entry.claim) == ("2026-11-20T07:00:00.000Z", "lunch", Claim.CLAIMABLE)
    assert isinstance(leave, Exit)
    assert leave.entry_seq == 1
    assert isinstance(again, Repeat)  # sent twice: the terminal had got no answer


def test_a_terminals_clock_that_cannot_be_right_bills_nothing(journal: Journal) -> None:
    station = Station(journal, with_terminals(), POLICY)
    station.take_reading(terminal("1001", datetime(2031, 1, 1, tzinfo=UTC), suspect=True), moment())
    (entry,) = read_events(journal)
    assert isinstance(entry, Entry)  # the child eats
    assert (entry.claim, entry.review, entry.clock) == (Claim.HELD, True, ClockQuality.UNSYNCHRONISED)


def with_terminals() -> Roster:
    records: list[Record] = [
        Person(id="u-1", given_name="Name1", family_name="F"),
        Credential(id="t-1", person="u-1", kind=CredentialKind.TERMINAL, value="1001"),
        Consent(id="u-1.palm", person="u-1", given_at="2026-09-01T04:00:00Z"),
        Entitlement(id="e-1", person="u-1", programme="state"),
        MealSession(id="lunch", name="Lunch", start="11:30", end="13:00"),
        Programme(id="state", name="State"),
    ]
    return build_roster(records, school="s", version=7, confirmed_at=NOON, tz=ZoneInfo("Asia/Almaty"))
