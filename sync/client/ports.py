"""The stores that the kiosk's end of the wire needs from the kiosk. `edge_agent.journal` has them.

Every method may raise errors of the journal's own; they pass through untouched, for the supervisor to judge.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.dynamic_codes import CodeUse
from sync.contract.palms import SealedPalmMessage
from sync.contract.replacement_cards import ReplacementCardMessage
from sync.contract.roster import RosterPage

DEFERRED: Final = "deferred"  # begins the code of an event that was refused, and not by the ledger's signed word


class OutboxRow(msgspec.Struct, frozen=True, gc=False):
    """One event as it is stored and sent. A Struct, since a backlog makes many: a dataclass takes six times as long."""

    seq: int
    payload: bytes
    hash: Hash


class OutboxEpoch(msgspec.Struct, frozen=True):
    """One epoch of the journal, as far as sending needs it."""

    id: Epoch
    parent_head: bytes  # that its genesis cites, or nothing
    genesis: Hash
    anchor: Head  # the rows that are still here begin behind it
    head: Head
    acknowledged: Head  # in a closed epoch, what is behind it travels in its successor


class DeferredEvent(msgspec.Struct, frozen=True):
    """An event whose bytes nobody has stored yet, while its hash stands in the chain at the ledger."""

    epoch: Epoch
    seq: int
    noted_utc: datetime  # when it was last refused


class Outbox(Protocol):
    """The journal as a queue: a list of epochs. Where no `epoch` is named, everything is about the current one."""

    @property
    def device(self) -> DeviceId: ...

    @property
    def epoch(self) -> Epoch: ...

    @property
    def head(self) -> Head:
        """Returns the last event written; before the first one, seq 0 and the genesis."""
        ...

    @property
    def parent_head(self) -> bytes:
        """Returns the hash that this epoch's genesis cites, or nothing."""
        ...

    def acknowledged(self) -> Head:
        """Returns the last event that a receipt covers; before the first one, seq 0 and the genesis."""
        ...

    def epochs(self) -> Sequence[OutboxEpoch]:
        """Returns the epochs that were opened with this device and key, the current one last."""
        ...

    def read_rows(self, after: int, events_max: int, bytes_max: int, epoch: Epoch | None = None) -> Sequence[OutboxRow]:
        """Returns the events behind `after`, ascending without gaps; at least one if there is any.

        `bytes_max` counts payloads. The run begins later than `after` + 1 only if retention has removed rows there.
        """
        ...

    def find_hash(self, seq: int, epoch: Epoch | None = None) -> Hash | None:
        """Returns the hash of this event, the genesis for 0, None when the journal does not have it."""
        ...

    def acknowledge(self, head: Head, receipt: bytes, epoch: Epoch | None = None) -> None:
        """Moves the mark up to `head`, which was verified, and keeps the receipt. A lower head changes nothing."""
        ...

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool, epoch: Epoch | None = None) -> None:
        """Notes that the ledger finds this event odd, or (tombstone) has only its hash. A second note replaces this."""
        ...

    def list_deferred(self) -> Sequence[DeferredEvent]:
        """Returns the events with a tombstone whose code begins with `DEFERRED`, the longest noted first."""
        ...

    def open_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        """Closes the epoch and opens one that cites `parent`; unacknowledged events travel on in it as `carried`."""
        ...

    def declare_lost(self, through: int) -> Epoch:
        """Opens an epoch, since events of this one up to `through` were here and are gone; names them as a hole."""
        ...

    def queue_depth(self) -> int:
        """Returns how many events no receipt covers."""
        ...


class PalmStore(Protocol):
    """Sealed palms: those that the other kiosks of the school do not have yet, and those that they had first."""

    def next_unsent_palm(self) -> SealedPalmMessage | None:
        """Returns one that the ledger does not have; None: it has all."""
        ...

    def mark_relayed(self, palm: SealedPalmMessage) -> None:
        """Notes that the ledger has taken this one, or will never take it."""
        ...

    def palms_version(self) -> int:
        """Returns the last number that was taken from the ledger; 0: none."""
        ...

    def accept_palms(self, palms: Sequence[SealedPalmMessage], version: int) -> None:
        """Stores these as far as consents allow, and notes the number; all in one transaction.

        A number below the noted one is of a ledger that was restored: it is to be sent everything again.
        """
        ...

    def roster_version(self) -> int:
        """Returns the version of the roster in force; 0: none yet."""
        ...


class ReplacementCardStore(Protocol):
    """Cards that a desk gave in the place of lost ones: those of this kiosk, and those that others had first."""

    def next_unsent_card(self) -> ReplacementCardMessage | None:
        """Returns one that, or whose end, the ledger does not have; None: it has all."""
        ...

    def mark_card_relayed(self, card: ReplacementCardMessage) -> None:
        """Notes that the ledger has taken this one, or will never take it."""
        ...

    def cards_version(self) -> int:
        """Returns the last number that was taken from the ledger; 0: none."""
        ...

    def accept_cards(self, cards: Sequence[ReplacementCardMessage], version: int) -> None:
        """Takes these over and notes the number; all in one transaction.

        A number below the noted one is of a ledger that was restored: it is to be sent everything again.
        """
        ...

    def roster_version(self) -> int:
        """Returns the version of the roster in force; 0: none yet."""
        ...


class CodeUseStore(Protocol):
    """The steps of changing codes that were used in the school."""

    def wants_code_uses(self) -> bool:
        """Returns True where somebody of the roster has a changing code."""
        ...

    def code_uses_version(self) -> int:
        """Returns the number up to which the ledger's uses are here."""
        ...

    def accept_code_uses(self, uses: Sequence[CodeUse], version: int) -> None:
        """Takes over uses of the school's other kiosks, all of them or none."""
        ...


class RosterStore(Protocol):
    """The roster in force, and its replacement."""

    def roster_version(self) -> int:
        """Returns the version in force; 0: none yet."""
        ...

    def apply_roster(self, pages: Sequence[RosterPage], confirmation_time: datetime) -> object:
        """Brings all pages of one version into force in one transaction, or nothing."""
        ...

    def confirm_roster(self, confirmation_time: datetime) -> None:
        """Notes that the ledger has nothing newer."""
        ...
