"""What the kiosk's end of the wire needs from the kiosk. `edge_agent.journal` offers it.

Every method may raise errors of the journal's own; they pass through here untouched, for whoever supervises to judge.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.palms import SealedPalmMessage
from sync.contract.roster import RosterPage


class Line(msgspec.Struct, frozen=True, gc=False):
    """One event as it is kept and sent. A Struct, since a backlog makes many: a dataclass takes six times as long."""

    seq: int
    payload: bytes
    hash: Hash


class Outbox(Protocol):
    """The journal as a queue. Everything speaks of the current epoch."""

    @property
    def device(self) -> DeviceId: ...

    @property
    def epoch(self) -> Epoch: ...

    @property
    def head(self) -> Head:
        """The last event written; before the first one, seq 0 and the genesis."""
        ...

    @property
    def parent_head(self) -> bytes:
        """What this epoch's genesis cites: a hash, or empty."""
        ...

    def acknowledged(self) -> Head:
        """The last event that a receipt covers; before the first one, seq 0 and the genesis."""
        ...

    def take(self, after: int, events_max: int, bytes_max: int) -> Sequence[Line]:
        """The events behind `after`, ascending without gaps; at least one if there is any. `bytes_max`: of payloads.

        Begins later than `after` + 1 only if retention has removed what stood there.
        """
        ...

    def hash_at(self, seq: int) -> Hash | None:
        """The hash of this event, the genesis for 0, None when it is not there (any more)."""
        ...

    def acknowledge(self, head: Head, receipt: bytes) -> None:
        """Move the mark up to `head`, which was verified here, and keep the receipt. A lower head changes nothing."""
        ...

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool) -> None:
        """Note that the ledger finds this event odd, or (tombstone) has only its hash. Again for one seq: replaces."""
        ...

    def new_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        """Close the epoch and open one that cites `parent`; unacknowledged events travel on in it as `carried`."""
        ...

    def queue_depth(self) -> int:
        """Events that no receipt covers."""
        ...


class PalmStore(Protocol):
    """Sealed palms: what the other kiosks of the school do not have yet, and what they had first."""

    def pending(self) -> SealedPalmMessage | None:
        """One that the ledger does not have; None: it has all."""
        ...

    def relayed(self, parcel: SealedPalmMessage) -> None:
        """The ledger has taken this one, or will never."""
        ...

    def palms_version(self) -> int:
        """The last number that was taken from the ledger; 0: none."""
        ...

    def take_palms(self, palms: Sequence[SealedPalmMessage], version: int) -> None:
        """Take these over as far as consents allow, and note the number; all in one transaction.

        A number below the noted one is of a ledger that was restored: it is to be sent everything again.
        """
        ...

    def roster_version(self) -> int: ...


class RosterStore(Protocol):
    def roster_version(self) -> int:
        """The version in force; 0: none yet."""
        ...

    def apply_roster(self, pages: Sequence[RosterPage], confirmed_at: datetime) -> object:
        """All pages of one version in one transaction, or nothing."""
        ...

    def confirm_roster(self, confirmed_at: datetime) -> None:
        """The ledger has nothing newer."""
        ...
