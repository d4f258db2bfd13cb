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
STORED_LATER: Final = "stored-later"
AGAIN: Final = f"{DEFERRED}-again"
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
        code, detail = self._offer(event)
        stored = code == STORED_LATER
        self._outbox.quarantine(event.seq, code, detail, tombstone=not stored, epoch=event.epoch)
        if stored:
            return SyncStep(SyncOutcome.SENT, 0.0, f"event {event.seq} is stored after all")
        return SyncStep(SyncOutcome.NARROWED, 0.0, f"event {event.seq} is not stored: {detail}", SyncAlarm.DEFERRED)

    def _offer(self, event: DeferredEvent) -> tuple[str, str]:
        """Returns the event's new code in the quarantine, and in words what the ledger said."""
        before = self._outbox.find_hash(event.seq - 1, event.epoch)
        rows = self._outbox.read_rows(event.seq - 1, 1, LINES_BYTES_MAX, event.epoch)
        if before is None or not rows or rows[0].seq != event.seq:
            return AGAIN, "this disk does not have it any more"
        through = None if event.epoch == self._outbox.epoch else event.seq
        try:
            accepted = self._send(SendingPlace(event.epoch, b"", Head(event.seq - 1, before), through), rows)
        except RequestRejected as error:
            return f"refused-{error.status}" if error.is_signed else AGAIN, str(error)[:_DETAIL_CHARS_MAX]
        if event.seq in accepted.filled:
            return STORED_LATER, "the ledger stored its bytes where its hash stood"
        return AGAIN, "the ledger does not say that it has stored the bytes"
