"""People, credentials, consents, entitlements, calendar and meal sessions of one school: what a kiosk may know.

A roster is a set of records, each named by (type, id). It travels as pages of changes: a record's new state, or its
deletion. Personal data is the least that a canteen needs: a name to greet with, a class, no birth date, no ИИН, no
diagnosis. `hints` are neutral service signs set by the school (`helper`, `longer_time`, `sound_off`, `diet`).
"""

from enum import StrEnum
from sys import intern
from typing import ClassVar, Final

import msgspec
from msgspec.structs import force_setattr


# Records hold texts and tuples of texts and so no cycle; without the collector's header each takes 16 bytes less.
class _RosterRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    REPEATED: ClassVar[tuple[str, ...]] = ()  # fields whose texts thousands of records have in common

    id: str

    def __post_init__(self) -> None:
        """Keeps one copy of each repeated text: a kiosk holds the records of a school for months."""
        for name in self.REPEATED:
            force_setattr(self, name, intern(getattr(self, name)))


class PersonKind(StrEnum):
    """The part that a person has in a school."""

    PUPIL = "pupil"
    TEACHER = "teacher"
    GUEST = "guest"


class ServiceHint(StrEnum):
    """The neutral signs by which a school says how a person is served. None of them names a cause."""

    HELPER = "helper"  # the staff's page: somebody helps this person
    LONGER_TIME = "longer_time"  # the child's page: every message stays twice as long
    SOUND_OFF = "sound_off"  # the child's page: no sound
    DIET = "diet"  # the staff's page: a diet meal


class Person(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="person"):
    """A person who may come to a meal."""

    given_name: str
    family_name: str
    kind: PersonKind = PersonKind.PUPIL
    grade: str = ""  # `01` … `11`
    group: str = ""  # the class, as people call it: `1 «А»`
    home_school: str = ""  # where the person belongs, when that is another school: served here as a guest
    hints: tuple[str, ...] = ()  # `ServiceHint`s; others, of a newer ledger, are kept and have no effect
    language: str = ""  # kk, ru or en for the greeting; empty: the kiosk's own


class CredentialKind(StrEnum):
    """The kind of a credential."""

    CARD = "card"
    CODE = "code"  # QR or barcode text, PIN
    TERMINAL = "terminal"  # the number under which an outside palm terminal knows the person
    PALM = "palm"


class Notation(StrEnum):
    """The part of a card's number that the roster holds. Anything but FULL is partial and may fit several cards."""

    FULL = "full"  # every byte of the UID, ISO order
    DEC10 = "dec10"  # low 32 bits in decimal, as printed on EM cards
    W26 = "w26"  # low 24 bits as facility,number: `100,19382`
    W34 = "w34"  # 32 bits


class Credential(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="credential"):
    """One credential of one person. `value`: upper-case hex of the UID (FULL), or the digits of its notation."""

    REPEATED = ("person", "technology")

    person: str
    kind: CredentialKind = CredentialKind.CARD
    value: str = msgspec.field(default="")
    technology: str = ""  # `em4100`, `iso14443a`; empty: any
    notation: Notation = Notation.FULL
    blocked: str = ""  # the reason why it must not be taken: `lost`, `stolen`, `replaced`

    def __repr__(self) -> str:
        return f"Credential(id={self.id!r}, person={self.person!r}, kind={self.kind.value!r})"


class DynamicCode(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="dynamic_code"):
    """The secret behind a person's changing code, sealed under the school's code key. See `dynamic_codes`."""

    REPEATED = ("person",)

    person: str
    surrogate: str = ""  # what a QR code shows instead of the person's id
    sealed: str = ""

    def __repr__(self) -> str:
        return f"DynamicCode(id={self.id!r}, person={self.person!r})"


class Consent(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="consent"):
    """A parent's yes to biometrics, and its end. Without a given and not withdrawn consent no template exists."""

    REPEATED = ("person",)

    person: str
    scope: str = "palm"
    version: str = ""
    given_at: str = ""  # UTC
    given_by: str = ""
    withdrawn_at: str = ""


class Entitlement(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="entitlement"):
    """Ties a person to the programme that pays, for the dates from `first` to `last` inclusive (empty: open)."""

    REPEATED = ("person", "programme")

    person: str
    programme: str
    sessions: tuple[str, ...] = ()  # which meal sessions; empty: every one
    first: str = ""
    last: str = ""
    priority: int = 0  # the lowest pays first


class Programme(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="programme"):
    """Who pays: state meals, paid meals, a voucher. Never shown where a child can see it."""

    name: str


class MealSession(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="session"):
    """One meal's local time window. An `end` at or before `start` is on the next day."""

    name: str
    start: str  # local, `09:30`
    end: str
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6)  # ISO, of the day on which it starts
    name_kk: str = ""
    name_ru: str = ""


class ClosedDay(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="closed_day"):
    """No meals on this local date. `id` is the date, `2026-12-16`."""

    why: str = ""


class School(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="school"):
    """The school of a roster."""

    name: str
    timezone: str = "Asia/Almaty"


# The roles of an operator. Others, of a newer ledger, are kept and have no effect.
OPERATOR_ROLES: Final = ("cook", "class_teacher", "head", "technician")


class SchoolOperator(_RosterRecord, frozen=True, kw_only=True, omit_defaults=True, tag="operator"):
    """A person of the staff who acts at the kiosks. Events carry the id for ever, the name stands here alone.

    No PIN is on a roster: each kiosk gives its own.
    """

    name: str
    roles: tuple[str, ...] = ()  # of `OPERATOR_ROLES`
    group: str = ""  # of a class teacher: the class

    def __repr__(self) -> str:
        return f"SchoolOperator(id={self.id!r}, roles={self.roles!r})"


Record = (
    Person
    | Credential
    | DynamicCode
    | Consent
    | Entitlement
    | Programme
    | MealSession
    | ClosedDay
    | School
    | SchoolOperator
)


class DeletedRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="deleted"):
    """The deletion of the record of one type and id."""

    deleted_type: str = msgspec.field(name="of")
    id: str


Change = Record | DeletedRecord


class RosterPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of changes from version `since` towards `version`; the last one has `more` False.

    `whole`: the changes are the complete roster, and whatever they do not name is gone.
    """

    school: str
    since: int
    version: int
    changes: tuple[Change, ...]
    more: bool = False
    whole: bool = False
    cursor: str = ""  # to be sent with the request for the next page of the same version


# Record types that kiosks of the first version do not know. A kiosk names those it knows when it asks for the roster,
# and gets no others.
LATER_TYPES: Final = (str(DynamicCode.__struct_config__.tag), str(SchoolOperator.__struct_config__.tag))


def record_type(record: Change) -> str:
    """Returns the `type` under which a record is filed."""
    return str(record.__struct_config__.tag)


def to_json(record: Record) -> bytes:
    """Returns a record as the bytes that are stored: JSON with sorted keys."""
    return msgspec.json.encode(record, order="sorted")


_record_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def from_json(text: bytes | str) -> Record:
    """Returns the record in this JSON. Raises msgspec.DecodeError."""
    return _record_decoder.decode(text)
