"""The records of a school's roster, from the rows that count there on one date.

Without our own files the canteen still works: people are known by name; no card is; nobody is entitled, so that visits
are recorded and none is billed; and one session a day lasts the whole day, so that a child is counted once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sync.contract.oneroster.remembered import (
    RememberedFiles,
    active_rows,
    canonical_grades,
    canonical_moment,
    split_list,
)
from sync.contract.oneroster.rows import (
    CardRow,
    ClassRow,
    ClosedDayRow,
    CodeRow,
    ConsentRow,
    DynamicCodeRow,
    EnrollmentRow,
    EntitlementRow,
    OperatorRow,
    OrgRow,
    ProgrammeRow,
    RoleRow,
    ServiceRow,
    SessionRow,
    TerminalRow,
    UserRow,
)
from sync.contract.roster import (
    ClosedDay,
    Consent,
    Credential,
    CredentialKind,
    DynamicCode,
    Entitlement,
    MealSession,
    Notation,
    Person,
    PersonKind,
    Programme,
    Record,
    School,
    SchoolOperator,
)

WHOLE_DAY: Final = MealSession(
    id="day", name="Canteen", start="00:00", end="00:00", name_kk="Асхана", name_ru="Столовая"
)

# Parents and relatives have roles in the export too; they do not eat here.
_STAFF: Final = frozenset({
    "aide", "counselor", "districtadministrator", "principal", "proctor", "siteadministrator", "systemadministrator",
    "teacher", "administrator",
})  # fmt: skip

_DatedT = TypeVar("_DatedT", RoleRow, EnrollmentRow)


@dataclass(frozen=True, slots=True)
class SchoolView:
    """An import seen from one school on one date."""

    files: RememberedFiles
    school: str
    org: str  # the school's id in the export
    date: str  # the local date, `2026-09-01`
    timezone: str

    def current_rows(self, row: type[_DatedT]) -> Iterator[_DatedT]:
        """Yields the roles or enrolments that hold on the date."""
        for _, dated in active_rows(self.files, row):
            begun = not dated.begin_date or dated.begin_date <= self.date
            if begun and (not dated.end_date or self.date <= dated.end_date):
                yield dated


def build_records(view: SchoolView) -> tuple[Record, ...]:
    """Returns the school's roster, sorted by type and id."""
    return tuple(sorted(_records(view), key=lambda record: (str(record.__struct_config__.tag), record.id)))


def _records(view: SchoolView) -> Iterator[Record]:
    orgs = dict(active_rows(view.files, OrgRow))
    yield School(id=view.school, name=orgs[view.org].name if view.org in orgs else view.school, timezone=view.timezone)
    people = {person.id: person for person in _people(view)}
    yield from people.values()
    yield from _cards(view, people)
    for row_id, code in active_rows(view.files, CodeRow):
        if code.user_sourced_id in people:
            yield Credential(
                id=row_id, person=code.user_sourced_id, kind=CredentialKind.CODE, value=code.code,
                blocked=_blocked(code.status),
            )  # fmt: skip
    for row_id, changing in active_rows(view.files, DynamicCodeRow):
        if changing.user_sourced_id in people:
            yield DynamicCode(
                id=row_id, person=changing.user_sourced_id, surrogate=changing.surrogate, sealed=changing.sealed
            )
    for row_id, terminal in active_rows(view.files, TerminalRow):
        if terminal.user_sourced_id in people:
            yield Credential(
                id=row_id, person=terminal.user_sourced_id, kind=CredentialKind.TERMINAL, value=terminal.number
            )
    yield from _consents(view, people)
    yield from _programmes(view)
    yield from _entitlements(view, people)
    yield from _sessions(view)
    for row_id, day in active_rows(view.files, ClosedDayRow):
        yield ClosedDay(id=row_id, why=day.why)
    for row_id, operator in active_rows(view.files, OperatorRow):
        roles = tuple(sorted(set(split_list(operator.roles))))
        yield SchoolOperator(id=row_id, name=" ".join(operator.name.split()), roles=roles, group=operator.group)


def _people(view: SchoolView) -> Iterator[Person]:
    """Yields everybody with a place at this school: by a role there, else by an enrolment in one of its classes."""
    kinds: dict[str, PersonKind] = {}
    homes: dict[str, str] = {}
    enrolled: dict[str, list[str]] = defaultdict(list)
    for enrollment in view.current_rows(EnrollmentRow):
        if enrollment.school_sourced_id == view.org and enrollment.role.lower() == "student":
            enrolled[enrollment.user_sourced_id].append(enrollment.class_sourced_id)
            kinds[enrollment.user_sourced_id] = PersonKind.PUPIL
    for role in view.current_rows(RoleRow):
        kind = _person_kind(role.role)
        person = role.user_sourced_id
        if role.role_type.lower() == "primary" and kind is not None:
            homes[person] = role.org_sourced_id
        if role.org_sourced_id == view.org and kind is not None and kinds.get(person) is not PersonKind.PUPIL:
            kinds[person] = kind
    classes = dict(active_rows(view.files, ClassRow))
    services = {service.user_sourced_id: service for _, service in active_rows(view.files, ServiceRow)}
    for row_id, user in active_rows(view.files, UserRow):
        if row_id in kinds and user.enabled_user.lower() == "true":
            home = homes.get(row_id) or user.primary_org_sourced_id or view.org
            group = _group([classes[class_id] for class_id in sorted(enrolled.get(row_id, [])) if class_id in classes])
            grades = canonical_grades(user.grades or group.grades)
            service = services.get(row_id, ServiceRow())
            yield Person(
                id=row_id,
                given_name=user.preferred_given_name or user.given_name,
                family_name=user.preferred_family_name or user.family_name,
                kind=kinds[row_id],
                grade=grades.split(",")[0] if kinds[row_id] is PersonKind.PUPIL else "",
                group=group.title,
                home_school="" if home == view.org else home,
                hints=tuple(dict.fromkeys(split_list(service.hints.lower()))),
                language=service.language.lower(),
            )


def _person_kind(role: str) -> PersonKind | None:
    match role.lower():
        case "student":
            return PersonKind.PUPIL
        case staff if staff in _STAFF or staff.startswith("ext:"):
            return PersonKind.TEACHER
        case _:
            return None


def _group(classes: list[ClassRow]) -> ClassRow:
    """Returns the class that people would name: a homeroom before a subject's group; a blank one for no class."""
    return min(classes, key=lambda row: row.class_type.lower() != "homeroom", default=ClassRow())


def _cards(view: SchoolView, people: Mapping[str, Person]) -> Iterator[Credential]:
    for row_id, card in active_rows(view.files, CardRow):
        if card.user_sourced_id in people:
            yield Credential(
                id=row_id, person=card.user_sourced_id, value=card.number, technology=card.technology.lower(),
                notation=Notation(card.notation), blocked=_blocked(card.status),
            )  # fmt: skip


def _blocked(status: str) -> str:
    return "" if status.lower() in ("", "active") else status.lower()


def _consents(view: SchoolView, people: Mapping[str, Person]) -> Iterator[Consent]:
    for _, consent in active_rows(view.files, ConsentRow):
        if consent.user_sourced_id in people:
            scope = consent.scope.lower() or "palm"
            yield Consent(
                id=f"{consent.user_sourced_id}.{scope}", person=consent.user_sourced_id, scope=scope,
                version=consent.version, given_at=_wire_time(consent.given_at), given_by=consent.given_by,
                withdrawn_at=_wire_time(consent.withdrawn_at),
            )  # fmt: skip


def _programmes(view: SchoolView) -> Iterator[Programme]:
    named = {row_id: programme.name for row_id, programme in active_rows(view.files, ProgrammeRow)}
    used = {row.programme: row.programme for _, row in active_rows(view.files, EntitlementRow)}
    for programme_id, name in (used | named).items():
        yield Programme(id=programme_id, name=name or programme_id)


def _entitlements(view: SchoolView, people: Mapping[str, Person]) -> Iterator[Entitlement]:
    """Yields one for each person: a row for grades is spelled out for every pupil of them who is at home here."""
    entitlements: dict[str, Entitlement] = {}
    rows = [row for _, row in active_rows(view.files, EntitlementRow)]
    for row in sorted(rows, key=lambda row: not row.user_sourced_id):
        grades = set(split_list(canonical_grades(row.grades)))
        for person in people.values():
            by_grade = person.kind is PersonKind.PUPIL and not person.home_school and person.grade in grades
            if person.id == row.user_sourced_id or by_grade:
                entitlement = Entitlement(
                    id=".".join(filter(None, (person.id, row.programme, row.first))), person=person.id,
                    programme=row.programme, sessions=tuple(split_list(row.sessions)), first=row.first, last=row.last,
                    priority=int(row.priority or 0),
                )  # fmt: skip
                entitlements.setdefault(entitlement.id, entitlement)  # a row for the person goes before one for grades
    yield from entitlements.values()


def _sessions(view: SchoolView) -> Iterator[MealSession]:
    if SessionRow.file not in view.files:
        yield WHOLE_DAY
    for row_id, session in active_rows(view.files, SessionRow):
        yield MealSession(
            id=row_id, name=session.name or row_id, start=session.start, end=session.end, name_kk=session.name_kk,
            name_ru=session.name_ru, weekdays=tuple(sorted({int(day) for day in session.weekdays or "123456"})),
        )  # fmt: skip


def _wire_time(text: str) -> str:
    return canonical_moment(text)[:23] + "Z" if text else ""
