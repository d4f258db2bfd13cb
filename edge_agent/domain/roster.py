"""A school's roster as the rules use it: one immutable snapshot, quick to ask.

A newer roster is a new snapshot. What is wrong in it never stops the kiosk: the record is left out or used as far as
it goes, and stands in `problems` for the school to correct.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import TypeVar, assert_never

from msgspec.structs import replace

from drivers.readings import Notation as Read
from drivers.readings import Technology, Uid
from drivers.uid import Alias, Rejected, aliases, from_roster, own
from sync.contract.consents import agreed
from sync.contract.entitlements import check
from sync.contract.roster import (
    ClosedDay,
    Consent,
    Credential,
    CredentialKind,
    Entitlement,
    MealSession,
    Person,
    Programme,
    Record,
    School,
    record_type,
)
from sync.contract.sessions import Timetable, window

ROSTER_PROBLEMS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class RosterProblem:
    """A record that the school must correct, and what is wrong with it."""

    type: str
    id: str
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """People, credentials, consents, entitlements and hours of one school at one version.

    Made by `build`. `version` 0 is no roster at all. `confirmed_at`: when the ledger last said that this is the newest.
    """

    school: str
    version: int
    confirmed_at: datetime | None
    timetable: Timetable
    people: Mapping[str, Person] = field(repr=False)
    problems: tuple[RosterProblem, ...] = field(repr=False)
    _cards_by_own: Mapping[Alias, tuple[Credential, ...]] = field(repr=False)  # exactly what the roster knows
    _cards_by_alias: Mapping[Alias, tuple[Credential, ...]] = field(repr=False)  # and every other way to write it
    _codes: Mapping[str, tuple[Credential, ...]] = field(repr=False)
    _terminals: Mapping[str, tuple[Credential, ...]] = field(repr=False)
    _entitlements: Mapping[str, tuple[Entitlement, ...]] = field(repr=False)
    _consents: frozenset[tuple[str, str]] = field(repr=False)
    _groups: Mapping[str, tuple[Person, ...]] = field(repr=False)

    def find_cards(self, uid: Uid) -> tuple[Credential, ...]:
        """Every credential that this reading fits.

        A card that the roster knows whole and that was read whole is that card, and no part of a number says
        otherwise. Else everything is returned that has the known digits in common.
        """
        exact = own(uid)
        found = [] if uid.partial else self._of_technology(uid, self._cards_by_own.get(exact, ()))
        if not found:
            found = self._of_technology(uid, self._cards_by_alias.get(exact, ()))
            for alias in aliases(uid):
                found += self._of_technology(uid, self._cards_by_own.get(alias, ()))
        if len(found) == 1:
            return (found[0],)
        fitting = {card.id: card for card in found}
        return tuple(fitting[each] for each in sorted(fitting))

    def _of_technology(self, uid: Uid, cards: Sequence[Credential]) -> list[Credential]:
        """A roster or a converter that does not say the technology may mean any."""
        any_technology = uid.technology is Technology.UNKNOWN
        return [card for card in cards if any_technology or card.technology in ("", uid.technology.value)]

    def find_codes(self, text: str) -> tuple[Credential, ...]:
        return self._codes.get(text.strip(), ())

    def find_terminal_numbers(self, number: str) -> tuple[Credential, ...]:
        """Credentials under the number by which an outside terminal knows a person."""
        return self._terminals.get(number.strip(), ())

    def entitlements(self, person: str) -> tuple[Entitlement, ...]:
        return self._entitlements.get(person, ())

    def has_consent(self, person: str, scope: str = "palm") -> bool:
        """Whether a parent has said yes, and has not taken it back."""
        return (person, scope) in self._consents

    def group_members(self, name: str) -> tuple[Person, ...]:
        """The people of a class, by id."""
        return self._groups.get(name, ())

    def is_guest(self, person: Person) -> bool:
        """Belongs to another school and is served here."""
        return bool(person.home_school) and person.home_school != self.school

    def age_s(self, utc: datetime) -> int:
        """Seconds since the ledger confirmed it; -1: never. A clock that stands before then counts as just now."""
        if self.confirmed_at is None:
            return -1
        return max(0, int((utc - self.confirmed_at).total_seconds()))


def build_roster(
    records: Iterable[Record], *, school: str, version: int, confirmed_at: datetime | None, tz: tzinfo
) -> Roster:
    """The snapshot of these records. Never raises for what stands in them."""
    return _RosterBuilder(school, version, confirmed_at, tz).build(records)


def build_empty_roster(school: str, tz: tzinfo) -> Roster:
    """The roster of a kiosk that has not been given one yet."""
    return build_roster((), school=school, version=0, confirmed_at=None, tz=tz)


class _RosterBuilder:
    """Sorts records into the snapshot's tables and notes what is wrong with them."""

    def __init__(self, school: str, version: int, confirmed_at: datetime | None, tz: tzinfo) -> None:
        self._school = school
        self._version = version
        self._confirmed_at = confirmed_at
        self._tz = tz
        self._problems: list[RosterProblem] = []
        self._people: dict[str, Person] = {}
        self._credentials: list[Credential] = []
        self._personal: list[Entitlement | Consent] = []
        self._programmes: set[str] = set()
        self._sessions: list[MealSession] = []
        self._closed: list[ClosedDay] = []
        self._cards_by_own: dict[Alias, list[Credential]] = defaultdict(list)
        self._cards_by_alias: dict[Alias, list[Credential]] = defaultdict(list)
        self._codes: dict[str, list[Credential]] = defaultdict(list)
        self._terminals: dict[str, list[Credential]] = defaultdict(list)
        self._entitlements: dict[str, list[Entitlement]] = defaultdict(list)
        self._consents: list[Consent] = []

    def build(self, records: Iterable[Record]) -> Roster:
        self._sort(records)
        for credential in sorted(self._credentials, key=lambda each: each.id):
            self._file_credential(credential)
        for record in self._personal:
            self._file_personal(record)
        self._note_shared_cards()
        groups: dict[str, list[Person]] = defaultdict(list)
        for person in sorted(self._people.values(), key=lambda each: each.id):
            if person.group:
                groups[person.group].append(person)
        return Roster(
            school=self._school,
            version=self._version,
            confirmed_at=self._confirmed_at,
            timetable=self._timetable(),
            people=self._people,
            problems=tuple(self._problems),
            _cards_by_own=_frozen(self._cards_by_own),
            _cards_by_alias=_frozen(self._cards_by_alias),
            _codes=_frozen(self._codes),
            _terminals=_frozen(self._terminals),
            _entitlements=_frozen(self._entitlements),
            _consents=agreed(self._consents),
            _groups=_frozen(groups),
        )

    def _problem(self, record: Record, what: str) -> None:
        if len(self._problems) < ROSTER_PROBLEMS_MAX:
            self._problems.append(RosterProblem(record_type(record), record.id, what))

    def _sort(self, records: Iterable[Record]) -> None:
        # A record is named by type and id: the last one stands.
        for record in {(type(each), each.id): each for each in records}.values():
            match record:
                case Person():
                    self._people[record.id] = record
                case Credential():
                    self._credentials.append(record)
                case Entitlement() | Consent():
                    self._personal.append(record)
                case Programme():
                    self._programmes.add(record.id)
                case MealSession():
                    self._sessions.append(record)
                case ClosedDay():
                    self._closed.append(record)
                case School():
                    pass
                case _:
                    assert_never(record)

    def _timetable(self) -> Timetable:
        sessions = sorted(self._sessions, key=lambda each: each.id)
        for record in sessions:
            try:
                window(record)
            except ValueError as error:
                self._problem(record, f"it cannot be served: {error}")
        for day in self._closed:
            try:
                date.fromisoformat(day.id)
            except ValueError:
                self._problem(day, "it closes nothing: a closed day's id is its date, as 2026-12-16")
        return Timetable.of(sessions, self._closed, self._tz)

    def _file_credential(self, credential: Credential) -> None:
        if credential.person not in self._people:
            self._problem(credential, "its person is not in the roster; it is not taken")
            return
        value = credential.value.strip()
        match credential.kind:
            case CredentialKind.CARD:
                self._file_card(credential, value)
            case CredentialKind.CODE if value:
                self._codes[value].append(credential)
            case CredentialKind.TERMINAL if value:
                self._terminals[value].append(credential)
            case CredentialKind.CODE | CredentialKind.TERMINAL:
                self._problem(credential, "it has no value; it cannot be found")
            case CredentialKind.PALM:
                pass  # templates are in the palm gallery; the roster only names them
            case _:
                assert_never(credential.kind)

    def _file_card(self, credential: Credential, value: str) -> None:
        try:
            technology = Technology(credential.technology) if credential.technology else Technology.UNKNOWN
        except ValueError:
            self._problem(credential, f"no reader knows the technology {credential.technology!r}; any is taken")
            technology, credential = Technology.UNKNOWN, replace(credential, technology="")
        uid = from_roster(Read(credential.notation.value), value, technology)
        if isinstance(uid, Rejected):
            self._problem(credential, f"it is not taken: {uid.why}")
            return
        self._cards_by_own[own(uid)].append(credential)
        for alias in aliases(uid):
            self._cards_by_alias[alias].append(credential)

    def _file_personal(self, record: Entitlement | Consent) -> None:
        if record.person not in self._people:
            self._problem(record, "its person is not in the roster")
            return
        match record:
            case Consent():
                self._consents.append(record)
            case Entitlement():
                try:
                    check(record)
                except ValueError as error:
                    self._problem(record, f"it pays for nothing: {error}")
                    return
                if record.programme not in self._programmes:
                    self._problem(
                        record, f"its programme {record.programme!r} is not in the roster; it is used as it is"
                    )
                self._entitlements[record.person].append(record)
            case _:
                assert_never(record)

    def _note_shared_cards(self) -> None:
        for alias, cards in self._cards_by_own.items():
            if alias.notation is Read.FULL and len({card.person for card in cards}) > 1:
                self._problem(cards[-1], "another person has a card with the same number; neither is taken for it")


Key = TypeVar("Key")
Value = TypeVar("Value")


def _frozen(table: Mapping[Key, Sequence[Value]]) -> dict[Key, tuple[Value, ...]]:
    return {key: tuple(values) for key, values in table.items()}
