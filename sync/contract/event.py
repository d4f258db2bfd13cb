"""The events a journal keeps, and the bytes they are kept as.

A payload is a flat JSON object of strings, integers and booleans, keys sorted, no spaces, UTF-8, at most 8 KiB. It is
made once, by `encode`, and from then on only its bytes travel: they are hashed, stored, sent and archived verbatim.
A field at its default is left out, so that a new optional field does not change the bytes of old events.

An event's identity (device, epoch, seq) stands outside its payload; see `sync.contract.chain`.

No kind of event has kinds below it. Code that goes through thousands of events asks `type(event) is Entry`: msgspec's
metaclass makes an `isinstance` that is not so as dear as decoding an event.
"""

from enum import StrEnum
from typing import NewType

import msgspec

PersonId = NewType("PersonId", str)
SessionId = NewType("SessionId", str)

PAYLOAD_BYTES_MAX = 8 * 1024
TERMINAL_BOOT = "terminal "  # begins the boot of an event that has its time from a terminal's own clock


class ClockQuality(StrEnum):
    """How far the wall clock can be trusted at the moment of the event."""

    SYNCHRONISED = "synchronised"  # the kernel says it is disciplined (adjtimex)
    UNSYNCHRONISED = "unsynchronised"  # set once, free-running since, or never set
    UNKNOWN = "unknown"  # the kernel could not be asked


class Method(StrEnum):
    """The way in which a person was recognised."""

    CARD = "card"
    PALM = "palm"  # matched on this kiosk
    TERMINAL = "terminal"  # matched by an outside palm or face terminal
    CODE = "code"  # QR, barcode or PIN
    MANUAL = "manual"  # chosen by hand, with reason and operator
    PAPER = "paper"  # by hand from a printed list; the event says `manual` and names its list: see `is_on_paper`


class Claim(StrEnum):
    """The answer to: may the meal of this entry be billed? As far as the kiosk can know."""

    CLAIMABLE = "claimable"
    SECOND = "second"  # a meal of this session is already claimed
    HELD = "held"  # claimable once the clock or the roster has been judged again
    PENDING = "pending"  # a guest: the home school's programme pays
    NONE = "none"  # nobody has entitled this person to a meal


class EventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", gc=False):
    """The part that all events have: where, when, and by which knowledge it was judged.

    `at` is the wall clock in UTC (`2026-11-22T04:40:00.123Z`); `mono_ms` counts from the boot named by `boot`, so that
    order and distance survive a wrong wall clock.
    """

    school: str
    at: str
    boot: str
    mono_ms: int
    clock: ClockQuality
    roster: int = 0  # version in force; 0: no roster yet
    roster_age_s: int = -1  # since the ledger last confirmed it; -1: never


class Sighting(EventBase, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody was seen at a reader, or was entered by hand."""

    person: str = ""
    session: str = ""
    service_date: str = ""  # the date on which the session began, local: `2026-11-22`
    method: Method = Method.CARD
    reader: str = ""
    credential: str = ""  # the roster's id of it, or `#` and a short digest of an unknown one; never a card number
    score: int = 0  # of a palm's match, in ten-thousandths
    code_step: int = 0  # of a changing code: the 30 seconds since 1970 in which it held; 0: none was shown
    reason: str = ""  # a `domain.decision.Reason`
    operator: str = ""  # who of the staff did it by hand
    note: str = ""  # why it was done by hand, in the operator's words or a stock reason
    scan_rules: str = ""  # a `movements.ScanRules`, at a kiosk whose terminals may tell late what they saw
    authenticity: str = ""  # of a card: `proven` by the city's key, `copyable` out of its memory; empty: by its number
    offset_s: int = 0  # of a terminal whose clock is doubted: how far it was ahead of the kiosk's, as measured
    written_late: bool = False  # it waited in memory while the journal could not be written; its times are its own


class Entry(Sighting, frozen=True, kw_only=True, omit_defaults=True, tag="entry"):
    """A person came to a meal."""

    programme: str = ""
    claim: Claim = Claim.NONE
    review: bool = False  # to be judged again when a newer roster or a better clock is there


class Manual(Sighting, frozen=True, kw_only=True, omit_defaults=True, tag="manual"):
    """An entry by hand: it says what `Entry` says, by a named operator for a stated reason."""

    programme: str = ""
    claim: Claim = Claim.NONE
    review: bool = False
    group: str = ""  # one id for all entries of a whole class
    paper: str = ""  # the printed list from which it was entered later: date, session and class or `codes`
    eaten_from: str = ""  # of such a list: the time in which its people ate, in UTC as `at`
    eaten_until: str = ""


class Exit(Sighting, frozen=True, kw_only=True, omit_defaults=True, tag="exit"):
    """A person left."""

    entry_epoch: str = ""  # the entry that it ends; empty: an exit without an entry
    entry_seq: int = 0


class Repeat(Sighting, frozen=True, kw_only=True, omit_defaults=True, tag="repeat"):
    """A person was seen again too soon to mean anything: it is kept as raw evidence and changes no visit."""


class Refusal(Sighting, frozen=True, kw_only=True, omit_defaults=True, tag="refusal"):
    """No visit came of it. `review` says that the fault may be ours and a person must look."""

    review: bool = False
    candidates: str = ""  # person ids that fitted equally well, comma-separated


class Void(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="void"):
    """An operator takes an entry back. The entry stays; it no longer counts."""

    void_epoch: str
    void_seq: int
    person: str
    operator: str
    note: str
    void_device: str = ""  # the kiosk of the entry, where it is another one of the school


class Boot(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="boot"):
    """The agent started. `clean` is False when the run before it did not stop in an orderly way."""

    version: str
    clean: bool = False


class Stop(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="stop"):
    """The agent stopped in an orderly way."""


class ClockStep(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="clock_step"):
    """The wall clock moved against the monotonic one by `step_ms` (positive: forward); `before` was its quality.

    With an `operator` it is a person's word about a terminal's clock, which is the monotonic clock of its `boot`.
    """

    step_ms: int
    before: ClockQuality
    operator: str = ""  # who confirmed it
    note: str = ""  # by what, in the operator's words


class Repair(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="repair"):
    """A new epoch was opened because the old journal could not go on; what was kept of it, and where."""

    why: str
    old_epoch: str = ""
    old_head: str = ""  # hex, of the last row that could be read
    old_seq: int = 0
    kept_as: str = ""  # file name in the state folder


class RosterApplied(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="roster_applied"):
    """A newer roster came into force."""

    people: int
    credentials: int
    templates_deleted: int = 0


class ConsentNoted(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="consent_noted"):
    """An operator noted a signed paper by which somebody agrees to be recognised in a way of the `scope`."""

    person: str
    paper: str  # the paper's number
    given_by: str  # who signed: `mother`, `father`, `guardian`, `self`
    given_at: str  # the word counts from then on, in UTC as `at`
    operator: str
    scope: str = "palm"


class ConsentWithdrawn(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="consent_withdrawn"):
    """The receipt that a person's templates are gone from this kiosk, memory and disk."""

    person: str
    templates_deleted: int
    operator: str = ""  # who noted the withdrawal at the desk; empty: the roster said so
    scope: str = "palm"
    withdrawn_at: str = ""  # with an operator: the word counts from then on; empty: from `at`


class PalmEnrolled(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="palm_enrolled"):
    """A named operator made a person's palm known on this kiosk; an older one of the same hand is replaced.

    With `adapted` no operator was there: the newest sample is of a very sure recognition.
    """

    person: str
    hand: str  # left, right, unknown
    templates: int
    operator: str  # empty where it was adapted
    adapted: int = 0  # how many of the templates came from recognitions


class Pruned(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="pruned"):
    """Retention removed rows that the ledger's receipt covers."""

    pruned_epoch: str
    through_seq: int
    rows: int


class EventsLost(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="lost"):
    """Events that this kiosk had recorded and cannot read any more: a hole in its journal, named so that it is known.

    Some of them may be at the ledger all the same. With `kept_as` a person can look for the rest in that file.
    """

    lost_epoch: str
    first_seq: int
    last_seq: int
    why: str
    kept_as: str = ""  # file name in the state folder


class HandCount(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="hand_count"):
    """The staff's count by hand while the journal could not be written. It names nobody, and bills nothing."""

    counted: int
    operator: str  # who counted last
    since: str  # when the journal first refused a row, in UTC as `at`
    session: str = ""  # that was being served at the first count; empty: none was
    service_date: str = ""


class GuestMeals(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="guest_meals"):
    """Meals of guests and visitors whom no roster knows: how many, and who pays. A void with an empty person undoes it.

    They are never counted among the people of the roster. A ledger that does not know this kind keeps the bytes,
    lists them as unreadable and bills nothing.
    """

    counted: int
    payer: str  # the programme that pays, as the settings of the kiosk and the tariff book name it
    operator: str
    note: str  # why, in the operator's words or a stock reason
    session: str = ""  # empty: the clock could not tell which was served
    service_date: str = ""


class RecordingResumed(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="recording_resumed"):
    """The journal can be written again: since when it could not, and what became of the scans meanwhile."""

    since: str  # in UTC as `at`
    waiting: int = 0  # scans and entries by hand that wait, to be written late behind this event
    not_kept: int = 0  # those for which the memory had no room: they are in no row


class CardReplaced(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="card_replaced"):
    """An operator gave a person another card; the former ones are blocked. No number of a card is in it."""

    person: str
    credential: str  # the new card's id
    digest: str  # of its number: HMAC-SHA-256 under a key of the school or of this kiosk, the first 32 hex digits
    operator: str
    blocked: str = ""  # ids of the former cards, comma-separated
    reader: str = ""  # at which it was shown; empty: its printed number was typed


class TechnicianCall(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="technician_call"):
    """An operator calls the technician, or with `answered` says that the call is over."""

    operator: str
    about: str = ""  # a reader's name or the code of a reason, as the staff's page showed it
    answered: bool = False


class Carried(EventBase, frozen=True, kw_only=True, omit_defaults=True, tag="carried"):
    """An unacknowledged event of a closed epoch, travelling in its successor under its old identity."""

    old_epoch: str
    old_seq: int
    old_hash: str  # hex
    payload: str  # the old payload's bytes, as the UTF-8 text that they are


Event = (
    Entry
    | Manual
    | Exit
    | Repeat
    | Refusal
    | Void
    | Boot
    | Stop
    | ClockStep
    | Repair
    | RosterApplied
    | ConsentNoted
    | ConsentWithdrawn
    | PalmEnrolled
    | Pruned
    | EventsLost
    | HandCount
    | GuestMeals
    | RecordingResumed
    | CardReplaced
    | TechnicianCall
    | Carried
)

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class UnreadableEvent(ValueError):
    """These bytes are no event that this version understands."""


def is_on_paper(event: Sighting) -> bool:
    """Returns True for an entry from a printed list: its time is that of the writing, its meal the one that it names.

    Events say `manual`, so that a ledger which does not know paper judges such an entry like any other by hand.
    """
    return event.method is Method.PAPER or (type(event) is Manual and event.paper != "")


def encode(event: Event) -> bytes:
    """Returns the payload's bytes, made once. Raises ValueError above 8 KiB."""
    payload = _encoder.encode(event)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"event of {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are allowed")
    return payload


def decode(payload: bytes) -> Event:
    """Returns the event in these bytes; fields that this version does not know are passed over.

    Raises `UnreadableEvent`.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEvent(str(error)) from error
