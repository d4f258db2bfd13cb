"""The epochs of a journal: their rows on the disk, and the picture of them that is kept in memory."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import structs

from edge_agent.journal.errors import SET_ASIDE, JournalDamaged
from sync.contract.chain import DeviceId, Epoch, Hash, Head, genesis

# Cast, because a flipped bit on the disk may make another type of a column, or NULL. Such a value must fail the check
# of the hash; it must not fail the code that reads it.
SELECT_EPOCHS = """
    SELECT
        CAST(coalesce(ordinal, '') AS INTEGER),
        CAST(coalesce(id, '') AS TEXT),
        CAST(coalesce(device, '') AS TEXT),
        CAST(coalesce(public_key, '') AS BLOB),
        CAST(coalesce(parent_head, '') AS BLOB),
        CAST(coalesce(genesis, '') AS BLOB),
        CAST(coalesce(anchor_seq, '') AS INTEGER),
        CAST(coalesce(anchor_hash, '') AS BLOB),
        CAST(coalesce(head_seq, '') AS INTEGER),
        CAST(coalesce(head_hash, '') AS BLOB),
        CAST(coalesce(acked_seq, '') AS INTEGER),
        CAST(coalesce(acked_hash, '') AS BLOB),
        CAST(coalesce(carried_seq, '') AS INTEGER)
    FROM epoch ORDER BY ordinal
"""
# The ordinal orders the epochs; their ids are random.
SELECT_NEXT_ORDINAL = "SELECT coalesce(max(ordinal), 0) + 1 FROM epoch"
# Anchor, head and acknowledged head all begin at the genesis.
INSERT_EPOCH = """
    INSERT INTO epoch (
        ordinal, id, device, public_key, parent_head, genesis, anchor_hash, head_hash, acked_hash, opened_at, why
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class KioskIdentity:
    """The identity that the chain's genesis holds, and the school whose events these are."""

    device: DeviceId
    public_key: bytes  # 32 raw bytes of Ed25519
    school: str


class EpochRow(msgspec.Struct, frozen=True):
    """One epoch as the database has it."""

    ordinal: int
    id: Epoch
    device: DeviceId
    public_key: bytes
    parent_head: bytes
    genesis: Hash
    anchor: Head  # the rows in the table begin behind it: (0, genesis), unless some were pruned
    head: Head
    acked: Head
    carried_seq: int  # the last row that holds an event of an earlier epoch; 0: none

    def check(self) -> None:
        """Raises `JournalDamaged` when the row contradicts itself."""
        if genesis(self.device, self.public_key, self.id, self.parent_head) != self.genesis:
            raise JournalDamaged(f"epoch {self.id}: its genesis does not follow from its identity; {SET_ASIDE}")
        for name, head in (("anchor", self.anchor), ("head", self.head), ("acknowledged head", self.acked)):
            if head.seq == 0 and head.hash != self.genesis:
                raise JournalDamaged(f"epoch {self.id}: its {name} is 0 but not the genesis; {SET_ASIDE}")


def read_epochs(connection: sqlite3.Connection) -> list[EpochRow]:
    """Returns every epoch, the current one last."""
    return [
        EpochRow(
            ordinal,
            epoch,
            device,
            public_key,
            parent_head,
            first_hash,
            anchor=Head(anchor_seq, anchor_hash),
            head=Head(head_seq, head_hash),
            acked=Head(acked_seq, acked_hash),
            carried_seq=carried_seq,
        )
        for (
            ordinal,
            epoch,
            device,
            public_key,
            parent_head,
            first_hash,
            anchor_seq,
            anchor_hash,
            head_seq,
            head_hash,
            acked_seq,
            acked_hash,
            carried_seq,
        ) in connection.execute(SELECT_EPOCHS).fetchall()
    ]


def insert_epoch(
    connection: sqlite3.Connection, kiosk: KioskIdentity, epoch: Epoch, *, parent_head: bytes, opened_at: str, why: str
) -> EpochRow:
    """Adds an empty epoch behind the existing ones and returns it. It is the current one from then on."""
    (ordinal,) = connection.execute(SELECT_NEXT_ORDINAL).fetchone()
    first_hash = genesis(kiosk.device, kiosk.public_key, epoch, parent_head)
    hashes = (first_hash,) * 4  # genesis, anchor, head, acknowledged head
    connection.execute(
        INSERT_EPOCH, (ordinal, epoch, kiosk.device, kiosk.public_key, parent_head, *hashes, opened_at, why)
    )
    start = Head(0, first_hash)
    return EpochRow(
        ordinal, epoch, kiosk.device, kiosk.public_key, parent_head, first_hash, start, start, start, carried_seq=0
    )


class LoadedEpochs:
    """The epochs as the disk holds them, in memory. The store's lock guards them.

    They change only after a transaction is on the disk, or when the file was opened again and is read anew.
    """

    def __init__(self, note_head: Callable[[EpochRow], None] = lambda _: None) -> None:
        """`note_head` is called with the current epoch whenever its head has moved on the disk."""
        self._note_head = note_head
        self._rows: list[EpochRow] = []
        self._ids: Mapping[int, Epoch] = {}
        self._ordinals: Mapping[Epoch, int] = {}

    @property
    def rows(self) -> list[EpochRow]:
        return list(self._rows)

    @property
    def current(self) -> EpochRow:
        return self._rows[-1]

    @property
    def ordinals(self) -> Mapping[Epoch, int]:
        return self._ordinals

    def find_epoch_id(self, ordinal: int) -> Epoch:
        return self._ids[ordinal]

    def find(self, epoch: Epoch) -> EpochRow:
        return self._rows[[row.id for row in self._rows].index(epoch)]

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads the epochs anew: after the file was opened, only the file says where the journal stands.

        Raises `JournalDamaged`, also when rows are gone that were on the disk before.
        """
        rows = read_epochs(connection)
        for row in rows:
            row.check()
        if self._rows:
            before = self.current
            if not any(row.id == before.id and row.head.seq >= before.head.seq for row in rows):
                raise JournalDamaged(
                    f"epoch {before.id}: rows up to {before.head.seq} were kept and are gone; {SET_ASIDE}"
                )
        self._set(rows)

    def replace(self, rows: list[EpochRow]) -> None:
        self._set(rows)
        self._note_head(self.current)

    def _set(self, rows: list[EpochRow]) -> None:
        self._rows = rows
        self._ids = {row.ordinal: row.id for row in rows}
        self._ordinals = {row.id: row.ordinal for row in rows}

    def add(self, row: EpochRow) -> None:
        self.replace([*self._rows, row])

    def move_head(self, head: Head) -> None:
        self._rows[-1] = structs.replace(self.current, head=head)
        self._note_head(self.current)

    def move_acknowledged_head(self, ordinal: int, acked: Head) -> None:
        self._rows = [structs.replace(row, acked=acked) if row.ordinal == ordinal else row for row in self._rows]
