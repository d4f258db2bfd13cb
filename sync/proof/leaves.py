"""The leaves of a school's two logs, except statements (`statements`): short texts, tagged, one field a line.

events  canteen batch v1\n device\n epoch\n last seq\n head in hex\n          a batch that was accepted
        canteen version v1\n kind\n name\n number\n SHA-256 in hex\n     a roster, calendar, tariff, or all categories
claims  canteen sheet v1\n month\n programme\n number\n digest in hex\n        a sheet that was closed
"""

from enum import StrEnum
from typing import Final

from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.proof.notes import join_lines

_BATCH_TAG: Final = "canteen batch v1"


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
    return join_lines(["canteen version v1", kind.value, name, str(number), digest.hex()]).encode()


def sheet_leaf(month: str, programme: str, number: int, digest: bytes) -> bytes:
    """Returns the leaf of a closed sheet or correction sheet. `digest`: SHA-256 of its canonical bytes."""
    return join_lines(["canteen sheet v1", month, programme, str(number), digest.hex()]).encode()
