"""Rules about batches: each event once and in order, whatever is in it, and no more than can be borne."""

import gzip

import zstandard

from sync.contract import batch, chain, receipt, wire
from sync.contract.event import ClockQuality, Stop, encode
from sync.contract.wire import Cursor, ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk
from sync.ledger.checking.rules import (
    ContractDeparture,
    compose_entries,
    expect_accepted,
    expect_equal,
    expect_problem,
    expect_status,
    ledger_rule,
    list_odd,
)

_MANY = 1_000
_DEPTH = 4_000  # of nested lists: more than the stack of most readers holds


@ledger_rule(
    "A ledger must not open an epoch in its middle.",
    "answer 409 epoch-unknown to a batch of a new epoch that does not begin with event 1 behind its genesis.",
)
def an_epoch_begins_at_one(kiosk: ConformanceKiosk) -> str:
    expect_problem(kiosk.send_events(5, 8), 409, ProblemType.EPOCH_UNKNOWN)
    return "epoch-unknown"


@ledger_rule(
    "A ledger must give a receipt: its signature over device, epoch, last number and that event's hash.",
    "sign the receipt's byte layout by the key that registration names as server_key.",
)
def a_batch_is_receipted(kiosk: ConformanceKiosk) -> str:
    accepted = expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    covered = receipt.check(accepted.receipt, bytes.fromhex(kiosk.identity.server_key))
    expect_equal("the receipt's head", covered, chain.Head(10, kiosk.hashes()[10]))
    expect_equal("the receipt's epoch", (accepted.receipt.device, accepted.receipt.epoch), (kiosk.device, kiosk.epoch))
    wire.read_time(accepted.time)
    return "receipt good"


@ledger_rule(
    "A ledger must take a batch that comes again as if it had come once, also where its first answer was lost.",
    "count what is stored already in `duplicates`, and answer 200 with the same head.",
)
def sending_again_is_harmless(kiosk: ConformanceKiosk) -> str:
    body = batch.Compressor()(kiosk.compose(1, 10))
    path = wire.batches_path(kiosk.device, kiosk.epoch)
    kiosk.connection.send(kiosk.sign("POST", path, body, encoding="zstd", kind=wire.NDJSON), hang_up=True)
    lost = expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    again = expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    expect_equal("duplicates", again.duplicates, 10)
    return f"a lost answer: {lost.duplicates} of 10 were there"


@ledger_rule(
    "A ledger must take its events in other cuts, and speak in its answer of the batch that was sent only.",
    "find duplicates event by event; accepted_through and head are those of the batch's last line.",
)
def other_cuts_are_harmless(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 10), 10)
    middle = expect_accepted(kiosk, kiosk.send_events(4, 7), 7)
    expect_equal("duplicates", middle.duplicates, 4)
    overlap = expect_accepted(kiosk, kiosk.send_events(8, 14), 14)
    expect_equal("duplicates", overlap.duplicates, 3)
    return "dedupe is by event"


@ledger_rule(
    "A ledger must store no event behind a gap, and must say which event it expects.",
    "answer 409 gap with the number behind the last stored event as expected_seq.",
)
def a_gap_names_what_is_missing(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 6), 6)
    problem = expect_problem(kiosk.send_events(8, 10), 409, ProblemType.GAP)
    expect_equal("expected_seq", problem.expected_seq, 7)
    return "expected_seq 7"


@ledger_rule(
    "A ledger must refuse another event under a number that is taken, name where the chains part, and go on.",
    "answer 409 fork with the first number that differs, and both hashes; leave the stored chain as it is.",
)
def a_fork_names_where_it_parts(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 14), 14)
    before, stored = list(kiosk.payloads), kiosk.hashes()[12].hex()
    kiosk.payloads[11] = compose_entries(kiosk, 1, "another past")[0]
    problem = expect_problem(kiosk.send_events(9, 16), 409, ProblemType.FORK)
    expected = (12, stored, kiosk.hashes()[12].hex())
    expect_equal("seq, stored, received", (problem.seq, problem.stored, problem.received), expected)
    kiosk.payloads = before
    expect_accepted(kiosk, kiosk.send_events(15, 16), 16)
    return "seq 12, both hashes; the true chain goes on"


@ledger_rule(
    "A ledger must say in the cursor where it stands with a device.",
    "answer with epoch, number and hash of the last stored event of the current epoch.",
)
def the_cursor_is_where_the_chain_is(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 6), 6)
    cursor = expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor)
    expected = (kiosk.epoch, 6, kiosk.hashes()[6].hex())
    expect_equal("cursor", (cursor.epoch, cursor.accepted_through, cursor.head), expected)
    return "epoch, number, hash"


@ledger_rule(
    "A ledger must sign for its cursor: one that was restored states in writing that it is behind.",
    "add a receipt to every cursor that names an epoch.",
)
def the_cursor_has_a_receipt(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 6), 6)
    cursor = expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor)
    if cursor.receipt is None:
        raise ContractDeparture("receipt of the cursor: expected one, came none")
    receipt.check(cursor.receipt, bytes.fromhex(kiosk.identity.server_key))
    return "receipt good"


@ledger_rule(
    "A ledger must store a line that it cannot read, name it as quarantined, and take the events behind it.",
    "treat a line as opaque; list what cannot be read in `quarantined`, also when the batch comes again.",
)
def what_cannot_be_read_is_stored_and_named(kiosk: ConformanceKiosk) -> str:
    kiosk.payloads[2:4] = [b"\xff\xfe no JSON", b'{"kind":"from-the-future","school":"x"}']
    for attempt in ("quarantined", "quarantined, asked again"):
        expect_equal(attempt, list_odd(expect_accepted(kiosk, kiosk.send_events(1, 6), 6)), [3, 4])
    return "acknowledged, and the ones behind go on"


@ledger_rule(
    "A ledger must survive every byte: deep nesting, other scripts' digits, impossible days, zero bytes, empty lines.",
    "let no reader's error reach the answer: store the line, quarantine it, acknowledge it.",
)
def every_byte_is_stored(kiosk: ConformanceKiosk) -> str:
    good = kiosk.payloads[0]
    kiosk.payloads[1:] = [
        b"[" * _DEPTH + b"]" * _DEPTH,
        good[:-1] + b',"more":' + b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH + b"}",
        good.replace(b"2026-11-20T04", "٢٠٢٦-١١-٢٠T٠٤".encode()),
        good.replace(b"2026-11-20T04", b"2026-02-31T25"),
        good.replace(b'"mono_ms":0', b'"mono_ms":' + b"9" * 400),
        good.replace(b"conformance 0", b"\\ud800 \\u0000"),
        good.replace(b"conformance 0", b"\xff\xfe"),
        b"",
        b"null",
        bytes(100),
        b"\xef\xbb\xbf" + good + good,
        good,
    ]
    last = len(kiosk.payloads)
    expect_accepted(kiosk, kiosk.send_events(1, last), last)
    return f"{last - 2} odd lines, and the one behind them"


@ledger_rule(
    "A ledger must read bodies by zstd, by gzip, and uncompressed.",
    "decompress by Content-Encoding zstd and gzip (RFC 9659: windows up to 8 MiB).",
)
def codings_are_understood(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 5), 5)
    expect_accepted(kiosk, kiosk.send_body(gzip.compress(kiosk.compose(1, 5)), "gzip"), 5)
    expect_accepted(kiosk, kiosk.send_body(kiosk.compose(1, 5)), 5)
    return "zstd, gzip, none"


@ledger_rule(
    "A ledger must name a coding that it does not know, so that the kiosk takes another one.",
    "answer 415 encoding.",
)
def an_unknown_coding_is_named(kiosk: ConformanceKiosk) -> str:
    expect_problem(kiosk.send_body(b"x", "br"), 415, ProblemType.ENCODING)
    return "415"


@ledger_rule(
    "A ledger must refuse more than 1 MiB, without making more than that out of a small frame.",
    "stop reading and decompressing at the limit, and answer 413 too-large.",
)
def too_many_bytes_are_refused(kiosk: ConformanceKiosk) -> str:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    expect_problem(kiosk.send_body(bomb, "zstd"), 413, ProblemType.TOO_LARGE)
    expect_problem(kiosk.send_body(bytes(3 * 1024 * 1024)), 413, ProblemType.TOO_LARGE)
    return "413, for 64 MiB in a small frame, too"


@ledger_rule(
    "A ledger must take a full batch.",
    f"take {batch.EVENTS_MAX} events and {batch.BODY_BYTES_MAX} bytes before compression at once.",
)
def a_thousand_events_are_taken(kiosk: ConformanceKiosk) -> str:
    kiosk.payloads = compose_entries(kiosk, _MANY)
    expect_accepted(kiosk, kiosk.send_events(1, _MANY), _MANY)
    return f"{_MANY} events"


@ledger_rule(
    "A ledger must store nothing of a body that is no batch.",
    "answer 400 malformed before anything is stored: header line, count, and a newline behind each line.",
)
def framing_faults_store_nothing(kiosk: ConformanceKiosk) -> str:
    body = kiosk.compose(1, 2)
    for broken in (b"\n", b"no header\n", body[:-1], body.split(b"\n", 1)[1]):
        expect_problem(kiosk.send_body(broken), 400, ProblemType.MALFORMED)
    expect_problem(kiosk.send_body(b"no zstd at all", "zstd"), 400, ProblemType.MALFORMED)
    expect_equal("duplicates", expect_accepted(kiosk, kiosk.send_events(1, 2), 2).duplicates, 0)
    return "400"


@ledger_rule(
    "A ledger must refuse a batch whose lines do not lead from `prev` to `head`: bytes have rotted on the way.",
    "walk the chain of the batch first, and answer 422 malformed where it does not hold.",
)
def a_batch_that_contradicts_itself_is_told(kiosk: ConformanceKiosk) -> str:
    head = kiosk.hashes()[2].hex().encode()
    broken = kiosk.compose(1, 2).replace(head, head[::-1])
    expect_problem(kiosk.send_body(broken), 422, ProblemType.MALFORMED)
    return "422"


@ledger_rule(
    "A ledger must take a stop, and an event of an unsynchronised clock, like any other.",
    "quarantine no event for its kind or its clock.",
)
def a_stop_is_an_event_like_any(kiosk: ConformanceKiosk) -> str:
    stop = Stop(
        school=kiosk.identity.school, at="2026-11-20T06:00:00.000Z", boot="conformance", mono_ms=9,
        clock=ClockQuality.UNSYNCHRONISED,
    )  # fmt: skip
    kiosk.payloads = [*kiosk.payloads[:2], encode(stop)]
    expect_equal("quarantined", list_odd(expect_accepted(kiosk, kiosk.send_events(1, 3), 3)), [])
    return "and an unsynchronised clock no reason to refuse"


BATCH_RULES = (
    an_epoch_begins_at_one,
    a_batch_is_receipted,
    sending_again_is_harmless,
    other_cuts_are_harmless,
    a_gap_names_what_is_missing,
    a_fork_names_where_it_parts,
    the_cursor_is_where_the_chain_is,
    the_cursor_has_a_receipt,
    what_cannot_be_read_is_stored_and_named,
    every_byte_is_stored,
    codings_are_understood,
    an_unknown_coding_is_named,
    too_many_bytes_are_refused,
    a_thousand_events_are_taken,
    framing_faults_store_nothing,
    a_batch_that_contradicts_itself_is_told,
    a_stop_is_an_event_like_any,
)
