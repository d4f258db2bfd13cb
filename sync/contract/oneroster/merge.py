"""OneRoster 1.2 to a school's roster: files over what was known before, references checked, records out. Pure.

A bulk file is everything of its kind: what it does not name is gone. A delta is laid over the import before it, row by
row, an older `dateLastModified` never over a newer one. Our own files (`oneroster_columns.OWN`) replace what was known
of their kind and may be left out. A person who is gone, disabled or not yet there is not on the roster; the import
remembers them, and a later delta can bring them back.

Without our own files the canteen still works: people are known by name; no card is; nobody is entitled, so that visits
are recorded and none is billed; and one session a day lasts the whole day, so that a child is counted once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sync.contract.oneroster.columns import ONEROSTER, OWN
from sync.contract.oneroster.csv_export import Fault, Refused, Row, Table, read
from sync.contract.roster import (
    ClosedDay,
    Consent,
    Credential,
    CredentialKind,
    Entitlement,
    MealSession,
    Notation,
    Person,
    PersonKind,
    Programme,
    Record,
    School,
)

__all__ = ["Built", "Fault", "Kept", "Refused", "Source", "build", "schools"]

WHOLE_DAY: Final = MealSession(
    id="day", name="Canteen", start="00:00", end="00:00", name_kk="Асхана", name_ru="Столовая"
)

# Parents and relatives have roles in the export too; they do not eat here.
_STAFF: Final = frozenset({
    "aide", "counselor", "districtadministrator", "principal", "proctor", "siteadministrator", "systemadministrator",
    "teacher", "administrator",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as the last import left it. `line`: in the file that brought it just now, else 0."""

    fields: Mapping[str, str] = field(repr=False)
    modified: str = ""  # UTC, always of one form; empty where the source never said
    active: bool = True
    line: int = 0


Source = Mapping[str, Mapping[str, Kept]]
"""By file name and id: what a source has said so far. The next delta needs it, so it is stored with the roster."""


@dataclass(frozen=True, slots=True)
class Built:
    """An import's result: what to remember, what the school's roster is now, and what a person should know of it."""

    source: Source
    records: tuple[Record, ...]
    notes: tuple[str, ...]


def schools(files: Mapping[str, bytes], base: Source | None = None) -> Mapping[str, str]:
    """Ids and names of the schools that these files speak of. Raises `Refused`."""
    orgs = _merge(base, read(files)).get("orgs.csv", {})
    return {
        id_: kept.fields["name"]
        for id_, kept in orgs.items()
        if kept.active and kept.fields["type"].lower() == "school"
    }


def build(
    files: Mapping[str, bytes], school: str, base: Source | None = None, *, on: str, org: str = "",
    timezone: str = "Asia/Almaty",
) -> Built:  # fmt: skip
    """The roster of one school from an export, laid over `base`.

    `on`: the local date, `2026-09-01`, by which roles and enrolments count. `org`: the school's id in the export, where
    it is not its id here. Raises `Refused` with every fault, and then nothing has changed.
    """
    tables = read(files)
    source = _merge(base, tables)
    view = _View(source, school, org or school, on)
    faults = [*_dangling(source, view.org), *_card_faults(source), *_entitlement_faults(source)]
    if faults:
        raise Refused(faults)
    records = tuple(sorted(_records(view, timezone), key=lambda record: (str(record.__struct_config__.tag), record.id)))
    return Built(source, records, tuple(_notes(source, tables, base, records)))


def _moment(text: str) -> str:
    """One form for every notation of a moment, so that texts compare as moments do."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds") if text else ""


# --- laying an import over the one before ------------------------------------------------------------------------


def _merge(base: Source | None, tables: Mapping[str, Table]) -> dict[str, dict[str, Kept]]:
    merged = {name: {id_: replace(kept, line=0) for id_, kept in rows.items()} for name, rows in (base or {}).items()}
    faults: list[Fault] = []
    for name, table in tables.items():
        if name in OWN:
            merged[name] = _own(name, table, merged.get(name, {}), faults)
            continue
        before = merged.get(name)
        if table.delta and before is None:
            faults.append(Fault(name, 0, "", "a delta, but no bulk import before it", "a bulk export first"))
            continue
        given = _by_id(name, table, faults)
        merged[name] = _delta(before or {}, given) if table.delta else _bulk(before or {}, given)
    if not faults and "users.csv" not in merged:
        faults.append(Fault("users.csv", 0, "", "no people, now or before", "a bulk export with users.csv"))
    if faults:
        raise Refused(faults)
    return merged


def _by_id(name: str, table: Table, faults: list[Fault]) -> dict[str, Kept]:
    rows: dict[str, Kept] = {}
    for row in table.rows:
        id_ = row.fields["sourcedId"]
        if id_ in rows:
            faults.append(
                Fault(name, row.line, "sourcedId", f"{id_!r} again, first in line {rows[id_].line}", "each id once")
            )
            continue
        status = row.fields["status"].lower()
        fields = {key: value for key, value in row.fields.items() if key not in ("status", "dateLastModified")}
        rows[id_] = Kept(fields, _moment(row.fields["dateLastModified"]), status in ("", "active"), row.line)
        if name == "users.csv" and rows[id_].active:
            faults += [
                Fault(name, row.line, column, "nothing", "a name")
                for column in ("givenName", "familyName")
                if not fields[column]
            ]
    return rows


def _bulk(before: Mapping[str, Kept], given: Mapping[str, Kept]) -> dict[str, Kept]:
    """Everything there is. What is not named is kept as inactive, with the moment of its last change."""
    gone = {id_: replace(kept, active=False) for id_, kept in before.items() if id_ not in given}
    named = {
        id_: replace(kept, modified=max(kept.modified, before[id_].modified)) if id_ in before else kept
        for id_, kept in given.items()
    }
    return gone | named


def _delta(before: Mapping[str, Kept], given: Mapping[str, Kept]) -> dict[str, Kept]:
    merged = dict(before)
    for id_, kept in given.items():
        known = before.get(id_)
        if known is not None and kept.modified < known.modified:
            continue  # an older change that comes late
        bare = known is not None and not kept.active  # a deletion need not repeat what it deletes
        merged[id_] = replace(kept, fields=known.fields) if known is not None and bare else kept
    return merged


def _own(name: str, table: Table, before: Mapping[str, Kept], faults: list[Fault]) -> dict[str, Kept]:
    """Our own files are whole; their rows get ids that stay the same from import to import."""
    if name == "cards.csv":
        return _cards(table, before, faults)
    rows: dict[str, Kept] = {}
    for row in table.rows:
        id_ = _own_id(name, row)
        if id_ in rows:
            faults.append(Fault(name, row.line, "", f"the same as line {rows[id_].line}", "each once"))
        else:
            rows[id_] = Kept(row.fields, line=row.line)
    return rows


def _own_id(name: str, row: Row) -> str:
    fields = row.fields
    match name:
        case "entitlements.csv":
            return "|".join((fields["userSourcedId"], _grades(fields["grades"]), fields["programme"], fields["first"]))
        case "closed_days.csv":
            return fields["date"]
        case "consents.csv":
            return f"{fields['userSourcedId']}|{fields['scope'] or 'palm'}"
        case "terminals.csv":
            return f"{fields['userSourcedId']}.terminal"
        case _:
            return fields["sourcedId"]


def _cards(table: Table, before: Mapping[str, Kept], faults: list[Fault]) -> dict[str, Kept]:
    """A card is named after its holder, `u-1.card2`: an event holds that name, and never the card's number.

    A number is not used again for another card, so cards that are gone stay remembered as inactive.
    """
    merged = {id_: replace(kept, active=False) for id_, kept in before.items()}
    known = {_card_key(kept.fields): id_ for id_, kept in before.items()}
    counts: dict[str, int] = defaultdict(int)
    for id_ in before:
        holder, _, number = id_.rpartition(".card")
        counts[holder] = max(counts[holder], int(number))
    for row in table.rows:
        fields = dict(row.fields) | {"notation": row.fields["notation"].lower() or "full"}
        value = card_value(fields["number"], Notation(fields["notation"]))
        if value is None:
            accepted = _CARD_FORMS[Notation(fields["notation"])]
            faults.append(Fault("cards.csv", row.line, "number", f"no {fields['notation']} number", accepted))
            continue
        fields["number"] = value
        id_ = known.get(_card_key(fields), "")
        if not id_:
            holder = fields["userSourcedId"]
            counts[holder] += 1
            id_ = f"{holder}.card{counts[holder]}"
            known[_card_key(fields)] = id_
        elif merged[id_].active:
            faults.append(
                Fault("cards.csv", row.line, "number", f"the card of line {merged[id_].line} again", "each once")
            )
        merged[id_] = Kept(fields, line=row.line)
    return merged


def _card_key(fields: Mapping[str, str]) -> tuple[str, str, str, str]:
    return fields["userSourcedId"], fields["notation"], fields["number"], fields["technology"].lower()


_CARD_FORMS: Final = {
    Notation.FULL: "the UID in hex, 3 to 10 bytes in the order of ISO 14443, as 04A2B3C4D5E680",
    Notation.DEC10: "the 10 digits printed on the card, below 4294967296, as 0013267382",
    Notation.W26: "facility and number, as 100,19382, at most 255,65535",
    Notation.W34: "a number below 4294967296",
}


def card_value(number: str, notation: Notation) -> str | None:
    """A card's number in the roster's form; None where it is none of its notation."""
    text = number.upper().replace(" ", "")
    match notation:
        case Notation.FULL:
            digits = text.replace(":", "").replace("-", "")
            fits = len(digits) % 2 == 0 and 6 <= len(digits) <= 20 and set(digits) <= set("0123456789ABCDEF")
            return digits if fits else None
        case Notation.DEC10:
            return f"{int(text):010}" if text.isdecimal() and int(text) < 2**32 else None
        case Notation.W34:
            return str(int(text)) if text.isdecimal() and int(text) < 2**32 else None
        case Notation.W26:
            facility, comma, low = text.partition(",")
            fits = bool(comma) and facility.isdecimal() and low.isdecimal()
            return f"{int(facility)},{int(low)}" if fits and int(facility) < 2**8 and int(low) < 2**16 else None


# --- references --------------------------------------------------------------------------------------------------

_REFERENCES: Final = (
    ("classes.csv", "schoolSourcedId", "orgs.csv"),
    ("roles.csv", "userSourcedId", "users.csv"),
    ("roles.csv", "orgSourcedId", "orgs.csv"),
    ("enrollments.csv", "userSourcedId", "users.csv"),
    ("enrollments.csv", "classSourcedId", "classes.csv"),
    ("enrollments.csv", "schoolSourcedId", "orgs.csv"),
    ("cards.csv", "userSourcedId", "users.csv"),
    ("terminals.csv", "userSourcedId", "users.csv"),
    ("consents.csv", "userSourcedId", "users.csv"),
    ("entitlements.csv", "userSourcedId", "users.csv"),
    ("entitlements.csv", "programme", "programmes.csv"),
)


def _dangling(source: Source, org: str) -> Iterator[Fault]:
    """Rows of this import that point at nothing. A whole file that is absent is no fault of the row."""
    if "orgs.csv" in source and org not in source["orgs.csv"]:
        found = ", ".join(sorted(source["orgs.csv"])[:20])
        yield Fault("orgs.csv", 0, "sourcedId", found, f"the school {org!r}; name the right one as its org")
    for name, column, target in _REFERENCES:
        if name in source and target in source:
            known = source[target]
            for kept in source[name].values():
                id_ = kept.fields[column]
                if kept.line and kept.active and id_ and id_ not in known:
                    yield Fault(name, kept.line, column, f"{id_!r}", f"an id from {target}")
    known_sessions = source.get("sessions.csv", {})
    for kept in source.get("entitlements.csv", {}).values():
        for id_ in _list(kept.fields["sessions"]):
            if kept.line and known_sessions and id_ not in known_sessions:
                yield Fault("entitlements.csv", kept.line, "sessions", f"{id_!r}", "an id from sessions.csv")


def _card_faults(source: Source) -> Iterator[Fault]:
    """One whole UID for two people would let either eat for the other. Partial numbers may fall together."""
    holders: dict[tuple[str, str], Kept] = {}
    for kept in source.get("cards.csv", {}).values():
        if kept.active and kept.fields["notation"] == "full" and kept.fields["status"].lower() in ("", "active"):
            key = kept.fields["technology"].lower(), kept.fields["number"]
            other = holders.setdefault(key, kept)
            if other is not kept:
                found = f"the number of line {other.line}, of another person"
                yield Fault("cards.csv", kept.line, "number", found, "a whole number with one holder")


def _entitlement_faults(source: Source) -> Iterator[Fault]:
    for kept in source.get("entitlements.csv", {}).values():
        fields = kept.fields
        if bool(fields["userSourcedId"]) == bool(fields["grades"]):
            found = "both" if fields["grades"] else "neither"
            yield Fault("entitlements.csv", kept.line, "userSourcedId, grades", found, "one of the two")


# --- records -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _View:
    """A source seen from one school on one date."""

    source: Source
    school: str
    org: str
    on: str

    def rows(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        for id_, kept in self.source.get(name, {}).items():
            if kept.active:
                yield id_, kept.fields

    def current(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Rows of roles and enrolments that hold on the date."""
        for id_, fields in self.rows(name):
            if (not fields["beginDate"] or fields["beginDate"] <= self.on) and (
                not fields["endDate"] or self.on <= fields["endDate"]
            ):
                yield id_, fields


def _records(view: _View, timezone: str) -> Iterator[Record]:
    orgs = dict(view.rows("orgs.csv"))
    yield School(id=view.school, name=orgs[view.org]["name"] if view.org in orgs else view.school, timezone=timezone)
    people = {person.id: person for person in _people(view)}
    yield from people.values()
    for id_, fields in view.rows("cards.csv"):
        if fields["userSourcedId"] in people:
            status = fields["status"].lower()
            yield Credential(
                id=id_, person=fields["userSourcedId"], value=fields["number"], technology=fields["technology"].lower(),
                notation=Notation(fields["notation"]), blocked="" if status in ("", "active") else status,
            )  # fmt: skip
    for id_, fields in view.rows("terminals.csv"):
        if fields["userSourcedId"] in people:
            yield Credential(
                id=id_, person=fields["userSourcedId"], kind=CredentialKind.TERMINAL, value=fields["number"]
            )
    for _, fields in view.rows("consents.csv"):
        if fields["userSourcedId"] in people:
            scope = fields["scope"].lower() or "palm"
            yield Consent(
                id=f"{fields['userSourcedId']}.{scope}", person=fields["userSourcedId"], scope=scope,
                version=fields["version"], given_at=_wire_time(fields["givenAt"]), given_by=fields["givenBy"],
                withdrawn_at=_wire_time(fields["withdrawnAt"]),
            )  # fmt: skip
    yield from _programmes(view)
    yield from _entitlements(view, people)
    yield from _sessions(view)
    for id_, fields in view.rows("closed_days.csv"):
        yield ClosedDay(id=id_, why=fields["why"])


def _people(view: _View) -> Iterator[Person]:
    """Everybody with a place at this school: by their roles there, else by an enrolment in one of its classes."""
    kinds: dict[str, PersonKind] = {}
    homes: dict[str, str] = {}
    enrolled: dict[str, list[str]] = defaultdict(list)
    for _, fields in view.current("enrollments.csv"):
        if fields["schoolSourcedId"] == view.org and fields["role"].lower() == "student":
            enrolled[fields["userSourcedId"]].append(fields["classSourcedId"])
            kinds[fields["userSourcedId"]] = PersonKind.PUPIL
    for _, fields in view.current("roles.csv"):
        kind = _kind(fields["role"])
        person = fields["userSourcedId"]
        if fields["roleType"].lower() == "primary" and kind is not None:
            homes[person] = fields["orgSourcedId"]
        if fields["orgSourcedId"] == view.org and kind is not None and kinds.get(person) is not PersonKind.PUPIL:
            kinds[person] = kind
    classes = dict(view.rows("classes.csv"))
    for id_, fields in view.rows("users.csv"):
        if id_ in kinds and fields["enabledUser"].lower() == "true":
            home = homes.get(id_) or fields["primaryOrgSourcedId"] or view.org
            group, class_grades = _class_of(enrolled.get(id_, []), classes)
            yield Person(
                id=id_,
                given_name=fields["preferredGivenName"] or fields["givenName"],
                family_name=fields["preferredFamilyName"] or fields["familyName"],
                kind=kinds[id_],
                grade=_grades(fields["grades"] or class_grades).split(",")[0] if kinds[id_] is PersonKind.PUPIL else "",
                group=group,
                home_school="" if home == view.org else home,
            )


def _kind(role: str) -> PersonKind | None:
    match role.lower():
        case "student":
            return PersonKind.PUPIL
        case other if other in _STAFF or other.startswith("ext:"):
            return PersonKind.TEACHER
        case _:
            return None


def _class_of(ids: list[str], classes: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """Title and grades of the class that people would name: a homeroom before a subject's group."""
    own = sorted((classes[id_]["classType"].lower() != "homeroom", id_) for id_ in ids if id_ in classes)
    return (classes[own[0][1]]["title"], classes[own[0][1]]["grades"]) if own else ("", "")


def _programmes(view: _View) -> Iterator[Programme]:
    named = {id_: fields["name"] for id_, fields in view.rows("programmes.csv")}
    used = {fields["programme"]: fields["programme"] for _, fields in view.rows("entitlements.csv")}
    for id_, name in (used | named).items():
        yield Programme(id=id_, name=name or id_)


def _entitlements(view: _View, people: Mapping[str, Person]) -> Iterator[Entitlement]:
    """One for each person: a row for grades is spelled out for every pupil of them who is at home here."""
    made: dict[str, Entitlement] = {}
    for _, fields in sorted(view.rows("entitlements.csv"), key=lambda row: not row[1]["userSourcedId"]):
        grades = set(_list(_grades(fields["grades"])))
        for person in people.values():
            by_grade = person.kind is PersonKind.PUPIL and not person.home_school and person.grade in grades
            if person.id == fields["userSourcedId"] or by_grade:
                id_ = ".".join(filter(None, (person.id, fields["programme"], fields["first"])))
                entitlement = Entitlement(
                    id=id_, person=person.id, programme=fields["programme"], sessions=tuple(_list(fields["sessions"])),
                    first=fields["first"], last=fields["last"], priority=int(fields["priority"] or 0),
                )  # fmt: skip
                made.setdefault(id_, entitlement)  # a row for the person goes before a row for the grade
    yield from made.values()


def _sessions(view: _View) -> Iterator[MealSession]:
    if "sessions.csv" not in view.source:
        yield WHOLE_DAY
    for id_, fields in view.rows("sessions.csv"):
        yield MealSession(
            id=id_, name=fields["name"] or id_, start=fields["start"], end=fields["end"], name_kk=fields["nameKk"],
            name_ru=fields["nameRu"], weekdays=tuple(sorted({int(day) for day in fields["weekdays"] or "123456"})),
        )  # fmt: skip


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _grades(text: str) -> str:
    """`1, 2` and `01,02` are the same."""
    return ",".join(part.zfill(2) if part.isdecimal() else part for part in _list(text))


def _wire_time(text: str) -> str:
    return _moment(text)[:23] + "Z" if text else ""


def _notes(
    source: Source, tables: Mapping[str, Table], base: Source | None, records: tuple[Record, ...]
) -> Iterator[str]:
    """What is not wrong, and still worth knowing."""
    people = sum(isinstance(record, Person) for record in records)
    credentials = sum(isinstance(record, Credential) for record in records)
    yield f"{people} people, {credentials} cards"
    if "cards.csv" not in source:
        yield "no cards.csv, now or before: nobody is known by a card"
    if "entitlements.csv" not in source:
        yield "no entitlements.csv, now or before: visits are recorded, none is billed"
    if "sessions.csv" not in source:
        yield "no sessions.csv, now or before: one session lasts the whole day, Monday to Saturday"
    for name, table in tables.items():
        late = [
            row for row in table.rows
            if table.delta and _moment(row.fields["dateLastModified"]) < source[name][row.fields["sourcedId"]].modified
        ] if name in ONEROSTER and base is not None else []  # fmt: skip
        if late:
            yield f"{name}: {len(late)} rows passed over, older than what is known"
