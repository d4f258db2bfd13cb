"""Anyone's ledger against the contract: what a kiosk relies on, tried as a kiosk of a test school.

Each check is a function that returns what it saw, or raises `Departure`. They run in order on one device; a check that
needs a clean chain begins an epoch of its own. The test school keeps the events: a ledger forgets nothing.
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
from sync.ledger.probe import Line, Probe, Reply, ask_identity, signed


class Departure(Exception):
    """The ledger does something else than the contract says."""


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    ok: bool
    detail: str


def check_ledger(url: str, code: str, authority: Path | None = None) -> tuple[Result, ...]:
    """Every check; without an identity only the first. Raises Unreachable when the ledger is not there at all."""
    line, now_s = Line(url, authority), int(time.time())
    key = Ed25519PrivateKey.generate()
    first = ask_identity(line, code, key, now_s)
    if first.status not in (200, 201):
        return (Result("enrolment", False, _seen(first)),)
    probe = Probe(line, first.message(wire.RegistrationReply), key, now_s)
    probe.payloads = _events(probe, 20)
    results = [Result("enrolment", True, f"{probe.device} of {probe.identity.school}")]
    results += [_run(check, probe, code) for check in _CHECKS]
    return tuple(results)


def _run(check: "Check", probe: Probe, code: str) -> Result:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return Result(name, True, check(probe, code))
    except (Departure, SyncError, wire.InvalidMessage, receipt.ForgedReceipt) as error:
        return Result(name, False, str(error) or type(error).__name__)


Check = Callable[[Probe, str], str]


def _seen(reply: Reply) -> str:
    return f"status {reply.status}, {reply.body[:200].decode('utf-8', 'replace')}"


def _want(reply: Reply, *statuses: int) -> Reply:
    if reply.status not in statuses:
        raise Departure(f"{_seen(reply)}; expected {' or '.join(map(str, statuses))}")
    return reply


def _problem(reply: Reply, status: int, kind: ProblemType) -> wire.ProblemDocument:
    _want(reply, status)
    if not reply.headers.get("content-type", "").startswith(wire.PROBLEM_JSON):
        raise Departure(f"a problem of type {reply.headers.get('content-type')!r}; expected {wire.PROBLEM_JSON}")
    if reply.problem.type != kind:
        raise Departure(f"problem {reply.problem.type}; expected {kind}")
    return reply.problem


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Departure(f"{what} is {found!r}; expected {expected!r}")


def _accepted(probe: Probe, reply: Reply, through: int) -> BatchReply:
    """A yes whose head and receipt are the right ones."""
    answer = _want(reply, 200).message(BatchReply)
    _same("accepted_through", answer.accepted_through, through)
    _same("head", answer.head, probe.hashes()[through].hex())
    covered = receipt.check(answer.receipt, bytes.fromhex(probe.identity.server_key))
    _same("the receipt's head", covered, chain.Head(through, probe.hashes()[through]))
    _same("the receipt's epoch", (answer.receipt.device, answer.receipt.epoch), (probe.device, probe.epoch))
    wire.read_time(answer.time)
    return answer


def _events(probe: Probe, count: int, note: str = "") -> list[bytes]:
    return [
        encode(Entry(
            school=probe.identity.school, at="2026-11-20T04:40:00.000Z", boot="conformance", mono_ms=number,
            clock=ClockQuality.SYNCHRONISED, note=note or f"conformance {number}",
        ))
        for number in range(count)
    ]  # fmt: skip


def _enrolling_again_gives_the_same_identity(probe: Probe, code: str) -> str:
    again = _want(ask_identity(probe.line, code, probe.key, probe.now_s), 200, 201).message(wire.RegistrationReply)
    _same("the device", again.device, probe.device)
    return "the answer may be lost"


def _a_code_serves_one_key(probe: Probe, code: str) -> str:
    other = Ed25519PrivateKey.generate()
    _problem(ask_identity(probe.line, code, other, probe.now_s), 403, ProblemType.CODE_REFUSED)
    return "403"


def _unsigned_and_foreign_requests_are_refused(probe: Probe, _: str) -> str:
    request = probe.request("GET", wire.cursor_path(probe.device))
    bare = probe.line.send(replace(request, headers={}))
    foreign = signed(Ed25519PrivateKey.generate(), probe.device, probe.now_s, "GET", wire.cursor_path(probe.device))
    for reply in (bare, probe.line.send(foreign)):
        assert reply is not None
        _problem(reply, 401, ProblemType.UNAUTHORISED)
    body = probe.body(1, 3)
    request = probe.request("POST", wire.batches_path(probe.device, probe.epoch), body, kind=wire.NDJSON)
    altered = probe.line.send(replace(request, body=body.replace(b"conformance 0", b"conformance 9")))
    assert altered is not None
    _problem(altered, 401, ProblemType.UNAUTHORISED)
    return "401, for altered bodies too"


def _a_new_device_has_no_epoch(probe: Probe, _: str) -> str:
    cursor = _want(probe.ask("GET", wire.cursor_path(probe.device)), 200).message(Cursor)
    _same("epoch", cursor.epoch, "")
    return "the cursor is empty"


def _an_epoch_begins_at_one(probe: Probe, _: str) -> str:
    _problem(probe.send(5, 8), 409, ProblemType.EPOCH_UNKNOWN)
    return "epoch-unknown"


def _a_batch_is_stored_and_receipted(probe: Probe, _: str) -> str:
    _accepted(probe, probe.send(1, 10), 10)
    return "receipt good"


def _sending_again_is_harmless(probe: Probe, _: str) -> str:
    again = _accepted(probe, probe.send(1, 10), 10)
    _same("duplicates", again.duplicates, 10)
    return "10 duplicates"


def _other_cuts_are_harmless(probe: Probe, _: str) -> str:
    middle = _accepted(probe, probe.send(4, 7), 7)
    _same("duplicates", middle.duplicates, 4)
    overlap = _accepted(probe, probe.send(8, 14), 14)
    _same("duplicates", overlap.duplicates, 3)
    return "dedupe is by event"


def _a_lost_reply_loses_nothing(probe: Probe, _: str) -> str:
    body = batch.Compressor()(probe.body(15, 16))
    path = wire.batches_path(probe.device, probe.epoch)
    probe.line.send(probe.request("POST", path, body, encoding="zstd", kind=wire.NDJSON), hang_up=True)
    answer = _accepted(probe, probe.send(15, 16), 16)
    return f"sent again, {answer.duplicates} were there"


def _a_gap_names_what_is_missing(probe: Probe, _: str) -> str:
    problem = _problem(probe.send(18, 20), 409, ProblemType.GAP)
    _same("expected_seq", problem.expected_seq, 17)
    return "expected_seq 17"


def _a_fork_names_where_it_parts(probe: Probe, _: str) -> str:
    kept = list(probe.payloads)
    ours = probe.hashes()[12]
    probe.payloads[11] = _events(probe, 1, "another past")[0]
    problem = _problem(probe.send(9, 18), 409, ProblemType.FORK)
    _same(
        "seq, stored, received",
        (problem.seq, problem.stored, problem.received),
        (12, ours.hex(), probe.hashes()[12].hex()),
    )
    probe.payloads = kept
    _accepted(probe, probe.send(17, 18), 18)
    return "seq 12, both hashes; the true chain goes on"


def _the_cursor_is_where_the_chain_is(probe: Probe, _: str) -> str:
    cursor = _want(probe.ask("GET", wire.cursor_path(probe.device)), 200).message(Cursor)
    _same("cursor", (cursor.epoch, cursor.accepted_through, cursor.head), (probe.epoch, 18, probe.hashes()[18].hex()))
    if cursor.receipt is None:
        raise Departure("a cursor with an epoch and no receipt")
    receipt.check(cursor.receipt, bytes.fromhex(probe.identity.server_key))
    return "with a receipt"


def _what_cannot_be_read_is_kept_and_named(probe: Probe, _: str) -> str:
    probe.payloads[18:] = [
        b"\xff\xfe no JSON",
        b'{"kind":"from-the-future","school":"x"}',
        *_events(probe, 3, "behind"),
    ]
    answer = _accepted(probe, probe.send(19, 23), 23)
    _same("quarantined", [each.seq for each in answer.quarantined], [19, 20])
    again = _accepted(probe, probe.send(19, 23), 23)
    _same("quarantined, asked again", [each.seq for each in again.quarantined], [19, 20])
    return "acknowledged, and the ones behind go on"


def _codings(probe: Probe, _: str) -> str:
    _accepted(probe, probe.post(gzip.compress(probe.body(1, 5)), "gzip"), 5)
    _accepted(probe, probe.post(probe.body(1, 5)), 5)
    _problem(probe.post(b"x", "br"), 415, ProblemType.ENCODING)
    return "zstd, gzip, none; 415 for others"


def _limits(probe: Probe, _: str) -> str:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    _problem(probe.post(bomb, "zstd"), 413, ProblemType.TOO_LARGE)
    _problem(probe.post(bytes(3 * 1024 * 1024)), 413, ProblemType.TOO_LARGE)
    kept = list(probe.payloads)
    probe.payloads += _events(probe, 1_000)
    _accepted(probe, probe.send(len(kept) + 1, len(kept) + 1_000), len(kept) + 1_000)
    return "413 for 64 MiB in a small frame; 1,000 events taken"


def _framing_faults_store_nothing(probe: Probe, _: str) -> str:
    last = len(probe.payloads)
    probe.payloads += _events(probe, 2)
    body = probe.body(last + 1, last + 2)
    for broken in (b"", b"\n", b"no header\n", body[:-1], body.split(b"\n", 1)[1]):
        if broken:
            _problem(probe.post(broken), 400, ProblemType.MALFORMED)
    _problem(probe.post(b"no zstd at all", "zstd"), 400, ProblemType.MALFORMED)
    head = probe.hashes()[last + 2].hex().encode()
    _problem(probe.post(body.replace(head, head[::-1])), 422, ProblemType.MALFORMED)
    _accepted(probe, probe.send(last + 1, last + 2), last + 2)
    return "400, 422"


def _a_new_epoch_supersedes_the_old(probe: Probe, _: str) -> str:
    parent = replace(probe, payloads=list(probe.payloads))
    lost = probe.payloads[-1]
    last = len(probe.payloads)
    old_hash = probe.hashes()[last].hex()
    school = probe.identity.school
    carried = Carried(
        school=school, at="2026-11-20T05:00:00.000Z", boot="conformance", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        old_epoch=probe.epoch, old_seq=last, old_hash=old_hash, payload=lost.decode(),
    )  # fmt: skip
    probe.begin_epoch(bytes(probe.hashes()[last]), [encode(carried), *_events(probe, 2)])
    _accepted(probe, probe.send(1, 3), 3)
    _problem(parent.send(last, last), 409, ProblemType.EPOCH_SUPERSEDED)
    return "its parent named, events carried over"


def _a_tombstone_carries_the_chain_on(probe: Probe, _: str) -> str:
    first = len(probe.payloads) + 1
    probe.payloads += _events(probe, 3)
    hashes = probe.hashes()
    stone = batch.tombstone_line(batch.Tombstone(hash=hashes[first + 1].hex(), reason="400", seq=first + 1))
    lines = [probe.payloads[first - 1], stone, probe.payloads[first + 1]]
    header = batch.BatchHeader(
        first_seq=first, count=3, prev=hashes[first - 1].hex(), head=hashes[first + 2].hex(), tombstones=(first + 1,)
    )  # fmt: skip
    answer = _accepted(probe, probe.post(batch.encode(header, lines)), first + 2)
    _same("quarantined", [each.seq for each in answer.quarantined], [first + 1])
    return "listed as quarantined"


def _heartbeats_are_heard(probe: Probe, _: str) -> str:
    head = chain.Head(len(probe.payloads), probe.hashes()[-1])
    beat = wire.Heartbeat(
        epoch=probe.epoch, head=wire.HeadText.from_head(head), acknowledged=head.seq, queue=0, agent="conformance",
        roster=0, boot="conformance", instance="conformance", at="2026-11-20T05:00:00.000Z",
        clock=ClockQuality.SYNCHRONISED,
    )  # fmt: skip
    reply = _want(probe.ask("POST", wire.heartbeats_path(probe.device), wire.to_json(beat)), 200)
    return f"newest roster {reply.message(wire.HeartbeatReply).roster}"


def _the_roster_comes_in_pages_of_one_version(probe: Probe, _: str) -> str:
    pages = list(_pages(probe))
    _same("versions", len({page.version for page in pages}), 1)
    _same("whole", {page.whole for page in pages}, {True})
    names = [
        (roster.record_type(c), c.id) for page in pages for c in page.changes if not isinstance(c, roster.DeletedRecord)
    ]
    _same("records named twice", len(names) - len(set(names)), 0)
    path = wire.roster_path(probe.identity.school)
    _problem(probe.ask("GET", path, query=wire.roster_query(0, "no-cursor")), 410, ProblemType.ROSTER_RESTART)
    _problem(
        probe.ask("GET", wire.roster_path("another-school"), query=wire.roster_query(0)), 404, ProblemType.NOT_FOUND
    )  # fmt: skip
    return f"{len(names)} records in {len(pages)} pages"


def _pages(probe: Probe) -> Iterator[roster.RosterPage]:
    cursor = ""
    for _ in range(1_000):
        query = wire.roster_query(0, cursor)
        reply = _want(probe.ask("GET", wire.roster_path(probe.identity.school), query=query), 200)
        page = reply.message(roster.RosterPage)
        yield page
        if not page.more:
            return
        cursor = page.cursor
    raise Departure("more than 1,000 pages")


def _the_contract_is_published(probe: Probe, _: str) -> str:
    reply = probe.line.send(signed(probe.key, probe.device, probe.now_s, "GET", "/openapi.json"))
    assert reply is not None
    document = json.loads(_want(reply, 200).body)
    if not str(document.get("openapi", "")).startswith("3.1"):
        raise Departure(f"OpenAPI {document.get('openapi')!r}; expected 3.1")
    return f"{len(document['paths'])} paths"


def _a_stop_is_an_event_like_any(probe: Probe, _: str) -> str:
    probe.payloads.append(encode(Stop(
        school=probe.identity.school, at="2026-11-20T06:00:00.000Z", boot="conformance", mono_ms=9,
        clock=ClockQuality.UNSYNCHRONISED,
    )))  # fmt: skip
    last = len(probe.payloads)
    answer = _accepted(probe, probe.send(last, last), last)
    _same("quarantined", answer.quarantined, ())
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
