"""Any ledger against the contract: the promises that a kiosk relies on, tried as a kiosk of a test school.

Each check is a function that returns what it saw, or raises `ContractDeparture`. They run in order on one device; a
check that needs a clean chain begins an epoch of its own. The test school keeps the events: a ledger forgets nothing.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import batch, chain, receipt, roster, wire
from sync.contract.event import Carried, ClockQuality, Entry, Stop, encode
from sync.contract.wire import BatchReply, Cursor, ProblemType
from sync.errors import SyncError
from sync.ledger.checking.conformance_kiosk import (
    ConformanceKiosk,
    LedgerConnection,
    LedgerReply,
    request_identity,
    sign_request,
)


class ContractDeparture(Exception):
    """The ledger does something else than the contract says."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    detail: str


def check_ledger(url: str, code: str, authority: Path | None = None) -> tuple[CheckResult, ...]:
    """Returns the result of every check; without an identity, only the first one.

    Raises Unreachable when the ledger does not answer at all.
    """
    connection, now_s = LedgerConnection(url, authority), int(time.time())
    key = Ed25519PrivateKey.generate()
    first = request_identity(connection, code, key, now_s)
    if first.status not in (200, 201):
        return (CheckResult("enrolment", False, _describe(first)),)
    kiosk = ConformanceKiosk(connection, first.message(wire.RegistrationReply), key, now_s)
    kiosk.payloads = _events(kiosk, 20)
    results = [CheckResult("enrolment", True, f"{kiosk.device} of {kiosk.identity.school}")]
    results += [_run(check, kiosk, code) for check in _CHECKS]
    return tuple(results)


def _run(check: "Check", kiosk: ConformanceKiosk, code: str) -> CheckResult:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return CheckResult(name, True, check(kiosk, code))
    except (ContractDeparture, SyncError, wire.InvalidMessage, receipt.ForgedReceipt) as error:
        return CheckResult(name, False, str(error) or type(error).__name__)


Check = Callable[[ConformanceKiosk, str], str]


def _describe(reply: LedgerReply) -> str:
    return f"status {reply.status}, {reply.body[:200].decode('utf-8', 'replace')}"


def _expect_status(reply: LedgerReply, *statuses: int) -> LedgerReply:
    if reply.status not in statuses:
        raise ContractDeparture(f"{_describe(reply)}; expected {' or '.join(map(str, statuses))}")
    return reply


def _expect_problem(reply: LedgerReply, status: int, kind: ProblemType) -> wire.ProblemDocument:
    _expect_status(reply, status)
    if not reply.headers.get("content-type", "").startswith(wire.PROBLEM_JSON):
        raise ContractDeparture(
            f"a problem of type {reply.headers.get('content-type')!r}; expected {wire.PROBLEM_JSON}"
        )
    if reply.problem.type != kind:
        raise ContractDeparture(f"problem {reply.problem.type}; expected {kind}")
    return reply.problem


def _expect_equal(subject: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise ContractDeparture(f"{subject} is {actual!r}; expected {expected!r}")


def _expect_accepted(kiosk: ConformanceKiosk, reply: LedgerReply, through: int) -> BatchReply:
    """Returns the acceptance, whose head and receipt must be the right ones."""
    accepted = _expect_status(reply, 200).message(BatchReply)
    _expect_equal("accepted_through", accepted.accepted_through, through)
    _expect_equal("head", accepted.head, kiosk.hashes()[through].hex())
    covered = receipt.check(accepted.receipt, bytes.fromhex(kiosk.identity.server_key))
    _expect_equal("the receipt's head", covered, chain.Head(through, kiosk.hashes()[through]))
    _expect_equal("the receipt's epoch", (accepted.receipt.device, accepted.receipt.epoch), (kiosk.device, kiosk.epoch))
    wire.read_time(accepted.time)
    return accepted


def _events(kiosk: ConformanceKiosk, count: int, note: str = "") -> list[bytes]:
    return [
        encode(Entry(
            school=kiosk.identity.school, at="2026-11-20T04:40:00.000Z", boot="conformance", mono_ms=number,
            clock=ClockQuality.SYNCHRONISED, note=note or f"conformance {number}",
        ))
        for number in range(count)
    ]  # fmt: skip


def _enrolling_again_gives_the_same_identity(kiosk: ConformanceKiosk, code: str) -> str:
    again = _expect_status(request_identity(kiosk.connection, code, kiosk.key, kiosk.now_s), 200, 201).message(
        wire.RegistrationReply
    )
    _expect_equal("the device", again.device, kiosk.device)
    return "the answer may be lost"


def _a_code_serves_one_key(kiosk: ConformanceKiosk, code: str) -> str:
    second_key = Ed25519PrivateKey.generate()
    _expect_problem(request_identity(kiosk.connection, code, second_key, kiosk.now_s), 403, ProblemType.CODE_REFUSED)
    return "403"


def _unsigned_and_foreign_requests_are_refused(kiosk: ConformanceKiosk, _: str) -> str:
    request = kiosk.sign("GET", wire.cursor_path(kiosk.device))
    bare = kiosk.connection.send(replace(request, headers={}))
    foreign = sign_request(
        Ed25519PrivateKey.generate(), kiosk.device, kiosk.now_s, "GET", wire.cursor_path(kiosk.device)
    )
    for reply in (bare, kiosk.connection.send(foreign)):
        assert reply is not None
        _expect_problem(reply, 401, ProblemType.UNAUTHORISED)
    body = kiosk.compose(1, 3)
    request = kiosk.sign("POST", wire.batches_path(kiosk.device, kiosk.epoch), body, kind=wire.NDJSON)
    altered = kiosk.connection.send(replace(request, body=body.replace(b"conformance 0", b"conformance 9")))
    assert altered is not None
    _expect_problem(altered, 401, ProblemType.UNAUTHORISED)
    return "401, for altered bodies too"


def _a_new_device_has_no_epoch(kiosk: ConformanceKiosk, _: str) -> str:
    cursor = _expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor)
    _expect_equal("epoch", cursor.epoch, "")
    return "the cursor is empty"


def _an_epoch_begins_at_one(kiosk: ConformanceKiosk, _: str) -> str:
    _expect_problem(kiosk.send_events(5, 8), 409, ProblemType.EPOCH_UNKNOWN)
    return "epoch-unknown"


def _a_batch_is_stored_and_receipted(kiosk: ConformanceKiosk, _: str) -> str:
    _expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    return "receipt good"


def _sending_again_is_harmless(kiosk: ConformanceKiosk, _: str) -> str:
    again = _expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    _expect_equal("duplicates", again.duplicates, 10)
    return "10 duplicates"


def _other_cuts_are_harmless(kiosk: ConformanceKiosk, _: str) -> str:
    middle = _expect_accepted(kiosk, kiosk.send_events(4, 7), 7)
    _expect_equal("duplicates", middle.duplicates, 4)
    overlap = _expect_accepted(kiosk, kiosk.send_events(8, 14), 14)
    _expect_equal("duplicates", overlap.duplicates, 3)
    return "dedupe is by event"


def _a_lost_reply_loses_nothing(kiosk: ConformanceKiosk, _: str) -> str:
    body = batch.Compressor()(kiosk.compose(15, 16))
    path = wire.batches_path(kiosk.device, kiosk.epoch)
    kiosk.connection.send(kiosk.sign("POST", path, body, encoding="zstd", kind=wire.NDJSON), hang_up=True)
    reply = _expect_accepted(kiosk, kiosk.send_events(15, 16), 16)
    return f"sent again, {reply.duplicates} were there"


def _a_gap_names_what_is_missing(kiosk: ConformanceKiosk, _: str) -> str:
    problem = _expect_problem(kiosk.send_events(18, 20), 409, ProblemType.GAP)
    _expect_equal("expected_seq", problem.expected_seq, 17)
    return "expected_seq 17"


def _a_fork_names_where_it_parts(kiosk: ConformanceKiosk, _: str) -> str:
    before = list(kiosk.payloads)
    ours = kiosk.hashes()[12]
    kiosk.payloads[11] = _events(kiosk, 1, "another past")[0]
    problem = _expect_problem(kiosk.send_events(9, 18), 409, ProblemType.FORK)
    _expect_equal(
        "seq, stored, received",
        (problem.seq, problem.stored, problem.received),
        (12, ours.hex(), kiosk.hashes()[12].hex()),
    )
    kiosk.payloads = before
    _expect_accepted(kiosk, kiosk.send_events(17, 18), 18)
    return "seq 12, both hashes; the true chain goes on"


def _the_cursor_is_where_the_chain_is(kiosk: ConformanceKiosk, _: str) -> str:
    cursor = _expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor)
    _expect_equal(
        "cursor", (cursor.epoch, cursor.accepted_through, cursor.head), (kiosk.epoch, 18, kiosk.hashes()[18].hex())
    )
    if cursor.receipt is None:
        raise ContractDeparture("a cursor with an epoch and no receipt")
    receipt.check(cursor.receipt, bytes.fromhex(kiosk.identity.server_key))
    return "with a receipt"


def _what_cannot_be_read_is_kept_and_named(kiosk: ConformanceKiosk, _: str) -> str:
    kiosk.payloads[18:] = [
        b"\xff\xfe no JSON",
        b'{"kind":"from-the-future","school":"x"}',
        *_events(kiosk, 3, "behind"),
    ]
    reply = _expect_accepted(kiosk, kiosk.send_events(19, 23), 23)
    _expect_equal("quarantined", [odd.seq for odd in reply.quarantined], [19, 20])
    again = _expect_accepted(kiosk, kiosk.send_events(19, 23), 23)
    _expect_equal("quarantined, asked again", [odd.seq for odd in again.quarantined], [19, 20])
    return "acknowledged, and the ones behind go on"


def _codings(kiosk: ConformanceKiosk, _: str) -> str:
    _expect_accepted(kiosk, kiosk.send_body(gzip.compress(kiosk.compose(1, 5)), "gzip"), 5)
    _expect_accepted(kiosk, kiosk.send_body(kiosk.compose(1, 5)), 5)
    _expect_problem(kiosk.send_body(b"x", "br"), 415, ProblemType.ENCODING)
    return "zstd, gzip, none; 415 for others"


def _limits(kiosk: ConformanceKiosk, _: str) -> str:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    _expect_problem(kiosk.send_body(bomb, "zstd"), 413, ProblemType.TOO_LARGE)
    _expect_problem(kiosk.send_body(bytes(3 * 1024 * 1024)), 413, ProblemType.TOO_LARGE)
    before = list(kiosk.payloads)
    kiosk.payloads += _events(kiosk, 1_000)
    _expect_accepted(kiosk, kiosk.send_events(len(before) + 1, len(before) + 1_000), len(before) + 1_000)
    return "413 for 64 MiB in a small frame; 1,000 events taken"


def _framing_faults_store_nothing(kiosk: ConformanceKiosk, _: str) -> str:
    last = len(kiosk.payloads)
    kiosk.payloads += _events(kiosk, 2)
    body = kiosk.compose(last + 1, last + 2)
    for broken in (b"", b"\n", b"no header\n", body[:-1], body.split(b"\n", 1)[1]):
        if broken:
            _expect_problem(kiosk.send_body(broken), 400, ProblemType.MALFORMED)
    _expect_problem(kiosk.send_body(b"no zstd at all", "zstd"), 400, ProblemType.MALFORMED)
    head = kiosk.hashes()[last + 2].hex().encode()
    _expect_problem(kiosk.send_body(body.replace(head, head[::-1])), 422, ProblemType.MALFORMED)
    _expect_accepted(kiosk, kiosk.send_events(last + 1, last + 2), last + 2)
    return "400, 422"


def _a_new_epoch_supersedes_the_old(kiosk: ConformanceKiosk, _: str) -> str:
    parent = replace(kiosk, payloads=list(kiosk.payloads))
    lost = kiosk.payloads[-1]
    last = len(kiosk.payloads)
    old_hash = kiosk.hashes()[last].hex()
    school = kiosk.identity.school
    carried = Carried(
        school=school, at="2026-11-20T05:00:00.000Z", boot="conformance", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        old_epoch=kiosk.epoch, old_seq=last, old_hash=old_hash, payload=lost.decode(),
    )  # fmt: skip
    kiosk.begin_epoch(bytes(kiosk.hashes()[last]), [encode(carried), *_events(kiosk, 2)])
    _expect_accepted(kiosk, kiosk.send_events(1, 3), 3)
    _expect_problem(parent.send_events(last, last), 409, ProblemType.EPOCH_SUPERSEDED)
    return "its parent named, events carried over"


def _a_tombstone_carries_the_chain_on(kiosk: ConformanceKiosk, _: str) -> str:
    first = len(kiosk.payloads) + 1
    kiosk.payloads += _events(kiosk, 3)
    hashes = kiosk.hashes()
    tombstone = batch.tombstone_line(batch.Tombstone(hash=hashes[first + 1].hex(), reason="400", seq=first + 1))
    lines = [kiosk.payloads[first - 1], tombstone, kiosk.payloads[first + 1]]
    header = batch.BatchHeader(
        first_seq=first, count=3, prev=hashes[first - 1].hex(), head=hashes[first + 2].hex(), tombstones=(first + 1,)
    )  # fmt: skip
    reply = _expect_accepted(kiosk, kiosk.send_body(batch.encode(header, lines)), first + 2)
    _expect_equal("quarantined", [odd.seq for odd in reply.quarantined], [first + 1])
    return "listed as quarantined"


def _heartbeats_are_heard(kiosk: ConformanceKiosk, _: str) -> str:
    head = chain.Head(len(kiosk.payloads), kiosk.hashes()[-1])
    beat = wire.Heartbeat(
        epoch=kiosk.epoch, head=wire.HeadText.from_head(head), acknowledged=head.seq, queue=0, agent="conformance",
        roster=0, boot="conformance", instance="conformance", at="2026-11-20T05:00:00.000Z",
        clock=ClockQuality.SYNCHRONISED,
    )  # fmt: skip
    reply = _expect_status(kiosk.send("POST", wire.heartbeats_path(kiosk.device), wire.to_json(beat)), 200)
    return f"newest roster {reply.message(wire.HeartbeatReply).roster}"


def _the_roster_comes_in_pages_of_one_version(kiosk: ConformanceKiosk, _: str) -> str:
    pages = list(_pages(kiosk))
    _expect_equal("versions", len({page.version for page in pages}), 1)
    _expect_equal("whole", {page.whole for page in pages}, {True})
    names = [
        (roster.record_type(c), c.id) for page in pages for c in page.changes if not isinstance(c, roster.DeletedRecord)
    ]
    _expect_equal("records named twice", len(names) - len(set(names)), 0)
    path = wire.roster_path(kiosk.identity.school)
    _expect_problem(kiosk.send("GET", path, query=wire.roster_query(0, "no-cursor")), 410, ProblemType.ROSTER_RESTART)
    _expect_problem(
        kiosk.send("GET", wire.roster_path("another-school"), query=wire.roster_query(0)), 404, ProblemType.NOT_FOUND
    )  # fmt: skip
    return f"{len(names)} records in {len(pages)} pages"


def _pages(kiosk: ConformanceKiosk) -> Iterator[roster.RosterPage]:
    cursor = ""
    for _ in range(1_000):
        query = wire.roster_query(0, cursor)
        reply = _expect_status(kiosk.send("GET", wire.roster_path(kiosk.identity.school), query=query), 200)
        page = reply.message(roster.RosterPage)
        yield page
        if not page.more:
            return
        cursor = page.cursor
    raise ContractDeparture("more than 1,000 pages")


def _the_contract_is_published(kiosk: ConformanceKiosk, _: str) -> str:
    reply = kiosk.connection.send(sign_request(kiosk.key, kiosk.device, kiosk.now_s, "GET", "/openapi.json"))
    assert reply is not None
    document = json.loads(_expect_status(reply, 200).body)
    if not str(document.get("openapi", "")).startswith("3.1"):
        raise ContractDeparture(f"OpenAPI {document.get('openapi')!r}; expected 3.1")
    return f"{len(document['paths'])} paths"


def _a_stop_is_an_event_like_any(kiosk: ConformanceKiosk, _: str) -> str:
    kiosk.payloads.append(encode(Stop(
        school=kiosk.identity.school, at="2026-11-20T06:00:00.000Z", boot="conformance", mono_ms=9,
        clock=ClockQuality.UNSYNCHRONISED,
    )))  # fmt: skip
    last = len(kiosk.payloads)
    reply = _expect_accepted(kiosk, kiosk.send_events(last, last), last)
    _expect_equal("quarantined", reply.quarantined, ())
    return "and an unsynchronised clock no reason to refuse"


_CHECKS: tuple[Check, ...] = (
    _enrolling_again_gives_the_same_identity,
    _a_code_serves_one_key,
    _unsigned_and_foreign_requests_are_refused,
    _a_new_device_has_no_epoch,
    _an_epoch_begins_at_one,
    _a_batch_is_stored_and_receipted,
    _sending_again_is_harmless,
    _other_cuts_are_harmless,
    _a_lost_reply_loses_nothing,
    _a_gap_names_what_is_missing,
    _a_fork_names_where_it_parts,
    _the_cursor_is_where_the_chain_is,
    _what_cannot_be_read_is_kept_and_named,
    _codings,
    _limits,
    _framing_faults_store_nothing,
    _a_new_epoch_supersedes_the_old,
    _a_tombstone_carries_the_chain_on,
    _a_stop_is_an_event_like_any,
    _heartbeats_are_heard,
    _the_roster_comes_in_pages_of_one_version,
    _the_contract_is_published,
)
