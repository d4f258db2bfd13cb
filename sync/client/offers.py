"""The bytes of deferred events, offered once a day until they are stored where their hashes stand.

Somebody on the way had refused them. Their hashes went on as tombstones, so that the ones behind them could.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sync.client.paced import SyncOutcome, SyncStep
from sync.client.places import SendingPlace
from sync.client.ports import DEFERRED, DeferredEvent, Outbox, OutboxRow
from sync.contract.batch import LINES_BYTES_MAX
from sync.contract.chain import Head
from sync.contract.wire import BatchReply
from sync.errors import RequestRejected, SyncAlarm

OFFER_EVERY: Final = timedelta(days=1)
_DETAIL_CHARS_MAX: Final = 300


class DeferredOffers:
    """Offers what the outbox has deferred. `send` posts a batch of one and checks the receipt in its answer."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Callable[[], datetime],
        send: Callable[[SendingPlace, Sequence[OutboxRow]], BatchReply],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._send = send

    def step(self) -> SyncStep | None:
        """Offers the bytes of one event; None where none is due."""
        now = self._clock()
        event = next((one for one in self._outbox.list_deferred() if abs(now - one.noted_utc) >= OFFER_EVERY), None)
        if event is None:
            return None
        stored, detail = self._offer(event)
        if stored:
            self._outbox.quarantine(event.seq, "stored-later", detail, tombstone=False, epoch=event.epoch)
            return SyncStep(SyncOutcome.SENT, 0.0, f"event {event.seq} is stored after all")
        self._outbox.quarantine(event.seq, f"{DEFERRED}-again", detail, tombstone=True, epoch=event.epoch)
        return SyncStep(SyncOutcome.NARROWED, 0.0, f"event {event.seq} is not stored: {detail}", SyncAlarm.DEFERRED)

    def _offer(self, event: DeferredEvent) -> tuple[bool, str]:
        """Returns if the ledger has stored the bytes of this event, and in words what it said."""
        before = self._outbox.find_hash(event.seq - 1, event.epoch)
        rows = self._outbox.read_rows(event.seq - 1, 1, LINES_BYTES_MAX, event.epoch)
        if before is None or not rows or rows[0].seq != event.seq:
            return False, "this disk does not have it any more"
        through = None if event.epoch == self._outbox.epoch else event.seq
        try:
            accepted = self._send(SendingPlace(event.epoch, b"", Head(event.seq - 1, before), through), rows)
        except RequestRejected as error:
            return False, str(error)[:_DETAIL_CHARS_MAX]
        if event.seq in accepted.filled:
            return True, "the ledger stored its bytes where its hash stood"
        return False, "the ledger does not say that it has stored the bytes"
