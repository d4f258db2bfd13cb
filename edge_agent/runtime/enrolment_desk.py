"""Enrolment day as the staff's page sees it: lists by class, consents, marks, and the run before the camera."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

from edge_agent.domain import people_search
from edge_agent.domain.consents import ConsentPaper, ConsentRefused
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.name_order import order_key
from edge_agent.domain.roster import Roster
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.runtime.enrolment_run import EnrolmentRun
from edge_agent.runtime.roster_desk import PALM_SCOPE, RosterDesk
from edge_agent.runtime.staff_day import describe_people
from edge_agent.screen.enrolment_ports import (
    ClassProgress,
    EnrolmentFailed,
    EnrolmentFailure,
    EnrolmentMark,
    EnrolmentProgress,
    EnrolmentRow,
    WithdrawalReceipt,
)
from edge_agent.screen.state import Language
from edge_agent.station.station import Station
from sync.contract.event import PersonId
from sync.contract.free_text import names_somebody
from sync.contract.roster import Consent, Person

BOTH_HANDS = frozenset({"left", "right"})


class EnrolmentDesk:
    """Implements `screen.enrolment_ports.EnrolmentActions`. `enrolment` None: this kiosk has no camera."""

    def __init__(
        self,
        journal: Journal,
        station: Station,
        roster_desk: RosterDesk,
        enrolment: EnrolmentRun | None,
        now: MomentSource,
        hurry: Callable[[], object],
    ) -> None:
        self._journal = journal
        self._station = station
        self._roster_desk = roster_desk
        self._enrolment = enrolment
        self._now = now
        self._hurry = hurry

    def list_classes(self) -> Sequence[ClassProgress]:
        """Returns every class, numbers as numbers and letters as the Kazakh alphabet has them."""
        roster, known = self._station.roster, _Known(self._journal)
        groups: dict[str, list[Person]] = defaultdict(list)
        for person in roster.people.values():
            if person.group:
                groups[person.group].append(person)
        return [
            known.count(group, groups[group]) for group in sorted(groups, key=lambda group: (order_key(group), group))
        ]

    def list_class(self, group: str) -> Sequence[EnrolmentRow]:
        """Returns everybody of a class in the order of names."""
        roster = self._station.roster
        members = roster.group_members(group)
        if not members:
            raise EnrolmentFailed(EnrolmentFailure.UNKNOWN_GROUP)
        ordered = sorted(
            members, key=lambda person: (order_key(f"{person.family_name} {person.given_name}"), person.id)
        )
        return _Known(self._journal).describe(ordered, roster)

    def find_people(self, text: str) -> Sequence[EnrolmentRow]:
        """Returns everybody whom `text` may mean, the likeliest first."""
        roster = self._station.roster
        return _Known(self._journal).describe(people_search.find_people(text, roster.people.values()), roster)

    def read_today(self) -> date:
        """Returns the school's date."""
        return self._now().utc.astimezone(self._station.roster.timetable.tz).date()

    def note_consent(self, person: PersonId, paper: ConsentPaper, operator: str) -> None:
        """Notes a signed paper, whose number names nobody."""
        self._need_person(person)
        if names_somebody(paper.number, self._station.roster.people.values()):
            raise EnrolmentFailed(EnrolmentFailure.NAMES_SOMEBODY)
        with _failures():
            self._roster_desk.note_consent(person, paper, operator)
            if self._journal.desk_consents.read_marks().get(person) == EnrolmentMark.REFUSED:
                self._journal.desk_consents.set_mark(person, EnrolmentMark.NONE)

    def withdraw_consent(self, person: PersonId, operator: str) -> WithdrawalReceipt:
        """Ends the consent and destroys the templates here; the school's other kiosks destroy theirs."""
        self._need_person(person)
        if self.progress().running and self.progress().person == person:
            raise EnrolmentFailed(EnrolmentFailure.ENROLLING)
        with _failures():
            samples, event = self._roster_desk.withdraw_consent(person, operator)
        self._hurry()
        (row,) = describe_people([self._station.roster.people[person]], self._station.roster)
        at = self._now().utc.astimezone(self._station.roster.timetable.tz)
        return WithdrawalReceipt(row.name, row.group, at.strftime("%Y-%m-%d %H:%M"), samples, event.epoch, event.seq)

    def set_mark(self, person: PersonId, mark: EnrolmentMark) -> None:
        """Marks a person. Whoever has a palm here and refuses, withdraws instead."""
        self._need_person(person)
        if mark is EnrolmentMark.REFUSED and any(owner == person for owner, _ in self._journal.palms.hands()):
            raise EnrolmentFailed(EnrolmentFailure.HAS_PALM)
        with _failures():
            self._journal.desk_consents.set_mark(person, mark)

    def start(self, person: PersonId, hands: Sequence[str], operator: str, language: Language) -> None:
        """Begins to take these hands. An absent child who stands here is absent no more."""
        self._need_person(person)
        if self._enrolment is None:
            raise EnrolmentFailed(EnrolmentFailure.NO_CAMERA)
        if not self._enrolment.order(person, hands, operator, language):
            raise EnrolmentFailed(EnrolmentFailure.ENROLLING)
        if self._journal.desk_consents.read_marks().get(person) == EnrolmentMark.ABSENT:
            with _failures():
                self._journal.desk_consents.set_mark(person, EnrolmentMark.NONE)

    def stop(self) -> None:
        """Ends what goes on."""
        if self._enrolment is not None:
            self._enrolment.stop()

    def progress(self) -> EnrolmentProgress:
        """Returns what goes on, or how the last one ended."""
        return self._enrolment.progress if self._enrolment is not None else EnrolmentProgress()

    def _need_person(self, person: PersonId) -> None:
        if person not in self._station.roster.people:
            raise EnrolmentFailed(EnrolmentFailure.UNKNOWN_PERSON)


class _Known:
    """Hands, marks and papers of everybody at one moment."""

    def __init__(self, journal: Journal) -> None:
        self._hands: dict[str, set[str]] = defaultdict(set)
        for person, hand in journal.palms.hands():
            self._hands[person].add(hand)
        self._marks: Mapping[str, str] = journal.desk_consents.read_marks()
        self._papers: dict[str, Consent] = {
            consent.person: consent for consent in journal.desk_consents.read_all() if consent.scope == PALM_SCOPE
        }

    def count(self, group: str, people: Sequence[Person]) -> ClassProgress:
        marks = [self._marks.get(person.id, "") for person in people if not self._is_done(person.id)]
        return ClassProgress(
            group=group,
            people=len(people),
            done=len(people) - len(marks),
            refused=marks.count(EnrolmentMark.REFUSED),
            absent=marks.count(EnrolmentMark.ABSENT),
        )

    def describe(self, people: Sequence[Person], roster: Roster) -> list[EnrolmentRow]:
        return [
            EnrolmentRow(
                person=row.person,
                name=row.name,
                group=row.group,
                apart=row.apart,
                hands=tuple(sorted(self._hands.get(row.person, ()))),
                agreed=roster.has_consent(row.person),
                paper=self._papers[row.person].version if row.person in self._papers else "",
                given_by=self._papers[row.person].given_by if row.person in self._papers else "",
                mark=EnrolmentMark(self._marks.get(row.person, "")),
            )
            for row in describe_people(people, roster)
        ]

    def _is_done(self, person: str) -> bool:
        hands = self._hands.get(person, set())
        return hands >= BOTH_HANDS or (bool(hands) and self._marks.get(person) == EnrolmentMark.ONE_HAND)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ConsentRefused as refused:
        raise EnrolmentFailed(refused.fault) from refused
    except JournalUnwritable as error:
        raise EnrolmentFailed(EnrolmentFailure.NOT_RECORDED) from error
