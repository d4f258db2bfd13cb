"""A school's roster in the form that the rules use: one immutable snapshot with quick look-ups.

A newer roster is a new snapshot. A wrong record never stops the kiosk. It is left out, or used as far as it goes, and
`problems` names it for the school to correct.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import TypeVar, assert_never

from msgspec.structs import replace

from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import Alias, RejectedNumber, aliases, from_roster, own
from edge_agent.domain.operators import Operator, OperatorRole
from sync.contract.consents import consents_in_force
from sync.contract.entitlements import check_dates
from sync.contract.roster import (
    ClosedDay,
    Consent,
    Credential,
    CredentialKind,
    DynamicCode,
    Entitlement,
    MealSession,
    Person,
    Programme,
    Record,
    School,
    SchoolOperator,
    record_type,
)
from sync.contract.sessions import Timetable, read_window

ROSTER_PROBLEMS_MAX = 1_000
CARD_ENDING_DIGITS = 4


@dataclass(frozen=True, slots=True)
class RosterProblem:
    """A record that the school must correct: its type, its id and the problem in words."""

    type: str
    id: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """People, credentials, consents, entitlements and hours of one school at one version.

    `build_roster` makes it. `version` 0 is no roster at all. At `confirmed_at` the ledger last confirmed that this
    version is the newest.
    """

    school: str
    version: int
    confirmed_at: datetime | None
    timetable: Timetable
    people: Mapping[str, Person] = field(repr=False)
    problems: tuple[RosterProblem, ...] = field(repr=False)
    _cards: Mapping[int, tuple[Credential, ...]] = field(repr=False)  # by the number in each of its ways to write it
    _codes: Mapping[str, tuple[Credential, ...]] = field(repr=False)
    _terminals: Mapping[str, tuple[Credential, ...]] = field(repr=False)
    _dynamic_codes: Mapping[str, DynamicCode] = field(repr=False)  # by surrogate
    _entitlements: Mapping[str, tuple[Entitlement, ...]] = field(repr=False)
    _consents: frozenset[tuple[str, str]] = field(repr=False)
    _groups: Mapping[str, tuple[Person, ...]] = field(repr=False)
    _sessions: Mapping[str, MealSession] = field(repr=False)
    school_timezone: str = ""  # as the roster names it; empty: it does not
    operators: tuple[Operator, ...] = ()  # of the school, by id; without PINs

    def find_cards(self, uid: Uid) -> tuple[Credential, ...]:
        """Returns every card credential that this reading fits, ordered by id.

        A card that the roster knows whole, and that was read whole, is that one card: parts of other numbers do not
        count against it. Otherwise every card with the same known digits fits.
        """
        exact = own(uid)
        cards = [] if uid.partial else self._with_technology(uid, self._cards_with_own(exact))
        if not cards:
            written_so = [card for card in self._cards.get(exact.number, ()) if exact in aliases(_card_uid(card))]
            cards = self._with_technology(uid, written_so)
            for alias in aliases(uid):
                cards += self._with_technology(uid, self._cards_with_own(alias))
        if len(cards) == 1:
            return (cards[0],)
        by_id = {card.id: card for card in cards}
        return tuple(by_id[card_id] for card_id in sorted(by_id))

    def _cards_with_own(self, alias: Alias) -> list[Credential]:
        """Returns the cards whose number stands in the roster in just this way."""
        return [card for card in self._cards.get(alias.number, ()) if own(_card_uid(card)) == alias]

    def _with_technology(self, uid: Uid, cards: Sequence[Credential]) -> list[Credential]:
        """Returns the cards with the technology of `uid`; one without a technology, in roster or reading, fits all."""
        any_technology = uid.technology is Technology.UNKNOWN
        return [card for card in cards if any_technology or card.technology in ("", uid.technology.value)]

    def find_card_endings(self, people: Collection[str]) -> dict[str, str]:
        """Returns the last digits of one card of each of these people who has one, as the roster writes its number."""
        cards = {card.id: card for found in self._cards.values() for card in found if card.person in people}
        return {
            card.person: card.value.strip()[-CARD_ENDING_DIGITS:]
            for card in sorted(cards.values(), key=lambda card: (not card.blocked, card.id))
        }

    def find_person_cards(self, person: str) -> tuple[Credential, ...]:
        """Returns every card of a person, the blocked ones too, ordered by id."""
        cards = {card.id: card for found in self._cards.values() for card in found if card.person == person}
        return tuple(cards[card_id] for card_id in sorted(cards))

    def find_codes(self, text: str) -> tuple[Credential, ...]:
        """Returns the credentials with this code: a QR code, a barcode or a PIN."""
        return self._codes.get(text.strip(), ())

    def find_terminal_numbers(self, number: str) -> tuple[Credential, ...]:
        """Returns the credentials with the number by which an outside terminal knows a person."""
        return self._terminals.get(number.strip(), ())

    def find_dynamic_codes(self, holder: str, *, keypad: bool) -> tuple[DynamicCode, ...]:
        """Returns the changing codes of a surrogate id; at a keypad those of the people with this number."""
        if not keypad:
            code = self._dynamic_codes.get(holder)
            return (code,) if code is not None else ()
        people = {credential.person for credential in self.find_terminal_numbers(holder)}
        prefix = f"{holder}#"
        people |= {credentials[0].person for value, credentials in self._codes.items() if value.startswith(prefix)}
        return tuple(code for code in self._dynamic_codes.values() if code.person in people)

    @property
    def has_dynamic_codes(self) -> bool:
        """True where somebody of this roster has a changing code."""
        return bool(self._dynamic_codes)

    def entitlements(self, person: str) -> tuple[Entitlement, ...]:
        """Returns the entitlements of a person, whatever their time."""
        return self._entitlements.get(person, ())

    def has_consent(self, person: str, scope: str = "palm") -> bool:
        """Returns True when a parent has agreed to this way of recognition, and has not withdrawn."""
        return (person, scope) in self._consents

    def group_members(self, name: str) -> tuple[Person, ...]:
        """Returns the people of a class, ordered by id."""
        return self._groups.get(name, ())

    def find_session(self, session: str) -> MealSession | None:
        """Returns the record of a meal session, which has its names."""
        return self._sessions.get(session)

    def is_guest(self, person: Person) -> bool:
        """Returns True when the person belongs to another school and may eat here."""
        return bool(person.home_school) and person.home_school != self.school

    def age_s(self, utc: datetime) -> int:
        """Returns the seconds since the ledger confirmed the roster, or -1 if it never did.

        A clock that stands before that moment gives 0.
        """
        if self.confirmed_at is None:
            return -1
        return max(0, int((utc - self.confirmed_at).total_seconds()))


def build_roster(
    records: Iterable[Record], *, school: str, version: int, confirmed_at: datetime | None, tz: tzinfo
) -> Roster:
    """Returns the snapshot of these records. It never raises for a wrong record: `problems` names those."""
    return _RosterBuilder(school, version, confirmed_at, tz).build(records)


def build_empty_roster(school: str, tz: tzinfo) -> Roster:
    """Returns the roster of a kiosk that has not received one yet, with version 0."""
    return build_roster((), school=school, version=0, confirmed_at=None, tz=tz)


class _RosterBuilder:
    """Sorts records into the snapshot's tables, and notes the problems in them."""

    def __init__(self, school: str, version: int, confirmed_at: datetime | None, tz: tzinfo) -> None:
        self._school = school
        self._version = version
        self._confirmed_at = confirmed_at
        self._tz = tz
        self._problems: list[RosterProblem] = []
        self._school_timezone = ""
        self._people: dict[str, Person] = {}
        self._credentials: list[Credential] = []
        self._dynamic_codes: list[DynamicCode] = []
        self._personal: list[Entitlement | Consent] = []
        self._programmes: set[str] = set()
        self._sessions: list[MealSession] = []
        self._closed: list[ClosedDay] = []
        self._cards: dict[int, tuple[Credential, ...]] = {}
        self._codes: dict[str, tuple[Credential, ...]] = {}
        self._terminals: dict[str, tuple[Credential, ...]] = {}
        self._entitlements: dict[str, tuple[Entitlement, ...]] = {}
        self._consents: list[Consent] = []
        self._operators: list[Operator] = []

    def build(self, records: Iterable[Record]) -> Roster:
        self._sort(records)
        for credential in sorted(self._credentials, key=lambda credential: credential.id):
            self._file_credential(credential)
        for record in self._personal:
            self._file_personal(record)
        self._note_shared_cards()
        groups: dict[str, list[Person]] = defaultdict(list)
        for person in sorted(self._people.values(), key=lambda person: person.id):
            if person.group:
                groups[person.group].append(person)
        return Roster(
            school=self._school,
            version=self._version,
            confirmed_at=self._confirmed_at,
            timetable=self._build_timetable(),
            people=self._people,
            problems=tuple(self._problems),
            _cards=self._cards,
            _codes=self._codes,
            _terminals=self._terminals,
            _dynamic_codes={code.surrogate: code for code in self._dynamic_codes if code.person in self._people},
            _entitlements=self._entitlements,
            _consents=consents_in_force(self._consents),
            _groups={name: tuple(people) for name, people in groups.items()},
            _sessions={session.id: session for session in self._sessions},
            school_timezone=self._school_timezone,
            operators=tuple(sorted(self._operators, key=lambda operator: operator.id)),
        )

    def _note_problem(self, record: Record, text: str) -> None:
        if len(self._problems) < ROSTER_PROBLEMS_MAX:
            self._problems.append(RosterProblem(record_type(record), record.id, text))

    def _sort(self, records: Iterable[Record]) -> None:
        # Type and id name a record. Of several with one name the last counts.
        by_name = {(type(record), record.id): record for record in records}
        for record in by_name.values():
            match record:
                case Person():
                    self._people[record.id] = record
                case Credential():
                    self._credentials.append(record)
                case DynamicCode():
                    self._dynamic_codes.append(record)
                case Entitlement() | Consent():
                    self._personal.append(record)
                case Programme():
                    self._programmes.add(record.id)
                case MealSession():
                    self._sessions.append(record)
                case ClosedDay():
                    self._closed.append(record)
                case School():
                    self._school_timezone = record.timezone
                case SchoolOperator():
                    roles = frozenset(OperatorRole(role) for role in record.roles if role in set(OperatorRole))
                    self._operators.append(Operator(record.id, record.name, roles, record.group))
                case _:
                    assert_never(record)

    def _build_timetable(self) -> Timetable:
        sessions = sorted(self._sessions, key=lambda session: session.id)
        for session in sessions:
            try:
                read_window(session)
            except ValueError as error:
                self._note_problem(session, f"it cannot be served: {error}")
        for day in self._closed:
            try:
                date.fromisoformat(day.id)
            except ValueError:
                self._note_problem(day, "it closes nothing: the id of a closed day is its date, as 2026-12-16")
        return Timetable.from_records(sessions, self._closed, self._tz)

    def _file_credential(self, credential: Credential) -> None:
        if credential.person not in self._people:
            self._note_problem(credential, "its person is not in the roster; it is left out")
            return
        value = credential.value.strip()
        match credential.kind:
            case CredentialKind.CARD:
                self._file_card(credential)
            case CredentialKind.CODE if value:
                _add(self._codes, value, (credential,))
            case CredentialKind.TERMINAL if value:
                _add(self._terminals, value, (credential,))
            case CredentialKind.CODE | CredentialKind.TERMINAL:
                self._note_problem(credential, "it has no value; no reading can match it")
            case CredentialKind.PALM:
                pass  # templates are in the palm gallery; the roster only names them
            case _:
                assert_never(credential.kind)

    def _file_card(self, credential: Credential) -> None:
        try:
            technology = Technology(credential.technology) if credential.technology else Technology.UNKNOWN
        except ValueError:
            self._note_problem(
                credential, f"no reader knows the technology {credential.technology!r}; any technology fits"
            )
            technology, credential = Technology.UNKNOWN, replace(credential, technology="")
        uid = _read_number(credential, technology)
        if isinstance(uid, RejectedNumber):
            self._note_problem(credential, f"it is left out: {uid.why}")
            return
        # By the bare number, and one tuple for all of a card's: a school has thousands of cards.
        cards = (credential,)
        for number in {alias.number for alias in aliases(uid)}:
            _add(self._cards, number, cards)

    def _file_personal(self, record: Entitlement | Consent) -> None:
        if record.person not in self._people:
            self._note_problem(record, "its person is not in the roster")
            return
        match record:
            case Consent():
                self._consents.append(record)
            case Entitlement():
                try:
                    check_dates(record)
                except ValueError as error:
                    self._note_problem(record, f"it pays for nothing: {error}")
                    return
                if record.programme not in self._programmes:
                    self._note_problem(
                        record, f"its programme {record.programme!r} is not in the roster; it is used all the same"
                    )
                _add(self._entitlements, record.person, (record,))
            case _:
                assert_never(record)

    def _note_shared_cards(self) -> None:
        for number, cards in self._cards.items():
            if len(cards) == 1:
                continue
            alike: dict[Alias, list[Credential]] = defaultdict(list)
            for card in cards:
                alias = own(_card_uid(card))
                if alias.number == number and alias.notation is UidNotation.FULL:
                    alike[alias].append(card)
            for same in alike.values():
                if len({card.person for card in same}) > 1:
                    self._note_problem(
                        same[-1], "another person has the same card number; it recognises neither of them"
                    )


def _card_uid(credential: Credential) -> Uid:
    """Returns the number of a card that is in the snapshot."""
    uid = _read_number(credential, Technology(credential.technology) if credential.technology else Technology.UNKNOWN)
    assert isinstance(uid, Uid), "the builder leaves out a card whose number cannot be read"
    return uid


def _read_number(credential: Credential, technology: Technology) -> Uid | RejectedNumber:
    return from_roster(UidNotation(credential.notation.value), credential.value.strip(), technology)


Key = TypeVar("Key")
Value = TypeVar("Value")


def _add(table: dict[Key, tuple[Value, ...]], key: Key, values: tuple[Value, ...]) -> None:
    """Adds the values behind those of this key; a key's first tuple is taken as it is."""
    table[key] = table[key] + values if key in table else values
