"""Every message between kiosk and ledger, except batches (`batch`), rosters (`roster`), sealed palms (`palms`) and
receipts (`receipt`).

Messages are JSON. Fields that a reader does not know are passed over, so that either end may be the newer one. Hashes
and keys are lower-case hex, times are UTC as `2026-11-22T04:40:00.123Z`, numbers stay below 2^53.

    POST /v1/devices/{device}/epochs/{epoch}/batches  batch → 200 BatchReply
    GET  /v1/devices/{device}/cursor                        → 200 Cursor
    POST /v1/devices/{device}/heartbeats              Heartbeat → 200 HeartbeatReply
    POST /v1/devices/{device}/keys                    device_keys.DeviceKeyRequest → 200 device_keys.DeviceKeyReply
    GET  /v1/devices/{device}/log?since=                    → 200 log_view.LogView
    GET  /v1/schools/{school}/roster?since=&cursor=         → 200 roster.RosterPage
    POST /v1/schools/{school}/palms                   palms.SealedPalmMessage → 200 palms.SealedPalmReply
    GET  /v1/schools/{school}/palms?since=                  → 200 palms.SealedPalmPage
    GET  /v1/receipt-keys                                   → 200 receipt_keys.ReceiptKeyPage, to anybody
    POST /v1/enrolments                               RegistrationRequest → 201 (again, same key: 200) RegistrationReply

Every request is signed (`signature`). A request that fails is answered with a `ProblemDocument`, as
`application/problem+json`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from sync.contract.chain import DeviceId, Epoch, Head
from sync.contract.receipt import Receipt

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
PROBLEM_JSON: Final = "application/problem+json"

INT_MAX: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact

HexHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Seq = Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # of devices and schools: safe in paths and structured fields
_EPOCH = re.compile(r"[0-9a-f]{16}")


class InvalidMessage(ValueError):
    """A name, time or message that the contract does not allow."""


def parse_device_id(text: str) -> DeviceId:
    """Returns a device's id: a letter or digit, then up to 63 letters, digits, `-` and `_`. Raises `InvalidMessage`."""
    return DeviceId(_matching(_NAME, text, "device id"))


def parse_school_id(text: str) -> str:
    """Returns a school's id, of the form of a device's. Raises `InvalidMessage`."""
    return _matching(_NAME, text, "school id")


def parse_epoch(text: str) -> Epoch:
    """Returns an epoch: 16 lower-case hex digits. Raises `InvalidMessage`."""
    return Epoch(_matching(_EPOCH, text, "epoch"))


def _matching(pattern: re.Pattern[str], text: str, kind: str) -> str:
    if pattern.fullmatch(text) is None:
        raise InvalidMessage(f"{text[:80]!r} is no {kind}; expected the form {pattern.pattern}")
    return text


REGISTRATIONS_PATH: Final = "/v1/enrolments"


def batches_path(device: DeviceId, epoch: Epoch) -> str:
    return f"/v1/devices/{device}/epochs/{epoch}/batches"


def cursor_path(device: DeviceId) -> str:
    return f"/v1/devices/{device}/cursor"


def heartbeats_path(device: DeviceId) -> str:
    return f"/v1/devices/{device}/heartbeats"


def roster_path(school: str) -> str:
    return f"/v1/schools/{school}/roster"


def roster_query(since: int, cursor: str = "", knows: Sequence[str] = ()) -> str:
    """Returns the query behind the `?`. `since` 0 asks for the whole roster; `knows` names the later record types that
    the asker understands.
    """
    more = {"cursor": cursor} if cursor else {}
    return urlencode({"since": since} | more | ({"knows": ",".join(knows)} if knows else {}))


def time_text(moment: datetime) -> str:
    """Returns a time as `2026-11-22T04:40:00.123Z`. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no place on the wire")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """Returns the moment in `text`, in UTC. Raises `InvalidMessage` when it is none, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidMessage(f"{text[:40]!r} is no time") from error
    if moment.tzinfo is None:
        raise InvalidMessage(f"{text[:40]!r} has no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidMessage(f"{text[:40]!r} is no time that can be reckoned with") from error


def check_canonical(text: str) -> None:
    """Raises ValueError for a time that is not written as `time_text` writes it."""
    try:
        canonical = time_text(read_time(text))
    except InvalidMessage as error:
        raise ValueError(str(error)) from error
    if text != canonical:
        raise ValueError(f"{text[:40]!r} is not written as {canonical}")


class HeadText(msgspec.Struct, frozen=True):
    """A `chain.Head` as it travels."""

    seq: Count
    hash: HexHash

    @classmethod
    def from_head(cls, head: Head) -> "HeadText":
        return cls(head.seq, head.hash.hex())


class QuarantinedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that the ledger stored and acknowledged, and that a person should look at."""

    seq: Seq
    code: str  # `unreadable`, `tombstone`, `orphan`, `unknown-person` …
    detail: str = ""


class BatchReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer 200 to a batch. It speaks of this batch only, never of events behind its last line.

    Normally `accepted_through` is the batch's last seq and `head` that event's hash, whether it was stored now or was
    there before (`duplicates`). A ledger that stored only the first part says so by a lower `accepted_through`.
    """

    accepted_through: Count
    head: HexHash
    time: str  # the ledger's clock
    receipt: Receipt
    duplicates: Count = 0  # events of this batch that the ledger already had
    quarantined: tuple[QuarantinedEvent, ...] = ()
    filled: tuple[Seq, ...] = ()  # whose bytes now stand where only a tombstone stood


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the ledger stands with this device: its current epoch, or an empty one when it knows none."""

    time: str
    epoch: str = ""
    accepted_through: Count = 0
    head: str = ""  # hex
    receipt: Receipt | None = None  # for the same three; there whenever `epoch` is
    wanted: tuple[Seq, ...] = ()  # events of this epoch of which only a tombstone came: who has the bytes offers them


class PartHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one part of the kiosk: `ok`, `degraded` or `failed`, and in words what to do about it."""

    part: str
    state: str
    detail: str = ""
    kind: str = ""  # a `PartKind`; empty from a kiosk that does not tell


class PartKind(StrEnum):
    """The kinds of parts that a heartbeat tells of. A newer kiosk may know more of them."""

    READER = "reader"
    TERMINAL_CLOCK = "terminal-clock"
    TECHNICIAN = "technician"  # `failed`: the staff have called
    JOURNAL = "journal"
    LOG = "log"  # the ledger's, as this kiosk has checked it


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the kiosk stands with an update: the version in question, its state, and in words why."""

    version: str
    state: str  # `staged`, `applied`, `rolled-back` …
    why: str = ""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sign of life. Two kiosks with one identity show by two `instance`s that alternate under one device id."""

    epoch: str
    head: HeadText  # of the journal
    acknowledged: Count  # last seq of this epoch that a receipt covers
    queue: Count
    agent: str  # version
    roster: Count  # version in force; 0: none
    boot: str  # the kernel's boot id
    instance: str  # drawn at random at each start of the agent
    at: str  # the kiosk's wall clock
    clock: str  # an `event.ClockQuality`
    health: tuple[PartHealth, ...] = ()
    roster_age_s: Annotated[int, msgspec.Meta(ge=-1, le=INT_MAX)] = -1  # since the ledger confirmed it; -1: unknown
    scanned: str = ""  # when somebody was last at a reader; empty: not known
    update: UpdateReport | None = None


class HeartbeatReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a heartbeat."""

    time: str
    roster: Count = 0  # the newest version for this school: a higher one than ours is a reason to pull
    incarnation: str = ""  # of the ledger: another one than before means that it was restored from a backup
    epoch: str = ""  # the ledger's current epoch of this device, the last event that it has of it, and its hash
    accepted_through: Count = 0
    head: str = ""
    heard: Count = 0  # the highest event of the heartbeat's epoch that any heartbeat of this device has told of
    twin: str = ""  # when another run with this identity was last heard while this one lives; empty: there is none


class RegistrationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kiosk asks for an identity. The request is signed with the key it shows, under its fingerprint as key id.

    Asking again with the same code and key gives the same identity: the first answer may have been lost.
    """

    code: str
    public_key: HexHash  # 32 raw bytes of Ed25519
    agent: str = ""
    name: str = ""  # what people call the kiosk: `canteen, left door`

    def __repr__(self) -> str:
        # The code is a secret until it is used.
        return f"RegistrationRequest(public_key={self.public_key!r}, name={self.name!r})"


class RegistrationReply(msgspec.Struct, frozen=True, kw_only=True):
    """The identity that the ledger gives a kiosk, and the key by which the kiosk knows its ledger."""

    device: str
    school: str
    server_key: HexHash  # 32 raw bytes of Ed25519; signs the receipts
    time: str


class ProblemType(StrEnum):
    """The `type` of a problem document (RFC 9457), with the status it comes with."""

    GAP = "urn:canteen:problem:gap"  # 409; `expected_seq`
    FORK = "urn:canteen:problem:fork"  # 409; `seq`, `stored`, `received`
    EPOCH_UNKNOWN = "urn:canteen:problem:epoch-unknown"  # 409; the batch does not begin this new epoch at 1
    EPOCH_SUPERSEDED = "urn:canteen:problem:epoch-superseded"  # 409; the device already has a later epoch
    MALFORMED = "urn:canteen:problem:malformed"  # 400 not readable as a batch; 422 contradicts itself
    TOO_LARGE = "urn:canteen:problem:too-large"  # 413
    ENCODING = "urn:canteen:problem:encoding"  # 415; neither zstd, gzip nor identity
    UNAUTHORISED = "urn:canteen:problem:unauthorised"  # 401; signature missing or wrong
    CLOCK = "urn:canteen:problem:clock"  # 401; asked with another time than the ledger's: sign with that
    SUSPENDED = "urn:canteen:problem:suspended"  # 403; the key was withdrawn
    CODE_REFUSED = "urn:canteen:problem:code-refused"  # 403; unknown, expired, or used with another key
    ROSTER_RESTART = "urn:canteen:problem:roster-restart"  # 410; the page cursor is gone: begin again
    BUSY = "urn:canteen:problem:busy"  # 429, 503; with Retry-After
    NOT_FOUND = "urn:canteen:problem:not-found"  # 404
    BLANK = "about:blank"


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457). `type` stays text: a newer ledger may know more of them."""

    type: str = ProblemType.BLANK.value
    title: str = ""
    status: int = 0
    detail: str = ""
    expected_seq: Count = 0  # gap: what should have come
    seq: Count = 0  # fork: the first event that differs
    stored: str = ""  # fork: its hash at the ledger, hex
    received: str = ""  # fork: its hash in the batch, hex


def to_json(message: msgspec.Struct) -> bytes:
    """Returns a message as the bytes that travel."""
    return msgspec.json.encode(message)


_MessageT = TypeVar("_MessageT", bound=msgspec.Struct)


def read_json(kind: type[_MessageT], text: bytes) -> _MessageT:
    """Returns the message of this kind in `text`. Raises `InvalidMessage`."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessage(f"no {kind.__name__}: {error}") from error
