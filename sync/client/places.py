"""Where sending goes on: the outbox is a list of epochs, and the ledger's last event may lie in any of them.

A ledger that was restored from a backup stands in an epoch that this kiosk has closed long ago. What a receipt covered
there and the ledger has lost is sent again, in ordinary batches of that epoch, then that of the epochs behind it, and
then the current one opens. What a closed epoch had not delivered travels in its successor, and is not sent from it,
unless retention has removed some of what its successor carried.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sync.client.ports import Outbox, OutboxEpoch
from sync.contract.chain import Epoch, Head


@dataclass(frozen=True, slots=True)
class SendingPlace:
    """The epoch that is being sent, and the last event of it that the ledger has."""

    epoch: Epoch
    parent_head: bytes
    position: Head
    through: int | None = None  # the last event to send; None: the current epoch, which has no end

    @property
    def is_closed(self) -> bool:
        """Returns True in an epoch that has a successor."""
        return self.through is not None


def find_place(outbox: Outbox, epoch: str, ledger_head: Head, skipped: Container[Epoch]) -> SendingPlace | None:
    """Returns where to go on when the ledger's current epoch is not the kiosk's; None where that epoch is not ours.

    `epoch` is empty, and `ledger_head` without meaning, for a ledger that knows none. Epochs that are `skipped` were
    refused.
    """
    epochs = outbox.epochs()
    if not epoch:
        return _first_place(epochs, skipped) if len(epochs) > 1 else None
    index = next((index for index, one in enumerate(epochs[:-1]) if one.id == epoch), None)
    if index is None:
        return None
    mine = epochs[index]
    own_hash = outbox.find_hash(ledger_head.seq, mine.id)
    through = _last_to_send(mine, epochs[index + 1])
    if mine.id not in skipped and ledger_head.seq < through and own_hash in (ledger_head.hash, None):
        return SendingPlace(mine.id, mine.parent_head, ledger_head, through)
    return _first_place(epochs[index + 1 :], skipped)


def next_place(outbox: Outbox, epoch: Epoch, skipped: Container[Epoch]) -> SendingPlace:
    """Returns where to go on behind a closed epoch of which the ledger has all."""
    epochs = outbox.epochs()
    return _first_place(epochs[[one.id for one in epochs].index(epoch) + 1 :], skipped)


def _first_place(epochs: Sequence[OutboxEpoch], skipped: Container[Epoch]) -> SendingPlace:
    """Returns the beginning of the first closed one of these of which the ledger ever had anything, or the last one's.

    The last one is the current epoch.
    """
    for closed, successor in pairwise(epochs):
        through = _last_to_send(closed, successor)
        if through and closed.id not in skipped:
            return _begin(closed, through)
    return _begin(epochs[-1], None)


def _last_to_send(closed: OutboxEpoch, successor: OutboxEpoch) -> int:
    """Returns the last event that a closed epoch itself must deliver; 0: none."""
    return closed.head.seq if successor.anchor.seq else closed.acknowledged.seq


def _begin(epoch: OutboxEpoch, through: int | None) -> SendingPlace:
    return SendingPlace(epoch.id, epoch.parent_head, Head(0, epoch.genesis), through)
