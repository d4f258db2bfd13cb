"""The kiosk's events on their way to the ledger: `step` takes a run of them, sends it, marks what a receipt covers.

What it knows between steps is where the ledger stands (`_place`), and that only from the ledger's own signed word,
compared with the journal's own hashes:

    unknown ── cursor ──▶ known ── batch, 200 ──▶ known, further on
       ▲                    │
       └── 409, or an answer that cannot be true ──┘

Rules of the file:
- Nothing is marked in the outbox before the receipt's signature, its device, epoch, number and hash are all right.
- Losing all that this object knows costs one question to the ledger, never an event.
- Only the ledger's signed word makes a tombstone final. An event that anybody else refused is deferred: its hash goes
  on, and its bytes are offered once a day until they are stored where the hash stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.offers import DeferredOffers
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.pinned_key import PinnedKey, pin_key
from sync.client.places import SendingPlace, find_place, next_place
from sync.client.ports import DEFERRED, Outbox, OutboxRow
from sync.client.receipts import check_cursor, check_receipt
from sync.client.span import BatchSpan
from sync.contract import batch, receipt, wire
from sync.contract.batch import BatchHeader, Compressor, GzipCompressor, NamedHole, Tombstone
from sync.contract.chain import Epoch, Hash, Head
from sync.contract.receipt import Receipt
from sync.contract.wire import BatchReply, Cursor, ProblemType
from sync.errors import Deceived, EpochsRefused, RequestRejected, SyncAlarm, SyncError, Unreachable

IDLE_S: Final = 60.0
DISPUTES_WITHOUT_PAUSE: Final = 3  # 409s and new epochs in a row
DISPUTES_MAX: Final = 8  # then no further epoch is opened until something was accepted
_PAYLOADS_BYTES_MAX: Final = batch.LINES_BYTES_MAX - batch.EVENTS_MAX  # each line has a newline
_TEXT_MAX: Final = 300  # characters of the ledger's words that are kept


class BatchSender(PacedClient):
    """Sends the outbox batch by batch. `server_key`: the ledger's 32 raw bytes, pinned when the kiosk registered."""

    name = "ledger"

    def __init__(
        self,
        outbox: Outbox,
        channel: LedgerChannel,
        server_key: bytes | PinnedKey,
        pace: Pace,
        *,
        agent: str = "",
        roster_version: Callable[[], int] = lambda: 0,
        interval_s: float = IDLE_S,
        events_max: int = batch.EVENTS_MAX,
    ) -> None:
        super().__init__(pace, interval_s)
        self._outbox = outbox
        self._channel = channel
        self._server_key = pin_key(server_key)
        self._agent = agent
        self._roster_version = roster_version
        self._span = BatchSpan(events_max)
        self._offers = DeferredOffers(outbox, pace.clock, self._send_offer)
        self._compress: Compressor | GzipCompressor = Compressor()
        self._epoch = outbox.epoch
        self._place: SendingPlace | None = None  # the last event that the ledger has, as far as we know
        self._ledger_epoch = ""  # the ledger's current epoch; empty where it has none
        self._ledger_head = ""  # the hash of its last event there, in hex
        self._skipped: set[Epoch] = set()  # closed epochs whose lost events the ledger does not take
        self._holes: tuple[NamedHole, ...] = ()  # to be named in the next batch
        self._holes_refused = False  # an older ledger: it cannot go on behind a hole
        self._hole_disputes = 0  # signed 409s to batches with holes since something was accepted
        self._elsewhere = False  # the ledger's current epoch is not ours
        self._is_guess = False  # the place is one that the ledger has not named: its answer tells
        self._superseded = False  # the ledger said that this epoch is closed
        self._disputes = 0  # 409s and new epochs since something was accepted
        self._tombstone: Tombstone | None = None  # what goes next in the place of a refused event
        self._offset_s: float | None = None

    def _may_go_early(self) -> bool:
        """Returns True after IDLE: a new event ends the wait, and asking for one costs no request."""
        return self.last.outcome is SyncOutcome.IDLE

    def _request(self) -> SyncStep:
        if self._outbox.epoch != self._epoch:
            self._begin_epoch()
        try:
            return self._align() if self._place is None else self._send(self._place)
        except Unreachable:
            raise
        except SyncError:
            # A person will have changed something before the next try: ask the ledger again where it stands.
            self._place, self._superseded = None, False
            raise

    def realign(self) -> None:
        """Makes the next step, which is due now, ask the ledger where it stands: something says that it has changed."""
        self._place = None
        self.hurry()

    # Where the ledger stands

    def _align(self) -> SyncStep:
        """Asks the ledger where it stands, and finds that place in the journal."""
        self._holes = ()  # they are found again behind that place
        self._is_guess = False
        requested = self._pace.clock()
        cursor = self._channel.get(Cursor, wire.cursor_path(self._outbox.device))
        if self._channel.signs and not self._channel.last_was_signed:  # also one that says "nothing", without a receipt
            raise Unreachable("the ledger has not signed where it stands: is there a proxy or a portal between?")
        self._note_time(cursor.time, requested)
        if cursor.receipt is not None:
            self._server_key.meet(cursor.receipt.key)
        ledger_head = check_cursor(cursor, self._server_key.raw, self._outbox.device) or Head(0, self._genesis())
        self._check_epoch()
        self._ledger_epoch, self._ledger_head = cursor.epoch, ledger_head.hash.hex() if cursor.epoch else ""
        if cursor.epoch != self._epoch:
            if self._superseded:
                return self._open_epoch("the ledger has a later epoch of this device", ledger_head)
            self._elsewhere = True
            self._place = find_place(self._outbox, cursor.epoch, ledger_head, self._skipped)
            if self._place is not None:
                return self._aligned_behind(self._place)
            # Ours may be yet to be opened, closed by another kiosk, or lost with the ledger's disk. The answer to a
            # batch tells; it begins one event early, so that there is one to send even when all was acknowledged.
            self._place, self._is_guess = self._current_place(self._step_back(self._outbox.acknowledged())), True
            return self._aligned("the ledger does not have this epoch as its current one")
        self._elsewhere = False
        own_hash = self._outbox.find_hash(ledger_head.seq)
        if ledger_head.seq > self._outbox.head.seq:
            return self._open_epoch(
                f"the ledger has events up to {ledger_head.seq}, this disk to {self._outbox.head.seq}", ledger_head
            )
        if own_hash is not None and own_hash != ledger_head.hash:
            return self._open_epoch(f"the ledger has another event {ledger_head.seq} than this disk", ledger_head)
        self._place = self._current_place(ledger_head)
        acknowledged = self._outbox.acknowledged()
        why = f"the ledger has events up to {ledger_head.seq}"
        if cursor.receipt is not None:
            self._defer_wanted(cursor.wanted, ledger_head, acknowledged)
            if ledger_head.seq > acknowledged.seq:
                self._outbox.acknowledge(ledger_head, receipt.to_json(cursor.receipt))
                return self._aligned(why, accepted=ledger_head.seq - acknowledged.seq)
        if ledger_head.seq < acknowledged.seq:
            lost = f"the ledger has lost events {ledger_head.seq + 1} to {acknowledged.seq}, which it had signed for"
            return self._aligned(f"{lost}; they are sent again", SyncAlarm.LEDGER_BEHIND)
        return self._aligned(why)

    def _defer_wanted(self, wanted: Sequence[int], ledger_head: Head, acknowledged: Head) -> None:
        """Notes the events of which only a tombstone is there, and of which this disk does not know that.

        Either the disk was put back since, and knows less than the ledger, or the ledger was, and has lost the bytes.
        """
        known = acknowledged.seq if ledger_head.seq >= acknowledged.seq else 0
        for seq in wanted:
            if known < seq <= ledger_head.seq:
                self._outbox.quarantine(seq, f"{DEFERRED}-wanted", "the ledger has only its hash", tombstone=True)

    def _aligned(self, why: str, alarm: SyncAlarm = SyncAlarm.NONE, accepted: int = 0) -> SyncStep:
        return SyncStep(SyncOutcome.ALIGNED, 0.0, why, alarm, accepted, self._offset_s)

    def _aligned_behind(self, place: SendingPlace) -> SyncStep:
        """Returns the step for a ledger that stands in an epoch which this kiosk has closed."""
        if place.is_closed or self._outbox.acknowledged().seq:
            why = f"the ledger has lost events behind {place.position.seq} of epoch {place.epoch}; they are sent again"
            return self._aligned(why, SyncAlarm.LEDGER_BEHIND)
        return self._aligned("the ledger does not have this epoch as its current one")

    def _current_place(self, position: Head) -> SendingPlace:
        return SendingPlace(self._epoch, self._outbox.parent_head, position)

    def _open_epoch(self, why: str, ledger_head: Head, alarm: SyncAlarm = SyncAlarm.FORK) -> SyncStep:
        """Opens an epoch whose parent is `ledger_head`, which the ledger has signed. Raises `EpochsRefused`.

        Each epoch copies what is not acknowledged, so a ledger that is content with none must not be given many.
        """
        self._disputes += 1
        if self._disputes > DISPUTES_MAX:
            raise EpochsRefused(f"{why}; it takes none of the epochs opened since: ask its operator")
        self._outbox.open_epoch(why, parent=ledger_head if ledger_head.seq else None)
        self._begin_epoch()
        return SyncStep(SyncOutcome.NEW_EPOCH, self._dispute_pause_s(why), why, alarm, 0, self._offset_s)

    def _dispute_pause_s(self, why: str) -> float:
        """Returns no wait for the first disputes, then the waits of a failure: something wrong repeats itself."""
        return 0.0 if self._disputes <= DISPUTES_WITHOUT_PAUSE else self._backoff.wait_s_after(Unreachable(why))

    def _begin_epoch(self) -> None:
        self._epoch = self._outbox.epoch
        self._place, self._holes = None, ()
        self._skipped.clear()
        self._elsewhere = self._superseded = False
        self._tombstone = None
        self._span.forget_suspect()

    # One batch

    def _send(self, place: SendingPlace) -> SyncStep:
        position = place.position
        events = self._span.events_after(position.seq)
        if place.through is not None:
            events = min(events, place.through - position.seq)
            if events <= 0:
                return self._send(self._go_on_behind(place))
        rows = self._outbox.read_rows(position.seq, events, _PAYLOADS_BYTES_MAX, place.epoch)
        if not rows and place.through is None:
            return self._offers.step() or SyncStep(
                SyncOutcome.IDLE, self._interval_s, "everything is sent", ledger_offset_s=self._offset_s
            )
        first = rows[0].seq if rows else (place.through or 0) + 1
        if first != position.seq + 1:
            return self._leap(place, first - 1)
        if self._tombstone is not None and self._tombstone.seq == rows[0].seq:
            return self._post(place, rows[:1], self._tombstone)
        torn = next((index for index, row in enumerate(rows) if b"\n" in row.payload), None)
        if torn == 0:
            return self._replace(rows[0], "newline", "a newline inside an event would tear the batch apart")
        return self._post(place, rows[:torn], None)

    def _go_on_behind(self, place: SendingPlace) -> SendingPlace:
        """Returns where to go on when the ledger has all that it ever had of a closed epoch."""
        self._span.forget_suspect()
        self._place = next_place(self._outbox, place.epoch, self._skipped)
        return self._place

    def _leap(self, place: SendingPlace, last_seq: int) -> SyncStep:
        """Goes over events that retention has removed, and that the ledger has lost since: they are named as a hole."""
        position = place.position
        why = f"the ledger lacks events {position.seq + 1} to {last_seq} of epoch {place.epoch}, and so does this disk"
        last_hash = self._outbox.find_hash(last_seq, place.epoch)
        if self._holes_refused or last_hash is None:
            if place.is_closed:
                self._skipped.add(place.epoch)
                self._go_on_behind(place)
                return self._aligned(why, SyncAlarm.LEDGER_BEHIND)
            return self._open_epoch(why, position, SyncAlarm.LEDGER_BEHIND)
        self._holes += (NamedHole(place.epoch, position.seq + 1, last_seq, last_hash.hex()),)
        self._place = replace(place, position=Head(last_seq, last_hash))
        return self._aligned(f"{why}: a hole, which is named", SyncAlarm.LEDGER_BEHIND)

    def _post(self, place: SendingPlace, rows: Sequence[OutboxRow], tombstone: Tombstone | None) -> SyncStep:
        """Posts the rows behind the place, or the tombstone in the place of the only one."""
        body = self._compose(place, rows, tombstone)
        path = wire.batches_path(self._outbox.device, place.epoch)
        requested = self._pace.clock()
        try:
            accepted = self._channel.post(BatchReply, path, body, wire.NDJSON, self._compress.encoding)
        except RequestRejected as error:
            return self._handle_rejection(error, place, rows, tombstone)
        self._note_time(accepted.time, requested)
        return self._acknowledge(place, rows, accepted, tombstone)

    def _compose(self, place: SendingPlace, rows: Sequence[OutboxRow], tombstone: Tombstone | None) -> bytes:
        """Returns the compressed body of the batch behind the place."""
        first, last = rows[0].seq, rows[-1].seq
        opens = first == 1 or any(hole.epoch == place.epoch and hole.first_seq == 1 for hole in self._holes)
        before = 0 if place.through is None else place.through  # of a closed epoch, before all of the current one
        header = BatchHeader(
            first_seq=first,
            count=len(rows),
            prev=place.position.hash.hex(),
            head=rows[-1].hash.hex(),
            queue=before + self._outbox.head.seq - last,
            agent=self._agent,
            roster=self._roster_version(),
            parent=place.parent_head.hex() if opens else "",
            tombstones=(first,) if tombstone else (),
            closed=place.is_closed,
            follows=self._ledger_head if opens else "",
            holes=self._holes,
        )
        lines = [batch.tombstone_line(tombstone)] if tombstone else [row.payload for row in rows]
        return self._compress(batch.encode(header, lines))

    def _acknowledge(
        self, place: SendingPlace, rows: Sequence[OutboxRow], accepted: BatchReply, tombstone: Tombstone | None
    ) -> SyncStep:
        """Marks what the answer covers. Raises `Deceived` for an answer that cannot be true."""
        through, position = accepted.accepted_through, place.position
        if not position.seq < through <= rows[-1].seq:
            raise Deceived(f"the ledger answers {through} to events {rows[0].seq} to {rows[-1].seq}; ask its operator")
        head = Head(through, rows[through - rows[0].seq].hash)
        if accepted.head != head.hash.hex() or self._check_receipt(accepted.receipt, place.epoch) != head:
            raise Deceived(f"the ledger names another event {through} than the one it was sent; ask its operator")
        for odd in accepted.quarantined:
            if not rows[0].seq <= odd.seq <= through:
                raise Deceived(f"the ledger finds fault with event {odd.seq}, which it was not sent; ask its operator")
        self._check_epoch()
        for odd in accepted.quarantined if tombstone is None else ():
            if odd.code == "tombstone":  # the note of why it was sent says more
                continue
            self._outbox.quarantine(
                odd.seq, odd.code[:_TEXT_MAX], odd.detail[:_TEXT_MAX], tombstone=False, epoch=place.epoch
            )
        self._tombstone, self._holes, self._is_guess = None, (), False
        self._outbox.acknowledge(head, receipt.to_json(accepted.receipt), place.epoch)
        self._place = replace(place, position=head)
        # It may have had this epoch all along, closed, and stand in another: one that a late request opened there.
        if place.epoch == self._ledger_epoch or (position.seq == 0 and not accepted.duplicates):
            self._ledger_epoch, self._ledger_head = place.epoch, accepted.head
        self._disputes = self._hole_disputes = 0
        self._span.note_accepted(through)
        return SyncStep(
            SyncOutcome.SENT,
            0.0,
            f"events {rows[0].seq} to {through} are in the ledger",
            accepted=through - position.seq,
            ledger_offset_s=self._offset_s,
        )

    # What was refused

    def _handle_rejection(
        self, error: RequestRejected, place: SendingPlace, rows: Sequence[OutboxRow], tombstone: Tombstone | None
    ) -> SyncStep:
        match error.status:
            case 409:
                return self._dispute(error, place, rows[0].seq)
            case 415 if isinstance(self._compress, Compressor):
                self._compress = GzipCompressor()
                return SyncStep(SyncOutcome.NARROWED, 0.0, "the ledger does not take zstd; gzip from now on")
            case 400 | 413 | 422 if tombstone:
                # So it is not this event that is the trouble. It stays, and the queue stops until somebody acts.
                self._tombstone = None
                detail = "the ledger refuses a tombstone, too"
                self._outbox.quarantine(tombstone.seq, tombstone.reason, detail, tombstone=False, epoch=place.epoch)
                raise error
            case 400 | 413 | 422 if not self._stands_on(place):
                self._place = None  # the disk is not the one that was aligned
                return SyncStep(SyncOutcome.NARROWED, self._dispute_pause_s(str(error)), str(error))
            case 400 | 413 | 422 if len(rows) == 1:
                code = "refused" if error.is_signed else DEFERRED
                return self._replace(rows[0], f"{code}-{error.status}", str(error))
            case 413:
                self._span.note_too_large(len(rows))
                return SyncStep(SyncOutcome.NARROWED, 0.0, f"{len(rows)} events were too many at once")
            case 400 | 422:
                self._span.note_refused(rows[-1].seq)
                why = f"one of events {rows[0].seq} to {rows[-1].seq} is refused: {error}"
                return SyncStep(SyncOutcome.NARROWED, 0.0, why)
            case _:
                raise error

    def _stands_on(self, place: SendingPlace) -> bool:
        """Returns True where the journal has the event that the ledger is known to have last, or has pruned it."""
        return self._outbox.find_hash(place.position.seq, place.epoch) in (place.position.hash, None)

    def _replace(self, row: OutboxRow, code: str, detail: str) -> SyncStep:
        """Makes a tombstone go next. The note comes first: after a crash it must not be missing, rather too many."""
        epoch = self._epoch if self._place is None else self._place.epoch
        self._outbox.quarantine(row.seq, code, detail[:_TEXT_MAX], tombstone=True, epoch=epoch)
        self._tombstone = Tombstone(hash=row.hash.hex(), reason=code, seq=row.seq)
        why = f"event {row.seq} is refused: {detail}; a tombstone goes in its place"
        alarm = SyncAlarm.NONE
        if code.startswith(DEFERRED):
            why, alarm = f"{why}, and its bytes are offered again every day", SyncAlarm.DEFERRED
        return SyncStep(SyncOutcome.NARROWED, 0.0, why, alarm)

    def _send_offer(self, place: SendingPlace, rows: Sequence[OutboxRow]) -> BatchReply:
        """Posts events that are not new, without moving the place. Raises as `_post`."""
        path = wire.batches_path(self._outbox.device, place.epoch)
        body = self._compose(place, rows, None)
        accepted = self._channel.post(BatchReply, path, body, wire.NDJSON, self._compress.encoding)
        self._check_receipt(accepted.receipt, place.epoch)
        return accepted

    def _dispute(self, error: RequestRejected, place: SendingPlace, first: int) -> SyncStep:
        """Makes the next step read the cursor, which says how the chains meet. Every kind of 409 leads there."""
        self._disputes += 1
        alarm = SyncAlarm.NONE
        is_over = not place.is_closed and error.problem.type == ProblemType.EPOCH_SUPERSEDED.value
        if self._holes and not is_over and not (self._channel.signs and not error.is_signed):
            # One that signs may have been restored once more; it is asked again before rows are given up.
            self._hole_disputes += 1
            self._holes_refused = not self._channel.signs or self._hole_disputes > 1
            self._place = None
            return SyncStep(
                SyncOutcome.NARROWED, self._dispute_pause_s(str(error)), str(error), SyncAlarm.LEDGER_BEHIND
            )
        if self._channel.signs and not error.is_signed:
            self._place = None  # somebody on the way: the cursor, which is signed, must do
            return SyncStep(SyncOutcome.NARROWED, self._dispute_pause_s(str(error)), str(error))
        if first == 1 and error.problem.type == ProblemType.GAP.value:
            self._place = None  # the ledger does not stand any more where this epoch was to begin
            return SyncStep(SyncOutcome.NARROWED, self._dispute_pause_s(str(error)), str(error))
        if place.is_closed:
            kind = error.problem.type
            has_lost_more = kind == ProblemType.GAP or (kind == ProblemType.EPOCH_UNKNOWN and first > 1)
            # An older ledger signs nothing, and says it again; somebody on the way is not believed at once.
            is_believed = error.is_signed or self._disputes > DISPUTES_WITHOUT_PAUSE
            if is_believed and not has_lost_more:  # else the cursor tells where to go on
                self._skipped.add(place.epoch)
            self._place = None
            why = f"the ledger does not take the lost events of epoch {place.epoch}: {error}"
            return SyncStep(SyncOutcome.NARROWED, self._dispute_pause_s(why), why, SyncAlarm.LEDGER_BEHIND)
        match error.problem.type:
            case ProblemType.EPOCH_UNKNOWN.value if first > 1 and not self._is_guess:
                self._place = None  # it has lost this epoch since it was asked, and perhaps earlier ones with it
            case ProblemType.EPOCH_UNKNOWN.value if first > 1:
                # It has lost the whole epoch. Sent from the first event on, it opens again.
                self._place = self._current_place(Head(0, self._genesis()))
            case ProblemType.EPOCH_SUPERSEDED.value | ProblemType.EPOCH_UNKNOWN.value:
                # Closed; or it cannot be opened, since its genesis was made with another key or parent.
                self._superseded, self._place = True, None
            case ProblemType.FORK.value:
                # In an epoch that is not the ledger's current one, its cursor cannot tell more than that.
                self._superseded, self._place, alarm = self._elsewhere, None, SyncAlarm.FORK
            case ProblemType.GAP.value:
                self._superseded, self._place = self._elsewhere, None
            case _:  # cut off on the way, or of a later contract: the cursor must do
                self._place = None
        return SyncStep(SyncOutcome.NARROWED, self._dispute_pause_s(str(error)), str(error), alarm)

    # What the ledger signs and says

    def _check_receipt(self, signed: Receipt, epoch: str) -> Head:
        self._server_key.meet(signed.key)
        return check_receipt(signed, self._server_key.raw, self._outbox.device, epoch)

    def _check_epoch(self) -> None:
        if self._outbox.epoch != self._epoch:
            raise Unreachable("the journal began a new epoch while the ledger was asked about the old one")

    def _note_time(self, text: str, requested: datetime) -> None:
        answered = self._pace.clock()
        try:
            self._offset_s = (wire.read_time(text) - requested - (answered - requested) / 2).total_seconds()
        except wire.InvalidMessage:
            self._offset_s = None  # a ledger without a readable clock: its receipts are as good as before

    def _step_back(self, head: Head) -> Head:
        """Returns the event before `head`, or `head` where there is none before it."""
        before = self._outbox.find_hash(head.seq - 1) if head.seq else None
        return head if before is None else Head(head.seq - 1, before)

    def _genesis(self) -> Hash:
        genesis = self._outbox.find_hash(0)
        assert genesis is not None, "an outbox always knows its genesis"
        return genesis
