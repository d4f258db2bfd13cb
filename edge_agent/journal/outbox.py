"""The journal as the queue to the ledger: `sync.client.ports.Outbox`, a list of epochs."""

from collections.abc import Sequence
from contextlib import suppress

from edge_agent.domain.moment import MomentSource
from edge_agent.journal import acknowledgement
from edge_agent.journal.acknowledgement import QuarantineRow
from edge_agent.journal.epochs import EpochRow, LoadedEpochs
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.rows import read_hash, read_page
from edge_agent.journal.store import Store
from edge_agent.journal.succession import LostRange, Succession
from sync.client.ports import DeferredEvent, OutboxEpoch, OutboxRow
from sync.contract.chain import DeviceId, Epoch, Hash, Head

QUARANTINE_SHOWN_MAX = 1_000


class JournalOutbox:
    """The events that no receipt covers, and the ledger's word about them."""

    def __init__(
        self, store: Store, epochs: LoadedEpochs, succession: Succession, device: DeviceId, now: MomentSource
    ) -> None:
        self._store = store
        self._epochs = epochs
        self._succession = succession
        self._now = now
        self.device = device

    @property
    def epoch(self) -> Epoch:
        return self._epochs.current.id

    @property
    def head(self) -> Head:
        return self._epochs.current.head

    @property
    def parent_head(self) -> bytes:
        return self._epochs.current.parent_head

    def acknowledged(self) -> Head:
        return self._epochs.current.acked

    def queue_depth(self) -> int:
        current = self._epochs.current
        return current.head.seq - current.acked.seq

    def epochs(self) -> Sequence[OutboxEpoch]:
        """Returns the epochs of this device, under whichever of its keys, the current one last."""
        current = self._epochs.current
        return [
            OutboxEpoch(row.id, row.parent_head, row.genesis, row.anchor, row.head, row.acked)
            for row in self._epochs.rows
            if row.device == current.device
        ]

    def read_rows(self, after: int, events_max: int, bytes_max: int, epoch: Epoch | None = None) -> Sequence[OutboxRow]:
        ordinal = self._row(epoch).ordinal
        page = self._store.run(lambda connection: read_page(connection, ordinal, after, events_max))
        lines: list[OutboxRow] = []
        for seq, payload, row_hash in page:
            bytes_max -= len(payload)
            if bytes_max < 0 and lines:
                break
            lines.append(OutboxRow(seq, payload, Hash(row_hash)))
        return lines

    def find_hash(self, seq: int, epoch: Epoch | None = None) -> Hash | None:
        return self._store.run(lambda connection: read_hash(connection, self._row(epoch), seq))

    def acknowledge(self, head: Head, receipt: bytes, epoch: Epoch | None = None) -> None:
        """Moves the acknowledged head and stores the receipt.

        Raises `AcknowledgementDisagrees` when the row here has another hash, or there is no such row.
        """
        received_utc = self._now().utc
        with self._store.lock:
            acked = self._store.write(
                lambda connection: acknowledgement.acknowledge_head(
                    connection, self._row(epoch), head, receipt, received_utc
                )
            )
            self._epochs.move_acknowledged_head(self._row(epoch).ordinal, acked)

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool, epoch: Epoch | None = None) -> None:
        noted_utc = self._now().utc
        with self._store.lock:
            ordinal = self._row(epoch).ordinal
            self._store.write(
                lambda connection: acknowledgement.note_quarantine(
                    connection, ordinal, seq, code, detail, tombstone, noted_utc
                )
            )

    def read_quarantine(self, rows_max: int = QUARANTINE_SHOWN_MAX) -> list[QuarantineRow]:
        """Returns the quarantine of every epoch, newest event first."""
        return self._store.run(lambda connection: acknowledgement.read_quarantine(connection, rows_max))

    def list_deferred(self) -> Sequence[DeferredEvent]:
        """Returns the events whose bytes the ledger is still to be offered, the longest noted first."""
        return self._store.run(acknowledgement.read_deferred)

    def declare_lost(self, through: int) -> Epoch:
        """Opens an epoch and names the events behind this one's head, up to `through`, as a hole: they were here."""
        with self._store.lock:
            current = self._epochs.current
            lost = LostRange(current.id, current.head.seq + 1, through)
            parent_head = current.acked.hash if current.acked.seq else b""
            opened = self._store.write(
                lambda connection: self._succession.open_next_epoch(
                    connection, current, "missing", parent_head, lost=lost
                )
            )
            return self._enter(opened)

    def _row(self, epoch: Epoch | None) -> EpochRow:
        """Returns the epoch of this id; the current one for None."""
        return self._epochs.current if epoch is None else self._epochs.find(epoch)

    def open_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        """Closes the epoch and opens one that cites `parent`; what is not acknowledged travels on in it.

        Raises `JournalDamaged` when a row that must be carried does not hold; then nothing was changed.
        """
        parent_head = parent.hash if parent else b""
        with self._store.lock:
            opened = self._store.write(
                lambda connection: self._succession.open_next_epoch(
                    connection, self._epochs.current, why, parent_head, kept_as
                )
            )
            return self._enter(opened)

    def _enter(self, opened: EpochRow) -> Epoch:
        """Goes on in the epoch that was just opened, and folds the WAL: the mark tells of this epoch alone."""
        self._epochs.add(opened)
        with suppress(JournalUnwritable):  # no room for it: then upkeep does it
            self._store.fold()
        return opened.id
