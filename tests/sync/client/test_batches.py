"""Each answer that a ledger can give, and what the kiosk makes of it."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest

from sync.client.batches import DISPUTES_MAX
from sync.client.channel import HttpResponse, HttpTransport
from sync.client.faults import NetworkFault
from sync.client.paced import SyncOutcome
from sync.client.policy import BASE_S, CAP_S
from sync.contract import batch, chain, receipt, wire
from sync.contract.chain import Hash, Head
from sync.contract.receipt import Receipt
from sync.contract.wire import BatchReply, Cursor, ProblemDocument, ProblemType, QuarantinedEvent
from sync.errors import SyncAlarm, Unreachable, Untrusted
from tests.sync.client.bench import Bench
from tests.sync.client.disk import make_payload
from tests.sync.client.ledger import SERVER_KEY, TIME
from tests.vectors import load_scenarios


def stored(bench: Bench) -> list[bytes]:
    return [payload for _, payload in bench.ledger.list_events(bench.disk.device)]


def test_what_was_recorded_is_stored_once_and_in_order() -> None:
    bench = Bench(events=2500)
    outcomes = [step.outcome for step in bench.drain()]
    assert outcomes == [SyncOutcome.ALIGNED, *[SyncOutcome.SENT] * 3, SyncOutcome.IDLE]
    assert stored(bench) == [make_payload(number) for number in range(2500)]
    assert bench.disk.queue_depth() == 0
    assert bench.disk.receipts[-1].covers() == bench.disk.head


def test_one_select_a_batch() -> None:
    bench = Bench(events=5000)
    bench.drain()
    assert bench.disk.selects == 5 + 1  # the last one finds nothing


def test_idle_is_ended_by_a_new_event_without_a_wait() -> None:
    bench = Bench(events=1)
    assert bench.drain()[-1].due_s > 0
    bench.record(7)
    assert bench.client.step().outcome is SyncOutcome.SENT


def test_s22_a_lost_answer_is_sent_again_and_stored_once() -> None:
    expect = load_scenarios()["S22"]["expect"]
    bench = Bench(events=100)
    bench.step()
    bench.faults = [NetworkFault.LOST_REPLY]
    assert bench.step().outcome is SyncOutcome.UNREACHABLE
    assert bench.disk.queue_depth() == 100, "nothing is marked without an answer"
    bench.drain()
    assert len(stored(bench)) == expect["server_rows"]
    assert bench.disk.queue_depth() == 0
    assert expect["client_state"] == "acked"


def test_s23_one_refused_row_of_a_hundred() -> None:
    expect = load_scenarios()["S23"]["expect"]
    bench = Bench(events=100)
    bench.ledger.refuses = lambda line: line == make_payload(37)
    steps = bench.drain()
    assert len(stored(bench)) == expect["acked"]
    assert make_payload(37) not in stored(bench)
    assert list(bench.disk.quarantined.values()) == [("refused-400", True)], "the ledger's own, signed word"
    assert len(bench.disk.quarantined) == expect["quarantined"]
    assert bench.disk.current.rows[37].payload == make_payload(37), "its bytes stay here"
    assert bench.disk.queue_depth() == 0
    assert sum(step.outcome is SyncOutcome.NARROWED for step in steps) <= 12


def test_many_refused_events_do_not_stop_the_others() -> None:
    bench = Bench(events=300)
    bad = {make_payload(number) for number in (0, 1, 2, 150, 298, 299)}
    bench.ledger.refuses = lambda line: line in bad
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(300) if make_payload(number) not in bad]
    assert len(bench.disk.quarantined) == len(bad)


def test_a_ledger_that_refuses_everything_costs_no_event() -> None:
    class PostsRefused:
        def __init__(self, transport: HttpTransport) -> None:
            self.transport = transport

        def request(
            self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
        ) -> HttpResponse:
            if method == "POST":
                return HttpResponse(400, {}, b"bad request")
            return self.transport.request(method, path, query, headers, body, bytes_max)

    bench = Bench(events=50, transport=PostsRefused)
    steps = [bench.step() for _ in range(60)]
    assert SyncAlarm.REFUSED in {step.alarm for step in steps}
    assert [tombstone for _, tombstone in bench.disk.quarantined.values()] == [False], "one note, and no tombstone"
    assert bench.seconds > CAP_S, "it is tried again, and rarely"
    bench.transport = bench.ledger
    bench.restart_client()
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(50)], (
        "once the ledger is mended, every event is there"
    )


def test_an_event_with_a_newline_in_it_does_not_tear_the_batch() -> None:
    bench = Bench(events=5)
    bench.disk.append(b'{"torn":\n1}')
    bench.record(6, 7)
    bench.drain()
    assert bench.disk.quarantined == {(bench.disk.epoch, 6): ("newline", True)}
    assert stored(bench) == [make_payload(number) for number in (0, 1, 2, 3, 4, 6, 7)]


def test_rot_under_one_event_costs_that_event_alone() -> None:
    bench = Bench(events=20)
    line = bench.disk.current.rows[8]
    bench.disk.current.rows[8] = type(line)(line.seq, line.payload.replace(b"event", b"evunt"), line.hash)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(20) if number != 8]
    assert bench.disk.quarantined == {(bench.disk.epoch, 9): ("refused-422", True)}


def test_413_halves_until_it_fits() -> None:
    bench = Bench(events=1000)
    bench.ledger.events_max = 130
    outcomes = [step.outcome for step in bench.drain()]
    assert outcomes.count(SyncOutcome.NARROWED) == 3
    assert stored(bench) == [make_payload(number) for number in range(1000)]
    assert not bench.disk.quarantined


def test_a_ledger_without_zstd_gets_gzip() -> None:
    bench = Bench(events=10)
    bench.ledger.takes_zstd = False
    bench.drain()
    assert len(stored(bench)) == 10


def test_a_ledger_that_takes_the_first_half_of_everything() -> None:
    bench = Bench(events=64)
    bench.ledger.half = True
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(64)]
    assert bench.disk.queue_depth() == 0


def test_what_the_ledger_finds_odd_is_noted_and_goes_on() -> None:
    bench = Bench(events=3)

    def odd(message: msgspec.Struct) -> msgspec.Struct:
        if isinstance(message, BatchReply):
            return msgspec.structs.replace(message, quarantined=(QuarantinedEvent(2, "unknown-person", "p-1"),))
        return message

    bench.ledger.alter = odd
    bench.drain()
    assert bench.disk.quarantined == {(bench.disk.epoch, 2): ("unknown-person", False)}
    assert bench.disk.queue_depth() == 0


def test_an_old_card_image_is_noticed_at_the_start_and_nothing_is_lost() -> None:
    bench = Bench(events=50)
    bench.drain()
    image = bench.disk.make_image()
    bench.record(*range(50, 80))
    bench.drain()
    bench.disk.put_back(image)
    bench.record(100, 101)  # recorded offline, under numbers that the ledger has already
    bench.restart_client()
    steps = bench.drain()
    assert SyncAlarm.FORK in {step.alarm for step in steps}
    assert stored(bench) == [make_payload(number) for number in (*range(80), 100, 101)]
    assert len({identity for identity, _ in bench.ledger.list_events(bench.disk.device)}) == 82
    assert bench.disk.parent_head == bench.ledger.devices[bench.disk.device].epochs["0000000000000001"][-1][0]


def test_two_kiosks_with_one_identity_lose_nothing_of_either() -> None:
    bench = Bench(events=10)
    bench.drain()
    twin = Bench()
    twin.ledger, twin.disk = bench.ledger, bench.disk.make_image()
    twin.disk._epochs = 1000
    twin.transport = bench.transport
    twin.restart_client()
    bench.record(20, 21, 22)
    twin.record(30)
    for turn in range(3):
        bench.drain()
        twin.drain()
        bench.record(100 + turn)
        twin.record(200 + turn)
    twin.drain()
    bench.drain()
    texts = list(dict(bench.ledger.list_events(bench.disk.device)).values())
    recorded = {line.payload for disk in (bench.disk, twin.disk) for life in disk.journal_epochs for line in life.rows}
    assert {text for text in recorded if b"carried" not in text} <= set(texts)
    assert len(texts) == len(set(texts))
    assert bench.ledger.forks or len(bench.ledger.devices[bench.disk.device].epochs) > 1


def test_a_ledger_restored_from_a_backup_gets_again_what_it_lost() -> None:
    bench = Bench(events=30)
    bench.drain()
    backup = bench.ledger.backup()
    bench.record(*range(30, 60))
    bench.drain()
    bench.ledger.restore(backup)
    bench.record(60)
    steps = bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(61)]
    assert SyncAlarm.LEDGER_BEHIND in {step.alarm for step in steps}
    assert len(bench.disk.journal_epochs) == 1


def test_a_ledger_that_lost_everything_gets_the_epoch_from_its_first_event() -> None:
    bench = Bench()
    blank = bench.ledger.backup()
    bench.record(*range(30))
    bench.drain()
    bench.ledger.restore(blank)
    bench.record(30)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(31)]
    assert len(bench.disk.journal_epochs) == 1


def test_what_retention_removed_and_the_ledger_lost_is_a_named_hole() -> None:
    bench = Bench(events=30)
    backup = bench.ledger.backup()
    bench.drain()
    epoch = bench.disk.epoch
    bench.ledger.restore(backup)
    bench.disk.pruned_through = 20
    bench.record(30, 31)
    bench.restart_client()
    steps = bench.drain()
    assert SyncAlarm.LEDGER_BEHIND in {step.alarm for step in steps}
    assert stored(bench) == [make_payload(number) for number in range(20, 32)]
    assert bench.ledger.holes == [(epoch, 1, 20)]
    assert bench.disk.epoch == epoch


def test_a_restored_ledger_gets_the_rows_of_closed_epochs_before_the_current_one_opens() -> None:
    """Backup, 200 rows more, a new epoch, and the backup put back: nothing is missing, and nothing comes twice."""
    bench = Bench(events=125)
    bench.drain()
    backup = bench.ledger.backup()
    bench.record(*range(125, 325))
    bench.drain()
    bench.record(325)
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(*range(326, 400))
    bench.drain()
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(*range(400, 410))
    bench.drain()
    bench.ledger.restore(backup)
    bench.restart_client()
    steps = bench.drain()
    assert SyncAlarm.LEDGER_BEHIND in {step.alarm for step in steps}
    assert SyncOutcome.NEW_EPOCH not in {step.outcome for step in steps}
    assert stored(bench) == [make_payload(number) for number in range(410)]
    assert list(bench.ledger.devices[bench.disk.device].epochs) == [life.epoch for life in bench.disk.journal_epochs]


def test_a_blank_ledger_gets_every_epoch_from_its_first_event() -> None:
    bench = Bench(events=10)
    blank = bench.ledger.backup()
    bench.drain()
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(10, 11)
    bench.drain()
    bench.ledger.restore(blank)
    bench.restart_client()
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(12)]


def test_pruned_rows_of_a_closed_epoch_are_a_named_hole_in_front_of_the_next_one() -> None:
    bench = Bench(events=10)
    blank = bench.ledger.backup()
    bench.drain()
    first = bench.disk.current
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(10, 11)
    bench.drain()
    first.pruned_through = 10
    bench.ledger.restore(blank)
    bench.restart_client()
    bench.drain()
    assert stored(bench) == [make_payload(10), make_payload(11)]
    assert bench.ledger.holes == [(first.epoch, 1, 10)]


class RefusesHoles:
    """A proxy that answers the first batch with a hole by a 409 of its own."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.refusals = 1
        self.named: list[int] = []

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if method == "POST":
            sent = batch.decode(batch.decompress(body, headers.get("content-encoding", "")))
            self.named.append(len(sent.header.holes))
            if sent.header.holes and self.refusals:
                self.refusals -= 1
                return HttpResponse(409, {"content-type": "text/html"}, b"<h1>Conflict</h1>")
        return self.transport.request(method, path, query, headers, body, bytes_max)


def bench_behind_a_hole(transport: Callable[[HttpTransport], HttpTransport] | None = None) -> tuple[Bench, str]:
    """A ledger that lost everything, and a kiosk with four of ten rows of a closed epoch, and a later epoch."""
    bench = Bench(events=10, transport=transport)
    blank = bench.ledger.backup()
    bench.drain()
    first = bench.disk.current
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(10, 11)
    bench.drain()
    first.pruned_through = 6
    bench.ledger.restore(blank)
    bench.restart_client()
    return bench, first.epoch


def test_a_409_that_is_not_about_a_hole_does_not_give_up_the_rows_behind_it() -> None:
    bench, closed = bench_behind_a_hole(RefusesHoles)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(6, 12)]
    assert bench.ledger.holes == [(closed, 1, 6)]


def test_a_ledger_that_is_restored_once_more_before_a_hole_is_named_loses_nothing() -> None:
    bench, closed = bench_behind_a_hole()
    backup = bench.ledger.backup()
    bench.drain()
    bench.record(12)
    bench.restart_client()
    bench.step()
    bench.ledger.restore(backup)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(6, 13)]
    assert set(bench.ledger.holes) == {(closed, 1, 6)}


def test_a_hole_is_named_once_however_often_the_ledger_is_asked_where_it_stands() -> None:
    proxies: list[RefusesHoles] = []

    def between(transport: HttpTransport) -> HttpTransport:
        proxies.append(RefusesHoles(transport))
        proxies[0].refusals = 0
        return proxies[0]

    bench, _ = bench_behind_a_hole(between)
    for _ in range(20):  # a heartbeat shows each minute that the ledger is behind, and each answer is lost
        bench.client.realign()
        bench.step()
        bench.faults = [NetworkFault.DOWN]
        bench.step()
        bench.step()
    bench.faults = []
    bench.drain()
    assert max(proxies[0].named) == 1


def test_an_older_ledger_that_knows_no_holes_is_given_a_new_epoch() -> None:
    bench = Bench(events=30)
    bench.ledger.knows_holes = False
    backup = bench.ledger.backup()
    bench.drain()
    bench.ledger.restore(backup)
    bench.disk.pruned_through = 20
    bench.record(30, 31)
    bench.restart_client()
    steps = bench.drain()
    assert SyncAlarm.LEDGER_BEHIND in {step.alarm for step in steps}
    assert stored(bench) == [make_payload(30), make_payload(31)]


def test_a_genesis_that_the_ledger_does_not_take_is_replaced_by_a_good_one() -> None:
    bench = Bench()
    life = bench.disk.current
    life.genesis = chain.genesis(bench.disk.device, bytes(32), life.epoch)  # made with a key of long ago
    bench.record(1, 2)
    bench.drain()
    assert {payload for _, payload in bench.ledger.list_events(bench.disk.device)} == {make_payload(1), make_payload(2)}
    assert len(bench.disk.journal_epochs) == 2


def test_a_ledger_that_takes_no_epoch_is_not_given_ever_more_of_them() -> None:
    class TakesNone:
        def request(self, method: str, *_: object) -> HttpResponse:
            if method == "POST":
                return HttpResponse(
                    409, {}, wire.to_json(ProblemDocument(type=ProblemType.EPOCH_UNKNOWN.value, status=409))
                )
            return HttpResponse(200, {}, wire.to_json(Cursor(time="2026-11-22T04:40:00.000Z")))

    bench = Bench(events=1, transport=lambda _: TakesNone())
    for _ in range(100):
        bench.step()
    assert 1 < len(bench.disk.journal_epochs) <= DISPUTES_MAX
    assert bench.seconds > 20 * BASE_S, "and they are spaced"
    bench.transport = bench.ledger
    bench.restart_client()
    bench.drain()
    assert {payload for _, payload in bench.ledger.list_events(bench.disk.device)} == {make_payload(0)}


def test_a_suspended_kiosk_goes_on_recording_and_asks_rarely() -> None:
    bench = Bench(events=5)
    bench.ledger.devices[bench.disk.device].suspended = True
    step = bench.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.UNAUTHORISED)
    assert step.due_s >= CAP_S / 2
    bench.record(5)
    bench.ledger.devices[bench.disk.device].suspended = False
    bench.drain()
    assert len(stored(bench)) == 6


def test_a_certificate_fault_stops_sending_with_what_it_says() -> None:
    class NotYetValid:
        def request(self, *_: object) -> HttpResponse:
            raise Untrusted("not yet valid: set the clock")

    bench = Bench(events=1, transport=lambda _: NotYetValid())
    step = bench.step()
    assert (step.outcome, step.alarm, step.why) == (
        SyncOutcome.STOPPED,
        SyncAlarm.UNTRUSTED,
        "not yet valid: set the clock",
    )


def test_waits_hold_even_when_every_scan_wakes_the_sync() -> None:
    bench = Bench(events=1)
    bench.faults = [NetworkFault.BUSY]
    step = bench.client.step()
    assert step.outcome is SyncOutcome.UNREACHABLE
    assert step.due_s >= 30
    requests = bench.ledger.requests
    for number in range(1, 20):
        bench.record(number)
        bench.seconds += 1
        waiting = bench.client.step()
        assert waiting.outcome is SyncOutcome.WAITING
        assert waiting.due_s == pytest.approx(step.due_s - number)
    assert bench.ledger.requests == requests
    bench.client.hurry()
    assert bench.client.step().outcome is SyncOutcome.ALIGNED


@pytest.mark.parametrize(
    "fault", [NetworkFault.PORTAL, NetworkFault.STORM, NetworkFault.TRUNCATED, NetworkFault.SLOW, NetworkFault.DOWN]
)
def test_answers_that_are_none_mark_nothing(fault: NetworkFault) -> None:
    bench = Bench(events=10)
    bench.faults = [NetworkFault.NONE, fault]
    assert bench.step().outcome is SyncOutcome.ALIGNED
    assert bench.step().outcome is SyncOutcome.UNREACHABLE
    assert bench.disk.queue_depth() == 10
    bench.drain()
    assert len(stored(bench)) == 10


def foreign(word: Receipt, **change: object) -> Receipt:
    """Returns the receipt with something changed, and signed by the ledger nevertheless."""
    changed = msgspec.structs.replace(word, **change)
    head = Head(changed.accepted_through, Hash(bytes.fromhex(changed.head)))
    return receipt.issue(SERVER_KEY, changed.device, changed.epoch, head, changed.time)  # type: ignore[arg-type]


LIES: dict[str, Callable[[BatchReply], BatchReply]] = {
    "more than was sent": lambda reply: msgspec.structs.replace(reply, accepted_through=11),
    "more than was sent, signed": lambda reply: msgspec.structs.replace(
        reply, accepted_through=11, receipt=foreign(reply.receipt, accepted_through=11)
    ),
    "nothing": lambda reply: msgspec.structs.replace(reply, accepted_through=0),
    "another head": lambda reply: msgspec.structs.replace(reply, head="0" * 64),
    "another head, signed": lambda reply: msgspec.structs.replace(
        reply, head="0" * 64, receipt=foreign(reply.receipt, head="0" * 64)
    ),
    "an unsigned receipt": lambda reply: msgspec.structs.replace(
        reply, receipt=msgspec.structs.replace(reply.receipt, signature="00" * 64)
    ),
    "another kiosk's receipt": lambda reply: msgspec.structs.replace(
        reply, receipt=foreign(reply.receipt, device="kiosk-8")
    ),
    "another epoch's receipt": lambda reply: msgspec.structs.replace(
        reply, receipt=foreign(reply.receipt, epoch="00000000000000ff")
    ),
    "a receipt for less": lambda reply: msgspec.structs.replace(
        reply, receipt=foreign(reply.receipt, accepted_through=9)
    ),
    "fault with an event that was not sent": lambda reply: msgspec.structs.replace(
        reply, quarantined=(QuarantinedEvent(11, "odd"),)
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_lies_mark_nothing(lie: Callable[[BatchReply], BatchReply]) -> None:
    bench = Bench(events=10)
    bench.ledger.alter = lambda message: lie(message) if isinstance(message, BatchReply) else message
    bench.step()
    step = bench.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.DECEIVED)
    assert bench.disk.queue_depth() == 10
    assert not bench.disk.receipts
    assert not bench.disk.quarantined
    bench.ledger.alter = lambda message: message
    bench.drain()
    assert bench.disk.queue_depth() == 0


CURSOR_LIES: dict[str, Callable[[Cursor], Cursor]] = {
    "unsigned": lambda cursor: msgspec.structs.replace(cursor, receipt=None),
    "more than signed": lambda cursor: msgspec.structs.replace(cursor, accepted_through=99),
    "another head than signed": lambda cursor: msgspec.structs.replace(cursor, head="0" * 64),
    "another epoch than signed": lambda cursor: msgspec.structs.replace(cursor, epoch="00000000000000ff"),
}


@pytest.mark.parametrize("lie", CURSOR_LIES.values(), ids=CURSOR_LIES.keys())
def test_a_lying_cursor_opens_no_epoch(lie: Callable[[Cursor], Cursor]) -> None:
    bench = Bench(events=10)
    bench.drain()
    bench.restart_client()
    bench.ledger.alter = lambda message: lie(message) if isinstance(message, Cursor) else message
    step = bench.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.DECEIVED)
    assert len(bench.disk.journal_epochs) == 1


def test_a_journal_that_begins_anew_while_a_batch_is_away_is_not_marked_with_its_receipt() -> None:
    bench = Bench(events=5)

    def renew(message: msgspec.Struct) -> msgspec.Struct:
        if isinstance(message, BatchReply) and len(bench.disk.journal_epochs) == 1:
            bench.disk.open_epoch("repair", parent=None)
        return message

    bench.ledger.alter = renew
    bench.drain()
    assert {payload for _, payload in bench.ledger.list_events(bench.disk.device)} == {
        make_payload(number) for number in range(5)
    }
    assert len({identity for identity, _ in bench.ledger.list_events(bench.disk.device)}) == 5


def test_the_ledgers_clock_is_compared_with_ours() -> None:
    bench = Bench(events=1)
    slow = bench.ledger.clock
    bench.ledger.clock = lambda: slow().replace(hour=slow().hour + 1)
    assert bench.step().ledger_offset_s == pytest.approx(3600)


class RefusedByProxy:
    """A proxy on the way that answers 400 to every request that holds these bytes, in words of its own."""

    def __init__(self, transport: HttpTransport, bytes_refused: bytes) -> None:
        self.transport = transport
        self.bytes_refused = bytes_refused

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if body and self.bytes_refused in batch.decompress(body, headers.get("content-encoding", "")):
            return HttpResponse(400, {"content-type": "text/html"}, b"<h1>400 Bad Request</h1>")
        return self.transport.request(method, path, query, headers, body, bytes_max)


@pytest.mark.parametrize("signs", [True, False], ids=["a ledger that signs", "an older ledger"])
def test_an_event_that_a_proxy_refused_is_deferred_and_stored_once_the_proxy_is_gone(signs: bool) -> None:
    refused = make_payload(3)
    bench = Bench(events=8, transport=lambda transport: RefusedByProxy(transport, refused))
    bench.ledger.signs = signs
    epoch = bench.disk.epoch
    steps = bench.drain()
    assert SyncAlarm.DEFERRED in {step.alarm for step in steps}
    assert stored(bench) == [make_payload(number) for number in range(8) if number != 3]
    assert bench.disk.quarantined == {(epoch, 4): ("deferred-400", True)}
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(8)
    bench.drain()
    bench.seconds += 24 * 3600
    assert SyncAlarm.DEFERRED in {step.alarm for step in bench.drain()}, "it is offered, and refused again"
    assert bench.drain()[-1].alarm is SyncAlarm.NONE, "not more than once a day"
    bench.transport = bench.ledger
    bench.restart_client()
    bench.drain()
    bench.seconds += 24 * 3600
    bench.drain()
    assert sorted(stored(bench)) == sorted(make_payload(number) for number in range(9))
    assert bench.disk.quarantined == {(epoch, 4): ("stored-later", False)}


def test_an_older_ledger_never_says_that_it_has_stored_it_and_it_stays_deferred() -> None:
    refused = make_payload(3)
    bench = Bench(events=8, transport=lambda transport: RefusedByProxy(transport, refused))
    bench.ledger.signs = bench.ledger.knows_holes = False
    bench.drain()
    bench.transport = bench.ledger
    bench.restart_client()
    for _ in range(3):
        bench.seconds += 24 * 3600
        bench.drain()
    assert list(bench.disk.quarantined.values()) == [("deferred-again", True)]


@pytest.mark.parametrize("status", [401, 403])
def test_a_portal_does_not_speak_for_a_ledger_that_signs(status: int) -> None:
    bench = Bench(events=3)
    bench.step()
    bench.transport = Portal(status)
    bench.client._channel._transport = bench.transport
    assert bench.step().outcome is SyncOutcome.UNREACHABLE
    bench.restart_client()
    assert bench.step().outcome is SyncOutcome.STOPPED, "without a signed answer it may be an older ledger's"


class Portal:
    """A captive portal with a status of its own."""

    def __init__(self, status: int) -> None:
        self.status = status

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        return HttpResponse(self.status, {"content-type": "text/html"}, b"<html>sign in</html>")


def test_a_forged_superseded_opens_no_epoch() -> None:
    class SaysSuperseded(RefusedByProxy):
        def request(
            self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
        ) -> HttpResponse:
            if method == "POST":
                problem = ProblemDocument(type=ProblemType.EPOCH_SUPERSEDED.value, status=409)
                return HttpResponse(409, {"content-type": wire.PROBLEM_JSON}, wire.to_json(problem))
            return self.transport.request(method, path, query, headers, body, bytes_max)

    bench = Bench(events=3, transport=lambda transport: SaysSuperseded(transport, b""))
    epoch = bench.disk.epoch
    outcomes = {bench.step().outcome for _ in range(12)}
    assert SyncOutcome.NEW_EPOCH not in outcomes
    assert bench.disk.epoch == epoch


def test_a_disk_that_forgot_what_it_deferred_is_told_by_the_cursor() -> None:
    refused = make_payload(3)
    bench = Bench(events=8, transport=lambda transport: RefusedByProxy(transport, refused))
    image = bench.disk.make_image()
    bench.drain()
    bench.disk.put_back(image)
    bench.transport = bench.ledger
    bench.restart_client()
    bench.drain()
    assert bench.disk.quarantined == {(bench.disk.epoch, 4): ("deferred-wanted", True)}
    bench.seconds += 24 * 3600
    bench.drain()
    assert sorted(stored(bench)) == sorted(make_payload(number) for number in range(8))


def test_a_ledger_that_has_lost_the_bytes_it_stored_later_is_offered_them_again() -> None:
    refused = make_payload(3)
    bench = Bench(events=8, transport=lambda transport: RefusedByProxy(transport, refused))
    bench.drain()
    backup = bench.ledger.backup()
    bench.transport = bench.ledger
    bench.restart_client()
    bench.record(8)
    bench.seconds += 24 * 3600
    bench.drain()
    assert bench.disk.quarantined == {(bench.disk.epoch, 4): ("stored-later", False)}
    bench.ledger.restore(backup)
    bench.client.realign()
    for _ in range(2):
        bench.drain()
        bench.seconds += 24 * 3600
    assert sorted(stored(bench)) == sorted(make_payload(number) for number in range(9))


def test_a_deferred_event_that_the_ledger_itself_refuses_is_not_offered_again() -> None:
    refused = make_payload(3)
    bench = Bench(events=8, transport=lambda transport: RefusedByProxy(transport, refused))
    bench.drain()
    bench.transport = bench.ledger
    bench.ledger.refuses = lambda line: line == refused
    bench.restart_client()
    bench.seconds += 24 * 3600
    bench.drain()
    assert bench.disk.quarantined == {(bench.disk.epoch, 4): ("refused-400", True)}
    assert not bench.disk.list_deferred()


def test_a_ledger_restored_between_the_question_and_the_first_batch_of_an_epoch_loses_nothing() -> None:
    bench = Bench(events=6)
    blank = bench.ledger.backup()
    bench.drain()
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(6, 7)
    bench.step()
    bench.ledger.restore(blank)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(8)]


HeldRequest = tuple[str, str, str, dict[str, str], bytes]


@dataclass
class HoldsTheFirst:
    """A network that holds the first batch back."""

    line: HttpTransport
    held: list[HeldRequest]

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if method == "POST" and not self.held:
            self.held.append((method, path, query, headers, body))
            raise Unreachable("timed out")
        return self.line.request(method, path, query, headers, body, bytes_max)


def test_an_epoch_that_a_late_request_opened_stops_nothing() -> None:
    """The first batch of an epoch was held back, and arrives when the ledger and the kiosk are two epochs further."""
    held: list[HeldRequest] = []
    bench = Bench(events=3, transport=lambda line: HoldsTheFirst(line, held))
    bench.step()
    assert bench.step().outcome is SyncOutcome.UNREACHABLE
    bench.disk.open_epoch("repair", parent=None)
    bench.drain()
    assert bench.ledger.request(*held[0], 1 << 20).status == 200
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(10)
    bench.drain()
    assert make_payload(10) in stored(bench)


def test_where_the_ledger_stands_and_that_it_is_an_older_one_is_its_own_signed_word() -> None:
    """An empty cursor and a conflict of somebody on the way make no hole that is not one, and forget none."""
    lies: list[HttpResponse] = []

    @dataclass
    class LiesAtTimes:
        line: HttpTransport

        def request(
            self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
        ) -> HttpResponse:
            answer = self.line.request(method, path, query, headers, body, bytes_max)
            return lies.pop() if lies and lies[-1].status == (409 if method == "POST" else 200) else answer

    bench = Bench(events=30, transport=LiesAtTimes)
    backup = bench.ledger.backup()
    bench.drain()
    bench.ledger.restore(backup)
    bench.disk.pruned_through = 20
    bench.client.realign()
    conflict = ProblemDocument(type=ProblemType.EPOCH_SUPERSEDED.value, status=409)
    lies += [HttpResponse(409, {}, wire.to_json(conflict)), HttpResponse(200, {}, wire.to_json(Cursor(time=TIME)))]
    assert bench.step().outcome is SyncOutcome.UNREACHABLE
    bench.drain()
    assert not lies
    assert len(bench.disk.journal_epochs) == 1
    assert bench.ledger.holes == [(bench.disk.epoch, 1, 20)]
    assert stored(bench) == [make_payload(number) for number in range(20, 30)]


def test_rows_whose_copies_were_pruned_are_sent_from_their_own_epoch_when_the_ledger_lost_everything() -> None:
    """What an epoch had not delivered was carried by the next one, delivered, and removed there by retention."""
    bench = Bench(events=5)
    blank = bench.ledger.backup()
    bench.disk.open_epoch("repair", parent=None)
    bench.step()
    bench.faults = [NetworkFault.LOST_REPLY]  # so what is sent again may have been there all along
    bench.drain()
    bench.disk.pruned_through = bench.disk.head.seq
    bench.record(5)
    bench.ledger.restore(blank)
    bench.drain()  # it was in the middle of the later epoch, and is told that the ledger does not know it
    assert stored(bench) == [make_payload(number) for number in range(6)]
    assert not bench.disk.queue_depth()


def test_a_ledger_restored_again_in_the_middle_of_a_closed_epoch_gets_it_from_the_first_event() -> None:
    bench = Bench(events=9)
    blank = bench.ledger.backup()
    bench.drain()
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(9)
    bench.ledger.restore(blank)
    bench.restart_client(events_max=3)
    assert [bench.step().outcome for _ in range(2)] == [SyncOutcome.ALIGNED, SyncOutcome.SENT]
    bench.ledger.restore(blank)
    bench.drain()
    assert stored(bench) == [make_payload(number) for number in range(10)]


def test_a_current_epoch_that_the_ledger_calls_closed_is_not_sent_with_its_hole_again_and_again() -> None:
    """It stands in an epoch that a late request opened, and rows of both later epochs are pruned."""
    held: list[HeldRequest] = []
    bench = Bench(events=1, transport=lambda line: HoldsTheFirst(line, held))
    bench.step()
    bench.step()
    for number in (1, 4):
        bench.disk.open_epoch("repair", parent=bench.disk.acknowledged() if number > 1 else None)
        bench.record(*range(number, number + 3))
        bench.drain()
        bench.disk.pruned_through = 2
    assert bench.ledger.request(*held[0], 1 << 20).status == 200
    bench.restart_client()
    bench.drain()
    bench.record(7)
    bench.drain()
    assert bench.ledger.devices[bench.disk.device].current == bench.disk.epoch


def test_an_unsigned_conflict_right_after_a_start_gives_up_no_closed_epoch() -> None:
    """Until an answer with a signature has come, the ledger may be an older one; one word is not believed then."""
    conflicts: list[str] = ["one"]

    @dataclass
    class ConflictsOnce:
        line: HttpTransport

        def request(
            self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
        ) -> HttpResponse:
            if method == "POST" and conflicts:
                conflicts.pop()
                problem = ProblemDocument(type=ProblemType.EPOCH_SUPERSEDED.value, status=409)
                return HttpResponse(409, {"content-type": wire.PROBLEM_JSON}, wire.to_json(problem))
            answer = self.line.request(method, path, query, headers, body, bytes_max)
            return answer if method == "POST" else HttpResponse(answer.status, {}, answer.body)

    bench = Bench(events=4)
    blank = bench.ledger.backup()
    bench.drain()
    bench.disk.open_epoch("repair", parent=bench.disk.acknowledged())
    bench.record(4)
    bench.ledger.restore(blank)
    bench.transport = ConflictsOnce(bench.transport)
    bench.restart_client()
    bench.drain()
    assert not conflicts
    assert stored(bench) == [make_payload(number) for number in range(5)]
