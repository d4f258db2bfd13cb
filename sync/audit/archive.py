"""The lines of an export: everything from which an auditor can follow a school's sheet, and nothing by name.

UTF-8, one JSON object a line; the field `line` says of what kind it is, bytes are base64. The lines may stand in any
number of files, in this order within their kind. What is of no kind is an error: nothing is passed over.
"""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from sync.contract.receipt_keys import ReceiptKey
from sync.contract.roster import Record
from sync.proof.categories import digest_categories


class AuditFailure(Exception):
    """The first line that does not hold: file, number and reason."""

    def __init__(self, place: "ArchivePlace | None", reason: str) -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.place = place
        self.reason = reason


@dataclass(frozen=True, slots=True, order=True)
class ArchivePlace:
    """A line of an exported file; numbers begin at 1."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file} line {self.number}"


class _ArchiveLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="line"):
    pass


class SubjectLine(_ArchiveLine, frozen=True, kw_only=True, tag="subject", omit_defaults=True):
    """The subject of the export, and its time: days whose sessions had ended by then are closed."""

    school: str
    timezone: str
    programme: str
    month: str
    exported_at: datetime
    receipts_key: bytes
    former_keys: tuple[ReceiptKey, ...] = ()  # the chain of receipts keys up to that one; none where it was the first
    ledger_key: str  # of the logs, under the ledger's own name
    witness_key: str  # empty: no witness


class DeviceLine(_ArchiveLine, frozen=True, kw_only=True, tag="device"):
    """A kiosk's public key."""

    device: str
    public_key: bytes


class BatchLine(_ArchiveLine, frozen=True, kw_only=True, tag="batch"):
    """A batch as it came, with the signature that came with it."""

    device: str
    epoch: str
    signature_input: str
    signature: str
    content_encoding: str
    body: bytes
    received_at: datetime


class ReceiptLine(_ArchiveLine, frozen=True, kw_only=True, tag="receipt"):
    """A receipt, as the ledger signed it."""

    body: bytes


class LeafLine(_ArchiveLine, frozen=True, kw_only=True, tag="leaf"):
    """A leaf of a log, in the log's order."""

    log: str
    leaf: bytes


class CheckpointLine(_ArchiveLine, frozen=True, kw_only=True, tag="checkpoint"):
    """A log's newest checkpoint, a signed note; it covers all exported leaves of the log."""

    log: str
    note: str


class RosterVersionLine(_ArchiveLine, frozen=True, kw_only=True, tag="roster_version"):
    """A version of the roster, and the time from which it was in force."""

    version: int
    in_force: datetime


class RosterRecordLine(_ArchiveLine, frozen=True, kw_only=True, tag="roster_record"):
    """One state of a judged record, without names: in the versions from `since` up to but without `until`, 0: all."""

    record: Record
    since: int
    until: int


ROSTER_OPEN = 0  # no version has this number


class ClosedMonthLine(_ArchiveLine, frozen=True, kw_only=True, tag="closed_month"):
    """A closed month, and the newest roster at its closing; ROSTER_OPEN while another programme's sheet is open."""

    month: str
    roster_version: int


class SuspensionLine(_ArchiveLine, frozen=True, kw_only=True, tag="suspension"):
    """A time in which a kiosk was suspended."""

    device: str
    since: datetime
    until: datetime | None


class OfficerLine(_ArchiveLine, frozen=True, kw_only=True, tag="officer"):
    """A key of a named person who may decide."""

    officer: str
    public_key: bytes


class ReversalLine(_ArchiveLine, frozen=True, kw_only=True, tag="reversal"):
    """A signed decision about a claim; of several about one entry the last counts."""

    body: bytes
    signature: bytes
    public_key: bytes


class ContestLine(_ArchiveLine, frozen=True, kw_only=True, tag="contest"):
    """A family's objection to an entry, and the signed answer where there is one. The family's words stay out."""

    contest: str
    device: str
    epoch: str
    seq: int
    answer: bytes
    signature: bytes
    public_key: bytes


class CalendarLine(_ArchiveLine, frozen=True, kw_only=True, tag="calendar"):
    """A version of a calendar: canonical JSON."""

    name: str
    number: int
    body: bytes


class TariffLine(_ArchiveLine, frozen=True, kw_only=True, tag="tariff"):
    """A version of the tariff book: canonical JSON."""

    name: str
    number: int
    body: bytes


class CategoryLine(_ArchiveLine, frozen=True, kw_only=True, tag="category"):
    """The opaque code of a person that may have a price of its own, in an export from before codes had versions."""

    person: str
    category: str


class CategoryVersionLine(_ArchiveLine, frozen=True, kw_only=True, tag="category_version"):
    """A version of the categories, in force from `first` on. `rows_digest`: of the hashes of its `rows` rows."""

    number: int
    first: date
    rows: int
    rows_digest: bytes

    def digest(self) -> bytes:
        """Returns the digest of the version, as its leaf and the sheets made by it hold it."""
        return digest_categories(self.number, self.first, self.rows, self.rows_digest)


class CategoryRowLine(_ArchiveLine, frozen=True, kw_only=True, tag="category_row"):
    """A row of a version that counts in the month. Of somebody who was erased only the hash is there."""

    version: int
    person: str
    category: str
    salt: bytes
    hash: bytes


class StatementLine(_ArchiveLine, frozen=True, kw_only=True, tag="statement"):
    """A statement of a day of the month."""

    day: str
    number: int
    stated_at: str
    rows: int
    root: bytes


class StatementRowLine(_ArchiveLine, frozen=True, kw_only=True, tag="row"):
    """A row of a statement, in the order of its tree. Of somebody who was erased only the hash is there."""

    day: str
    number: int
    body: bytes
    salt: bytes
    hash: bytes


class SheetLine(_ArchiveLine, frozen=True, kw_only=True, tag="sheet"):
    """A version of the month's sheet (`number` 0) or of a correction sheet: its canonical bytes."""

    number: int
    version: int
    body: bytes


class SheetActLine(_ArchiveLine, frozen=True, kw_only=True, tag="act"):
    """An act on a sheet, in order: proposals, objections, signatures, closing."""

    number: int
    version: int
    kind: str
    digest: str
    side: str
    scheme: str
    signer: str
    signature: bytes
    lines: tuple[tuple[str, str], ...]
    at: datetime | None = None  # when it was done, by the ledger's clock; an older export does not say it


class SignerLine(_ArchiveLine, frozen=True, kw_only=True, tag="signer"):
    """Who may sign for a side: of ed25519 the public key in hex."""

    side: str
    scheme: str
    material: str
    name: str


ArchiveLine = (
    SubjectLine | DeviceLine | BatchLine | ReceiptLine | LeafLine | CheckpointLine | RosterVersionLine
    | RosterRecordLine | ClosedMonthLine | SuspensionLine | OfficerLine | ReversalLine | ContestLine | CalendarLine
    | TariffLine | CategoryLine | CategoryVersionLine | CategoryRowLine | StatementLine | StatementRowLine | SheetLine
    | SheetActLine | SignerLine
)  # fmt: skip


def encode_line(line: ArchiveLine) -> bytes:
    """Returns a line of an export, with its newline."""
    return msgspec.json.encode(line, order="sorted") + b"\n"
