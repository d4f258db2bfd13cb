"""The two logs of an export: their leaves lead to signed checkpoints, and speak of all that is there, and no more."""

from hashlib import sha256

from sync.audit.archive import (
    ArchivePlace,
    AuditFailure,
    CalendarLine,
    CategoryVersionLine,
    CheckpointLine,
    LeafLine,
    RosterRecordLine,
    RosterVersionLine,
    TariffLine,
)
from sync.audit.chains import EpochChain, EpochName
from sync.audit.school_archive import SchoolArchive
from sync.proof.checkpoints import open_checkpoint, read_cosignature
from sync.proof.leaves import (
    LogName,
    VersionedKind,
    is_version_leaf,
    origin,
    read_batch_leaf,
    roster_leaf,
    version_leaf,
)
from sync.proof.notes import BadNote, NoteKey, parse_note
from sync.proof.roster_digest import digest_judged
from sync.proof.tree import HashTree, hash_leaf

Leaves = dict[bytes, ArchivePlace]  # each leaf of a log, with its place


def check_log(archive: SchoolArchive, log: LogName, ledger_key: NoteKey, witness_key: NoteKey | None) -> Leaves:
    """Returns a log's leaves, once their root is found under the log's signature and the witness's.

    Raises AuditFailure.
    """
    placed = [(place, line) for place, line in archive.read(LeafLine) if line.log == log]
    notes = [(place, line) for place, line in archive.read(CheckpointLine) if line.log == log]
    if len(notes) != 1:
        if not placed and not notes:
            return {}
        raise AuditFailure(None, f"{len(notes)} checkpoints of the log of {log}, expected 1")
    place, line = notes[0]
    log_key = ledger_key.rename(origin(ledger_key.name, archive.subject.school, log))
    try:
        note = parse_note(line.note.encode())
        checkpoint = open_checkpoint(note, log_key)
        if witness_key is not None:
            read_cosignature(note, witness_key)
    except BadNote as error:
        raise AuditFailure(place, str(error)) from error
    if checkpoint.size != len(placed):
        raise AuditFailure(place, f"the checkpoint has {checkpoint.size} leaves, the export {len(placed)}")
    if HashTree(hash_leaf(leaf.leaf) for _, leaf in placed).root() != checkpoint.root:
        raise AuditFailure(
            place, f"the leaves of {log} do not lead to the signed root: one was added, removed or changed"
        )
    return {leaf.leaf: leaf_place for leaf_place, leaf in placed}


def check_batches(leaves: Leaves, chains: dict[EpochName, EpochChain], receipts: set[tuple[str, str, int]]) -> None:
    """Raises AuditFailure where log, batches and receipts speak of different events."""
    logged: dict[EpochName, int] = {}
    for leaf, place in leaves.items():
        try:
            device, epoch, head = read_batch_leaf(leaf)
        except ValueError:
            continue  # a version of a roster or of terms
        chain = chains.get((device, epoch))
        if chain is None or head.seq > chain.head.seq:
            raise AuditFailure(place, f"the log has event {head.seq} of {epoch}; its batch was removed from the export")
        if chain.hashes.get(head.seq) != head.hash:
            raise AuditFailure(place, f"the log has another event {head.seq} of {epoch} than the batches")
        if (device, epoch, head.seq) not in receipts:
            raise AuditFailure(place, f"the ledger's receipt for event {head.seq} of {epoch} is missing")
        logged[device, epoch] = max(head.seq, logged.get((device, epoch), 0))
    for name, whole in chains.items():
        seq = logged.get(name, 0) + 1
        if whole.head.seq >= seq:
            raise AuditFailure(None, f"event {seq} of {' '.join(name)} is in no leaf of the log: it was added")


def check_versions(archive: SchoolArchive, leaves: Leaves) -> list[int]:
    """Returns the rosters of whose time in force the log says nothing: those with a leaf of the first form.

    Raises AuditFailure where a roster, the terms or categories are not those that the log has.
    """
    expected: dict[bytes, ArchivePlace] = {}
    undated: list[int] = []
    for place, version in archive.read(RosterVersionLine):
        dated, former = _make_roster_leaves(archive, version)
        if dated not in leaves and former in leaves:
            undated.append(version.version)
            expected[former] = place
        else:
            expected[dated] = place
    for place, calendar in archive.read(CalendarLine):
        digest = sha256(calendar.body).digest()
        expected[version_leaf(VersionedKind.CALENDAR, calendar.name, calendar.number, digest)] = place
    for place, book in archive.read(TariffLine):
        expected[version_leaf(VersionedKind.TARIFF, book.name, book.number, sha256(book.body).digest())] = place
    for place, stated in archive.read(CategoryVersionLine):
        leaf = version_leaf(VersionedKind.CATEGORIES, archive.subject.school, stated.number, stated.digest())
        expected[leaf] = place
    for leaf, place in expected.items():
        if leaf not in leaves:
            raise AuditFailure(place, "the log has no such version: it was changed or added")
    for leaf, place in leaves.items():
        if is_version_leaf(leaf) and leaf not in expected:
            raise AuditFailure(place, "the log has a version that the export lacks, or has changed")
    return undated


def _make_roster_leaves(archive: SchoolArchive, line: RosterVersionLine) -> tuple[bytes, bytes]:
    """Returns both forms of the leaf of a roster: with its time in force, and without."""
    school, number = archive.subject.school, line.version
    digest = digest_judged(
        state.record
        for state in archive.read_lines(RosterRecordLine)
        if state.since <= number and (not state.until or number < state.until)
    )
    return (
        roster_leaf(school, number, line.in_force, digest), version_leaf(VersionedKind.ROSTER, school, number, digest)
    )  # fmt: skip
