"""The leaves of a school's two logs, except statements (`statements`): short texts, tagged, one field a line.

events  canteen batch v1\n device\n epoch\n last seq\n head in hex\n          a batch that was accepted
        canteen version v1\n kind\n name\n number\n SHA-256 in hex\n     a calendar, tariff, or all categories
        canteen roster v2\n school\n number\n in force since\n SHA-256 in hex\n  a roster
claims  canteen sheet v1\n month\n programme\n number\n digest in hex\n        a sheet that was closed

Of rosters there are leaves `canteen version v1` from ledgers that did not state since when one was in force; they hold.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.proof.notes import join_lines

_BATCH_TAG: Final = "canteen batch v1"
_VERSION_TAG: Final = "canteen version v1"
_ROSTER_TAG: Final = "canteen roster v2"


class LogName(StrEnum):
    """The logs of a school; each is the last part of its origin."""

    EVENTS = "events"
    CLAIMS = "claims"


class VersionedKind(StrEnum):
    """The kind of what comes in versions, by which entries are judged."""

    ROSTER = "roster"
    CALENDAR = "calendar"
    TARIFF = "tariff"
    CATEGORIES = "categories"


def origin(ledger: str, school: str, log: LogName) -> str:
    """Returns the origin of a school's log. `ledger`: the ledger's name, as in its key."""
    return f"{ledger}/{school}/{log.value}"


def batch_leaf(device: DeviceId, epoch: Epoch, head: Head) -> bytes:
    """Returns the leaf of a batch that was accepted up to `head`."""
    return join_lines([_BATCH_TAG, device, epoch, str(head.seq), head.hash.hex()]).encode()


def read_batch_leaf(leaf: bytes) -> tuple[DeviceId, Epoch, Head]:
    """Returns device, epoch and head in a leaf that `batch_leaf` made. Raises ValueError for any other."""
    tag, device, epoch, seq, digest, rest = leaf.decode().split("\n")
    head = Head(int(seq), Hash(bytes.fromhex(digest)))
    if tag != _BATCH_TAG or rest or batch_leaf(DeviceId(device), Epoch(epoch), head) != leaf:
        raise ValueError("no leaf of a batch")
    return DeviceId(device), Epoch(epoch), head


def version_leaf(kind: VersionedKind, name: str, number: int, digest: bytes) -> bytes:
    """Returns the leaf of one version. `digest`: SHA-256 of its canonical bytes."""
    return join_lines([_VERSION_TAG, kind.value, name, str(number), digest.hex()]).encode()


def roster_leaf(school: str, number: int, in_force: datetime, digest: bytes) -> bytes:
    """Returns the leaf of a roster. `in_force`: the time from which it is; `digest`: of its judged part."""
    since = in_force.astimezone(UTC).isoformat(timespec="microseconds")
    return join_lines([_ROSTER_TAG, school, str(number), since, digest.hex()]).encode()


def is_version_leaf(leaf: bytes) -> bool:
    """Returns True for the leaf of a version of a roster, a calendar, tariffs or categories."""
    return leaf.startswith((f"{_VERSION_TAG}\n".encode(), f"{_ROSTER_TAG}\n".encode()))


def sheet_leaf(month: str, programme: str, number: int, digest: bytes) -> bytes:
    """Returns the leaf of a closed sheet or correction sheet. `digest`: SHA-256 of its canonical bytes."""
    return join_lines(["canteen sheet v1", month, programme, str(number), digest.hex()]).encode()
