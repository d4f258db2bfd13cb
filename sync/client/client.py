"""The kiosk's end of the wire: `step` takes a run of events, sends it, marks what a receipt covers, says when again.

It neither sleeps nor loops. What it knows between steps is where the ledger stands (`_position`), and that only from
the ledger's own signed word, compared with the journal's own hashes:

    unknown ── cursor ──▶ known ── batch, 200 ──▶ known, further on
       ▲                    │
       └── 409, or an answer that cannot be true ──┘

Rules of the file:
- Nothing is marked in the outbox before the receipt's signature, its device, epoch, number and hash are all right.
- Losing all that this object knows costs one question to the ledger, never an event.
- Whoever calls too early is told how long to wait: the waits hold even if every scan wakes the sync.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Final

from sync.client.channel import Channel
from sync.client.policy import CAP_S, Backoff
from sync.client.ports import Line, Outbox
from sync.client.span import Span
from sync.contract import batch, receipt, wire
from sync.contract.batch import Compressor, GzipCompressor, Header, Tombstone
from sync.contract.chain import Hash, Head
from sync.contract.wire import Accepted, Cursor, ProblemType
from sync.errors import Deceived, Rejected, Unauthorised, Unreachable, Untrusted

IDLE_S: Final = 60.0
_ROOM: Final = batch.LINES_BYTES_MAX - batch.EVENTS_MAX  # for payloads: each line has a newline
DISPUTES_AT_ONCE: Final = 3  # 409s and new epochs in a row without a pause
DISPUTES_MAX: Final = 8  # then no further epoch is opened until something was accepted
_TEXT_MAX: Final = 300  # characters of the ledger's words that are kept


class Outcome(StrEnum):
    SENT = "sent"
    IDLE = "idle"  # nothing to send
    WAITING = "waiting"  # called before the next step was due; nothing was done
    ALIGNED = "aligned"  # the ledger has said where it stands
    NARROWED = "narrowed"  # a batch was refused; a smaller one or another form comes next
    NEW_EPOCH = "new-epoch"
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"  # a person must act; recording goes on, sending is tried again rarely


class Alarm(StrEnum):
    """What a technician should know, beside `Step.why`."""

    NONE = ""
    UNAUTHORISED = "unauthorised"
    UNTRUSTED = "untrusted"  # certificate or clock
    DECEIVED = "deceived"
    REFUSED = "refused"  # the ledger does not understand our batches at all
    FORK = "fork"  # the ledger had something else under our numbers: restored card, or two kiosks with one identity
    LEDGER_BEHIND = "ledger-behind"  # it has lost events that it had signed for; they are sent again


@dataclass(frozen=True, slots=True)
class Step:
    outcome: Outcome
    due_s: float  # seconds until the next step is due; 0: now
    why: str
    alarm: Alarm = Alarm.NONE
    accepted: int = 0  # events that a receipt covers since this step
    ledger_offset_s: float | None = None  # the ledger's clock minus ours, good to half the request's duration


class SyncClient:
    """`server_key`: the ledger's 32 raw bytes, pinned at enrolment. `clock`: aware wall time; `monotonic`: seconds."""

    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        server_key: bytes,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        dice: Random,
        agent: str = "",
        roster: Callable[[], int] = lambda: 0,
        idle_s: float = IDLE_S,
        retry_max_s: float = CAP_S,
        events_max: int = batch.EVENTS_MAX,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._server_key = server_key
        self._clock = clock
        self._monotonic = monotonic
        self._agent = agent
        self._roster = roster
        self._idle_s = idle_s
        self._backoff = Backoff(dice, cap_s=retry_max_s)
        self._span = Span(events_max)
        self._compress: Compressor | GzipCompressor = Compressor()
        self._epoch = outbox.epoch
        self._position: Head | None = None  # the last event that the ledger has, as far as we know
        self._elsewhere = False  # the ledger's current epoch is not ours
        self._superseded = False  # the ledger said that this epoch is closed
        self._disputes = 0  # 409s and new epochs since something was accepted
        self._stone: Tombstone | None = None  # what goes next in the place of a refused event
        self._offset_s: float | None = None
        self._next_at = monotonic()
        self._last = Step(Outcome.WAITING, 0.0, "not tried yet")

    def hurry(self) -> None:
        """Forget the wait: a person asks for it now."""
        self._next_at = self._monotonic()

    def step(self) -> Step:
        """Do at most one request. Errors of the outbox pass through; those of the wire become a `Step`."""
        wait_s = self._next_at - self._monotonic()
        if wait_s > 0 and self._last.outcome is not Outcome.IDLE:
            return Step(Outcome.WAITING, wait_s, self._last.why, self._last.alarm)
        step = self._last = self._attempt()
        self._next_at = self._monotonic() + step.due_s
        return step

    def _attempt(self) -> Step:
        if self._outbox.epoch != self._epoch:
            self._begin_epoch()
        try:
            return self._align() if self._position is None else self._forward(self._position)
        except Unreachable as error:
            return Step(Outcome.UNREACHABLE, self._backoff.failed(error.retry_after_s), str(error))
        except Unauthorised as error:
            return self._stopped(Alarm.UNAUTHORISED, str(error))
        except Untrusted as error:
            return self._stopped(Alarm.UNTRUSTED, str(error))
        except Deceived as error:
            return self._stopped(Alarm.DECEIVED, str(error))
        except Rejected as error:
            return self._stopped(Alarm.REFUSED, str(error))

    def _stopped(self, alarm: Alarm, why: str) -> Step:
        self._position, self._superseded = None, False
        return Step(Outcome.STOPPED, self._backoff.stopped(), why, alarm)

    # Where the ledger stands

    def _align(self) -> Step:
        """Ask the ledger where it stands, and find that place in the journal."""
        asked_at = self._clock()
        cursor = self._channel.get(Cursor, wire.cursor_path(self._outbox.device))
        self._note_time(cursor.time, asked_at)
        stands = self._checked(cursor)
        self._same_epoch()
        if cursor.epoch != self._epoch:
            if self._superseded:
                return self._new_epoch("the ledger has a later epoch of this device", stands)
            # Ours may be yet to be opened, closed by another kiosk, or lost with the ledger's disk. The answer to a
            # batch tells which; it begins one event early, so that there is one to send even when all was acknowledged.
            self._elsewhere = True
            self._position = self._one_before(self._outbox.acknowledged())
            return self._aligned("the ledger does not have this epoch as its current one")
        self._elsewhere = False
        own = self._outbox.hash_at(stands.seq)
        if stands.seq > self._outbox.head.seq:
            return self._new_epoch(
                f"the ledger has events up to {stands.seq}, this disk to {self._outbox.head.seq}", stands
            )
        if own is not None and own != stands.hash:
            return self._new_epoch(f"the ledger has another event {stands.seq} than this disk", stands)
        self._position = stands
        acknowledged = self._outbox.acknowledged()
        if stands.seq > acknowledged.seq and cursor.receipt is not None:
            self._outbox.acknowledge(stands, receipt.to_json(cursor.receipt))
            return self._aligned(f"the ledger has events up to {stands.seq}", accepted=stands.seq - acknowledged.seq)
        if stands.seq < acknowledged.seq:
            why = f"the ledger has lost events {stands.seq + 1} to {acknowledged.seq}, which it had signed for"
            return self._aligned(f"{why}; they are sent again", Alarm.LEDGER_BEHIND)
        return self._aligned(f"the ledger has events up to {stands.seq}")

    def _aligned(self, why: str, alarm: Alarm = Alarm.NONE, accepted: int = 0) -> Step:
        return Step(Outcome.ALIGNED, 0.0, why, alarm, accepted, self._offset_s)

    def _checked(self, cursor: Cursor) -> Head:
        """Where the cursor says the ledger stands, once it is found to be signed; (0, genesis) for a blank ledger."""
        if not cursor.epoch:
            return Head(0, self._genesis())
        if cursor.receipt is None:
            raise Deceived("the ledger says where it stands without signing it; ask its operator")
        head = self._signed(cursor.receipt, cursor.epoch)
        if (head.seq, head.hash.hex()) != (cursor.accepted_through, cursor.head):
            raise Deceived("the ledger's cursor and its receipt differ; ask its operator")
        return head

    def _new_epoch(self, why: str, stands: Head, alarm: Alarm = Alarm.FORK) -> Step:
        """Only ever called with a head that the ledger has signed.

        Each epoch copies what is not acknowledged, so a ledger that is content with none must not be given many.
        """
        self._disputes += 1
        if self._disputes > DISPUTES_MAX:
            return self._stopped(Alarm.FORK, f"{why}; it takes none of the epochs opened since: ask its operator")
        self._outbox.new_epoch(why, parent=stands if stands.seq else None)
        self._begin_epoch()
        return Step(Outcome.NEW_EPOCH, self._patience_s(), why, alarm, 0, self._offset_s)

    def _patience_s(self) -> float:
        """No wait for the first disputes; after that they are spaced, for something is wrong that repeats itself."""
        return 0.0 if self._disputes <= DISPUTES_AT_ONCE else self._backoff.failed()

    def _begin_epoch(self) -> None:
        self._epoch = self._outbox.epoch
        self._position = None
        self._elsewhere = self._superseded = False
        self._stone = None
        self._span.forget()

    # One batch

    def _forward(self, position: Head) -> Step:
        lines = self._outbox.take(position.seq, self._span.events(position.seq), _ROOM)
        if not lines:
            self._backoff.succeeded()
            return Step(Outcome.IDLE, self._idle_s, "everything is sent", ledger_offset_s=self._offset_s)
        if lines[0].seq != position.seq + 1:
            why = f"the ledger lacks events from {position.seq + 1} on, and this disk keeps none before {lines[0].seq}"
            return self._new_epoch(why, position, Alarm.LEDGER_BEHIND)
        stone = self._stone if self._stone is not None and self._stone.seq == lines[0].seq else None
        lines = lines[:1] if stone else lines
        try:
            body = self._compose(position, lines, stone)
        except batch.Malformed:
            return self._torn(position, lines)
        return self._post(position, lines, body, stone)

    def _compose(self, position: Head, lines: Sequence[Line], stone: Tombstone | None) -> bytes:
        """Return the compressed body of the batch behind `position`. Raises `Malformed` for a payload that tears it."""
        first, last = lines[0].seq, lines[-1].seq
        header = Header(
            first_seq=first,
            count=len(lines),
            prev=position.hash.hex(),
            head=lines[-1].hash.hex(),
            queue=self._outbox.head.seq - last,
            agent=self._agent,
            roster=self._roster(),
            parent=self._outbox.parent_head.hex() if first == 1 else "",
            tombstones=(first,) if stone else (),
        )
        payloads = [batch.tombstone_line(stone)] if stone else [line.payload for line in lines]
        return self._compress(batch.encode(header, payloads))

    def _post(self, position: Head, lines: Sequence[Line], body: bytes, stone: Tombstone | None) -> Step:
        path = wire.batches_path(self._outbox.device, self._epoch)
        sent_at = self._clock()
        try:
            accepted = self._channel.post(Accepted, path, body, wire.NDJSON, self._compress.encoding)
        except Rejected as error:
            return self._refused(error, lines, stone)
        self._note_time(accepted.time, sent_at)
        return self._mark(position, lines, accepted, stone)

    def _mark(self, position: Head, lines: Sequence[Line], accepted: Accepted, stone: Tombstone | None) -> Step:
        through = accepted.accepted_through
        if not position.seq < through <= lines[-1].seq:
            raise Deceived(
                f"the ledger answers {through} to events {lines[0].seq} to {lines[-1].seq}; ask its operator"
            )
        head = Head(through, lines[through - lines[0].seq].hash)
        if accepted.head != head.hash.hex() or self._signed(accepted.receipt, self._epoch) != head:
            raise Deceived(f"the ledger names another event {through} than the one it was sent; ask its operator")
        for odd in accepted.quarantined:
            if not lines[0].seq <= odd.seq <= through:
                raise Deceived(f"the ledger finds fault with event {odd.seq}, which it was not sent; ask its operator")
        self._same_epoch()
        for odd in accepted.quarantined if stone is None else ():
            self._outbox.quarantine(odd.seq, odd.code[:_TEXT_MAX], odd.detail[:_TEXT_MAX], tombstone=False)
        self._stone = None
        self._outbox.acknowledge(head, receipt.to_json(accepted.receipt))
        self._position = head
        self._disputes = 0
        self._span.accepted(through)
        self._backoff.succeeded()
        return Step(
            Outcome.SENT,
            0.0,
            f"events {lines[0].seq} to {through} are in the ledger",
            accepted=through - position.seq,
            ledger_offset_s=self._offset_s,
        )

    # What was refused

    def _refused(self, error: Rejected, lines: Sequence[Line], stone: Tombstone | None) -> Step:
        match error.status:
            case 409:
                return self._disputed(error, lines[0].seq)
            case 415 if isinstance(self._compress, Compressor):
                self._compress = GzipCompressor()
                return Step(Outcome.NARROWED, 0.0, "the ledger does not take zstd; gzip from now on")
            case 400 | 413 | 422 if stone:
                # Not this event is the trouble, then. It stays what it is, and the line stands until somebody acts.
                self._stone = None
                self._outbox.quarantine(stone.seq, stone.reason, "the ledger refuses a tombstone, too", tombstone=False)
                raise error
            case 400 | 413 | 422 if len(lines) == 1:
                return self._set_aside(lines[0], f"refused-{error.status}", str(error))
            case 413:
                self._span.too_large(len(lines))
                return Step(Outcome.NARROWED, 0.0, f"{len(lines)} events were too many at once")
            case 400 | 422:
                self._span.refused(lines[-1].seq)
                return Step(
                    Outcome.NARROWED, 0.0, f"one of events {lines[0].seq} to {lines[-1].seq} is refused: {error}"
                )
            case _:
                raise error

    def _torn(self, position: Head, lines: Sequence[Line]) -> Step:
        """An event with a newline in it cannot travel: those before it go now, then a tombstone."""
        broken = next(index for index, line in enumerate(lines) if b"\n" in line.payload)
        if broken:
            whole = lines[:broken]
            return self._post(position, whole, self._compose(position, whole, None), None)
        return self._set_aside(lines[0], "newline", "a newline inside an event would tear the batch apart")

    def _set_aside(self, line: Line, code: str, detail: str) -> Step:
        """Send a tombstone next. The note comes first: after a crash it must not be missing, rather too many."""
        self._outbox.quarantine(line.seq, code, detail[:_TEXT_MAX], tombstone=True)
        self._stone = Tombstone(hash=line.hash.hex(), reason=code, seq=line.seq)
        return Step(Outcome.NARROWED, 0.0, f"event {line.seq} is refused: {detail}; a tombstone goes in its place")

    def _disputed(self, error: Rejected, first: int) -> Step:
        """The ledger's chain and ours do not meet. Its cursor says how, so every kind of 409 leads there."""
        self._disputes += 1
        alarm = Alarm.NONE
        match error.problem.type:
            case ProblemType.EPOCH_UNKNOWN.value if first > 1:
                # It has lost the whole epoch. Sent from the first event on, it opens anew.
                self._position = Head(0, self._genesis())
            case ProblemType.EPOCH_SUPERSEDED.value | ProblemType.EPOCH_UNKNOWN.value:
                # Closed; or it cannot be opened, since its genesis was made with another key or parent.
                self._superseded, self._position = True, None
            case ProblemType.FORK.value:
                # In an epoch that is not the ledger's current one, its cursor cannot tell more than that.
                self._superseded, self._position, alarm = self._elsewhere, None, Alarm.FORK
            case ProblemType.GAP.value:
                self._superseded, self._position = self._elsewhere, None
            case _:  # cut off on the way, or of a later contract: the cursor must do
                self._position = None
        return Step(Outcome.NARROWED, self._patience_s(), str(error), alarm)

    # What the ledger signs and says

    def _signed(self, word: receipt.Receipt, epoch: str) -> Head:
        try:
            head = receipt.check(word, self._server_key)
        except receipt.Forged as error:
            raise Deceived(str(error)) from error
        if (word.device, word.epoch) != (self._outbox.device, epoch):
            raise Deceived(f"a receipt for {word.device}, epoch {word.epoch}, is not for this kiosk; ask the operator")
        return head

    def _same_epoch(self) -> None:
        if self._outbox.epoch != self._epoch:
            raise Unreachable("the journal began a new epoch while the ledger was asked about the old one")

    def _note_time(self, text: str, asked_at: datetime) -> None:
        answered_at = self._clock()
        try:
            self._offset_s = (wire.read_time(text) - asked_at - (answered_at - asked_at) / 2).total_seconds()
        except wire.Invalid:
            self._offset_s = None  # a ledger without a readable clock: its receipts are as good as before

    def _one_before(self, head: Head) -> Head:
        before = self._outbox.hash_at(head.seq - 1) if head.seq else None
        return head if before is None else Head(head.seq - 1, before)

    def _genesis(self) -> Hash:
        genesis = self._outbox.hash_at(0)
        assert genesis is not None, "an outbox always knows its genesis"
        return genesis
