"""Rules about a device's epochs, and about what is missing in them: holes, tombstones, and bytes that come late."""

from dataclasses import replace

from sync.contract import batch, wire
from sync.contract.event import Carried, ClockQuality, EventsLost, encode
from sync.contract.wire import BatchReply, Cursor, ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerReply
from sync.ledger.checking.rules import (
    compose_entries,
    expect_accepted,
    expect_equal,
    expect_problem,
    expect_status,
    ledger_rule,
    list_odd,
)

_AT = "2026-11-20T05:00:00.000Z"


@ledger_rule(
    "A ledger must close an epoch once its successor has begun, and tell a kiosk that does not know it.",
    "answer 409 epoch-superseded to a batch of an older epoch without `closed`.",
)
def a_new_epoch_supersedes_the_old(kiosk: ConformanceKiosk) -> str:
    former = _begin_successor(kiosk)
    expect_problem(former.send_events(4, 5), 409, ProblemType.EPOCH_SUPERSEDED)
    return "its parent named"


@ledger_rule(
    "A ledger must take an event of a closed epoch that its successor carries over.",
    "read the kind `carried`, and quarantine none whose chain bears it out.",
)
def a_carried_event_is_taken(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 3), 3)
    carried = Carried(
        school=kiosk.identity.school, at=_AT, boot="conformance", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        old_epoch=kiosk.epoch, old_seq=4, old_hash=kiosk.hashes()[4].hex(), payload=kiosk.payloads[3].decode(),
    )  # fmt: skip
    kiosk.begin_epoch(bytes(kiosk.hashes()[3]), [encode(carried), *compose_entries(kiosk, 2)])
    expect_equal("quarantined", list_odd(expect_accepted(kiosk, kiosk.send_events(1, 3), 3)), [])
    return "under its old name"


@ledger_rule(
    "A ledger must open an epoch whose parent it does not know: a kiosk whose disk died has nobody to ask.",
    "flag such an epoch as an orphan, and take its events.",
)
def an_orphan_epoch_is_opened(kiosk: ConformanceKiosk) -> str:
    kiosk.begin_epoch(bytes.fromhex("ab" * 32), kiosk.payloads)
    expect_accepted(kiosk, kiosk.send_events(1, 3), 3)
    return "its events are taken"


@ledger_rule(
    "A ledger must take the rest of a closed epoch from a kiosk that knows it to be closed: it may have lost it.",
    "let a batch with `closed` go on behind the closed epoch's stored last event.",
)
def a_closed_epoch_goes_on(kiosk: ConformanceKiosk) -> str:
    former = _begin_successor(kiosk)
    expect_accepted(former, _send_with(former, 4, 6, closed=True), 6)
    expect_accepted(kiosk, kiosk.send_events(3, 4), 4)
    return "behind its last event, and so does the current one"


@ledger_rule(
    "A ledger must not open an epoch that follows on a head other than its own: something was lost meanwhile.",
    "compare the header's `follows` with the current head, and answer 409 gap where they differ.",
)
def an_epoch_waits_for_what_it_follows(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 3), 3)
    lost = kiosk.hashes()[5]
    kiosk.begin_epoch(bytes(lost), kiosk.payloads)
    expect_problem(_send_with(kiosk, 1, 2, follows=lost.hex()), 409, ProblemType.GAP)
    return "gap"


@ledger_rule(
    "A ledger must go on behind a hole that the kiosk names: nobody has its events any more.",
    "note the header's `holes`, and join the batch where a hole lies exactly between it and the stored events.",
)
def a_named_hole_is_leapt(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 5), 5)
    expect_accepted(kiosk, _send_with(kiosk, 9, 12, holes=(_hole(kiosk, 6, 8),)), 12)
    return "6 to 8 are named, 9 goes on"


@ledger_rule(
    "A ledger must leap no further than the hole that is named.",
    "answer 409 gap where the named hole does not reach from the stored events to the batch.",
)
def a_hole_excuses_no_other_gap(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 5), 5)
    expect_problem(_send_with(kiosk, 9, 12, holes=(_hole(kiosk, 7, 8),)), 409, ProblemType.GAP)
    return "gap"


@ledger_rule(
    "A ledger must read the event by which a kiosk tells of rows that its disk has lost.",
    "read the kind `lost`, and quarantine none.",
)
def a_loss_that_is_told_is_read(kiosk: ConformanceKiosk) -> str:
    lost = EventsLost(
        school=kiosk.identity.school, at=_AT, boot="conformance", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        lost_epoch="00000000000002aa", first_seq=3, last_seq=4, why="conformance",
    )  # fmt: skip
    kiosk.payloads[0] = encode(lost)
    expect_equal("quarantined", list_odd(expect_accepted(kiosk, kiosk.send_events(1, 2), 2)), [])
    return "as a hole"


@ledger_rule(
    "A ledger must take a tombstone in an event's place: the chain goes on from the hash that it states.",
    "take the hash from each line whose number the header's `tombstones` names.",
)
def a_tombstone_carries_the_chain_on(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, _bury_second(kiosk), 3)
    expect_accepted(kiosk, kiosk.send_events(4, 5), 5)
    return "and the event behind it"


@ledger_rule(
    "A ledger must name a tombstone as quarantined: a person should look at it.",
    "list its number in `quarantined`.",
)
def a_tombstone_is_named(kiosk: ConformanceKiosk) -> str:
    expect_equal("quarantined", list_odd(_bury_second(kiosk).message(BatchReply)), [2])
    return "listed as quarantined"


@ledger_rule(
    "A ledger must say of which events it wants the bytes, until it has them.",
    "list in the cursor's `wanted` the events of the epoch of which only a tombstone is stored.",
)
def deferred_bytes_are_wanted(kiosk: ConformanceKiosk) -> str:
    expect_status(_bury_second(kiosk), 200)
    expect_equal("wanted", _read_wanted(kiosk), (2,))
    expect_accepted(kiosk, kiosk.send_events(2, 2), 2)
    expect_equal("wanted, once they have come", _read_wanted(kiosk), ())
    return "and no more once they are there"


@ledger_rule(
    "A ledger must store the bytes of a tombstone's event when they come, and say so.",
    "store the line where its hash stands, and list its number in `filled`.",
)
def deferred_bytes_are_stored(kiosk: ConformanceKiosk) -> str:
    expect_status(_bury_second(kiosk), 200)
    expect_equal("filled", expect_accepted(kiosk, kiosk.send_events(2, 2), 2).filled, (2,))
    return "under the old number"


def _begin_successor(kiosk: ConformanceKiosk) -> ConformanceKiosk:
    """Sends three events, then two of a new epoch that supersedes theirs. Returns the kiosk that knows the former."""
    expect_accepted(kiosk, kiosk.send_events(1, 3), 3)
    former = replace(kiosk, payloads=list(kiosk.payloads))
    kiosk.begin_epoch(bytes(kiosk.hashes()[3]), compose_entries(kiosk, 4))
    expect_accepted(kiosk, kiosk.send_events(1, 2), 2)
    return former


def _send_with(
    kiosk: ConformanceKiosk, first: int, last: int, *, closed: bool = False, follows: str = "",
    holes: tuple[batch.NamedHole, ...] = (),
) -> LedgerReply:  # fmt: skip
    composed = batch.decode(kiosk.compose(first, last))
    hashes = kiosk.hashes()
    header = batch.BatchHeader(
        first_seq=first, count=last - first + 1, prev=hashes[first - 1].hex(), head=hashes[last].hex(),
        parent=kiosk.parent.hex() if first == 1 else "", closed=closed, follows=follows, holes=holes,
    )  # fmt: skip
    return kiosk.send_body(batch.encode(header, composed.lines))


def _hole(kiosk: ConformanceKiosk, first: int, last: int) -> batch.NamedHole:
    return batch.NamedHole(kiosk.epoch, first, last, kiosk.hashes()[last].hex())


def _bury_second(kiosk: ConformanceKiosk) -> LedgerReply:
    """Sends three events, the second of them as a tombstone."""
    hashes = kiosk.hashes()
    tombstone = batch.tombstone_line(batch.Tombstone(hash=hashes[2].hex(), reason="400", seq=2))
    header = batch.BatchHeader(first_seq=1, count=3, prev=hashes[0].hex(), head=hashes[3].hex(), tombstones=(2,))
    return kiosk.send_body(batch.encode(header, [kiosk.payloads[0], tombstone, kiosk.payloads[2]]))


def _read_wanted(kiosk: ConformanceKiosk) -> tuple[int, ...]:
    return expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor).wanted


EPOCH_RULES = (
    a_new_epoch_supersedes_the_old,
    a_carried_event_is_taken,
    an_orphan_epoch_is_opened,
    a_closed_epoch_goes_on,
    an_epoch_waits_for_what_it_follows,
    a_named_hole_is_leapt,
    a_hole_excuses_no_other_gap,
    a_loss_that_is_told_is_read,
    a_tombstone_carries_the_chain_on,
    a_tombstone_is_named,
    deferred_bytes_are_wanted,
    deferred_bytes_are_stored,
)
