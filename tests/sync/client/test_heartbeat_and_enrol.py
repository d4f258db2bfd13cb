import pytest

from sync.client.channel import LedgerChannel
from sync.client.faults import NetworkFault
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.keys import DeviceKey
from sync.client.paced import SyncOutcome
from sync.client.registration import register_kiosk
from sync.contract.wire import HeadText, PartHealth
from sync.errors import Unauthorised, Unreachable
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY
from tests.sync.client.ledger import SERVER_PUBLIC


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
