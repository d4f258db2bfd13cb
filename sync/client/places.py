"""Where sending goes on: the outbox is a list of epochs, and the ledger's last event may lie in any of them.

A ledger that was restored from a backup stands in an epoch that this kiosk has closed long ago. What a receipt covered
there and the ledger has lost is sent again, in ordinary batches of that epoch, then that of the epochs behind it, and
then the current one opens. What a closed epoch had not delivered travels in its successor, and is not sent from it.
"""

from collections.abc import Container
from dataclasses import dataclass

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
    *closed, current = outbox.epochs()
    if not epoch:
        place = _first_place(closed, skipped)
        return place or (_place(current, None) if closed else None)
    index = next((index for index, one in enumerate(closed) if one.id == epoch), None)
    if index is None:
        return None
    mine = closed[index]
    own_hash = outbox.find_hash(ledger_head.seq, mine.id)
    if mine.id not in skipped and ledger_head.seq < mine.acknowledged.seq and own_hash in (ledger_head.hash, None):
        return SendingPlace(mine.id, mine.parent_head, ledger_head, mine.acknowledged.seq)
    return next_place(outbox, mine.id, skipped)


def next_place(outbox: Outbox, epoch: Epoch, skipped: Container[Epoch]) -> SendingPlace:
    """Returns where to go on behind a closed epoch of which the ledger has all."""
    *closed, current = outbox.epochs()
    behind = closed[[one.id for one in closed].index(epoch) + 1 :]
    return _first_place(behind, skipped) or _place(current, None)


def _first_place(epochs: list[OutboxEpoch], skipped: Container[Epoch]) -> SendingPlace | None:
    """Returns the beginning of the first of these closed epochs of which the ledger ever had anything."""
    delivered = (one for one in epochs if one.acknowledged.seq and one.id not in skipped)
    return next((_place(one, one.acknowledged.seq) for one in delivered), None)


def _place(epoch: OutboxEpoch, through: int | None) -> SendingPlace:
    return SendingPlace(epoch.id, epoch.parent_head, Head(0, epoch.genesis), through)
