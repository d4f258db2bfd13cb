import msgspec
import pytest

from sync.client.channel import LedgerChannel
from sync.client.faults import NetworkFault
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.keys import DeviceKey
from sync.client.paced import SyncOutcome
from sync.client.registration import register_kiosk
from sync.contract.wire import HeadText, PartHealth
from sync.errors import SyncAlarm, Unauthorised, Unreachable
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY
from tests.sync.client.ledger import SERVER_PUBLIC, TIME


def sender(bench: Bench) -> HeartbeatSender:
    health = tuple(PartHealth(f"reader-{number}", "ok") for number in range(100))
    return HeartbeatSender(
        bench.disk,
        LedgerChannel(bench.transport, KEY, bench.disk.device, bench.now),
        lambda: AgentReport("0.1.0", 3, "boot", "synchronised", health),
        bench.pace,
    )


def test_a_beat_says_how_the_kiosk_is() -> None:
    bench = Bench(events=3)
    beating = sender(bench)
    beat = beating.step()
    assert beat.outcome is SyncOutcome.SENT
    assert beating.newest_roster == 5, "the ledger says that there is a newer roster"
    assert 54 <= beat.due_s <= 66
    [received] = bench.ledger.beats
    assert (received.queue, received.acknowledged, received.head) == (3, 0, HeadText.from_head(bench.disk.head))
    assert len(received.health) == 32, "limited"


def test_beats_keep_their_pace_and_their_instance() -> None:
    bench = Bench()
    beating = sender(bench)
    for _ in range(3):
        beat = beating.step()
        assert beating.step().outcome is SyncOutcome.WAITING
        bench.seconds += beat.due_s
    assert len(bench.ledger.beats) == 3
    assert len({beat.instance for beat in bench.ledger.beats}) == 1
    sender(bench).step()
    assert len({beat.instance for beat in bench.ledger.beats}) == 2, "each start draws another one"


def test_a_ledger_that_is_away_or_says_no() -> None:
    bench = Bench()
    beating = sender(bench)
    bench.faults = [NetworkFault.BUSY]
    beat = beating.step()
    assert beat.outcome is SyncOutcome.UNREACHABLE
    assert beat.due_s >= 30
    bench.seconds += beat.due_s
    bench.ledger.devices[bench.disk.device].suspended = True
    assert beating.step().due_s >= 450
    bench.seconds += 1000
    bench.ledger.devices[bench.disk.device].suspended = False
    assert beating.step().outcome is SyncOutcome.SENT


def test_a_code_gives_an_identity_once_and_the_same_one_again() -> None:
    bench, key = Bench(), DeviceKey.make()
    bench.ledger.codes["CODE-1"] = ""
    bench.faults = [NetworkFault.LOST_REPLY]
    with pytest.raises(Unreachable):
        register_kiosk(bench.transport, key, "CODE-1", clock=bench.now)
    identity = register_kiosk(bench.transport, key, " CODE-1\n", clock=bench.now, name="left door")
    assert (identity.school, identity.server_key) == ("s-12", SERVER_PUBLIC.hex())
    with pytest.raises(Unauthorised, match="code refused"):
        register_kiosk(bench.transport, DeviceKey.make(), "CODE-1", clock=bench.now)
    with pytest.raises(Unauthorised):
        register_kiosk(bench.transport, key, "CODE-2", clock=bench.now)


def make_sender(bench: Bench) -> HeartbeatSender:
    channel = LedgerChannel(bench.ledger, KEY, bench.disk.device, bench.now, SERVER_PUBLIC)
    return HeartbeatSender(bench.disk, channel, lambda: AgentReport("0.1.0", 0, "b", "synchronised"), bench.pace)


def test_a_kiosk_with_nothing_to_send_finds_a_restored_ledger_by_its_heartbeats() -> None:
    bench = Bench(events=10)
    bench.drain()
    backup = bench.ledger.backup()
    bench.record(10, 11, 12)
    bench.drain()
    sender = make_sender(bench)
    sender.step()
    assert [sender.differs] == [False]
    bench.ledger.restore(backup)
    bench.seconds += 120
    sender.step()
    assert [sender.differs] == [True]
    bench.client.realign()
    bench.drain()
    assert len(list(bench.ledger.list_events(bench.disk.device))) == 13
    bench.seconds += 120
    sender.step()
    assert [sender.differs] == [False]


def test_the_ledger_remembers_how_far_the_journal_went_when_the_disk_does_not() -> None:
    bench = Bench(events=58)
    sender = make_sender(bench)
    sender.step()
    epoch = bench.disk.epoch
    del bench.disk.current.rows[40:]
    bench.seconds += 120
    step = sender.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.NEW_EPOCH, SyncAlarm.FORK)
    assert bench.disk.lost == [(epoch, 41, 58)]
    assert bench.disk.epoch != epoch


def test_an_unsigned_answer_proves_no_loss() -> None:
    bench = Bench(events=58)
    bench.ledger.signs = False
    sender = make_sender(bench)
    sender.step()
    del bench.disk.current.rows[40:]
    bench.seconds += 120
    assert sender.step().outcome is SyncOutcome.SENT
    assert bench.disk.lost == []
    assert not sender.differs


def test_a_twin_is_believed_by_the_ledgers_own_word_alone() -> None:
    bench = Bench()
    beating = make_sender(bench)
    bench.ledger.alter = lambda reply: msgspec.structs.replace(reply, twin=TIME)
    bench.seconds += beating.step().due_s
    assert beating.twin_heard == TIME
    bench.ledger.signs, bench.ledger.alter = False, lambda reply: reply
    bench.seconds += beating.step().due_s
    assert beating.twin_heard, "somebody on the way cannot end an alarm"
    bench.ledger.signs = True
    beating.step()
    assert not beating.twin_heard
