"""A terminal on port 4370: pyzk and our driver against the simulated terminal, over loopback."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zk

from drivers.errors import DeviceBusy, DeviceGone, NotSupported, ProtocolError
from drivers.network.zk_4370 import READ_EVENTS_MAX, Zk4370, Zk4370Settings
from drivers.readings import DeviceEvent, PersonMatched, StreamFault
from drivers.row_mark import MarkedSource
from drivers.settings import parse
from drivers.simulated.zk_terminal import SimulatedRow, SimulatedZkTerminal, evenly
from drivers.terminals import TerminalSource

NOON = datetime(2026, 11, 30, 12, 0, 0)  # by the terminal's clock
NOW = datetime(2026, 11, 30, 7, 0, 0, tzinfo=UTC)
TRIES = 400


@pytest.fixture
def terminals() -> Iterator[list[SimulatedZkTerminal]]:
    running: list[SimulatedZkTerminal] = []
    yield running
    for terminal in running:
        terminal.unplug()


def build(terminals: list[SimulatedZkTerminal], **options: Any) -> SimulatedZkTerminal:
    terminal = SimulatedZkTerminal(clock=lambda: NOON, **options)
    terminals.append(terminal)
    return terminal


class Caller:
    """Our driver, with its own clock."""

    def __init__(self, terminal: SimulatedZkTerminal, **options: Any) -> None:
        self.now_ns = 10**9
        self.tapped: list[tuple[str, bytes]] = []
        self.events: list[DeviceEvent] = []
        settings = parse(Zk4370Settings, {"host": "127.0.0.1", "port": terminal.port} | options)
        self.reader = Zk4370(
            "old", settings, clock=lambda: self.now_ns, wall=lambda: NOW, tap=lambda *seen: self.tapped.append(seen)
        )

    def read_until(self, matches: int) -> Sequence[PersonMatched]:
        for _ in range(TRIES):
            self.events += self.reader.read(0.05)
            if len(self.matches) >= matches and not self.reader._session.is_waiting and not self.reader._events:
                return self.matches
        pytest.fail(f"only {len(self.matches)} matches; {self.faults}")

    @property
    def matches(self) -> list[PersonMatched]:
        return [event for event in self.events if isinstance(event, PersonMatched)]

    @property
    def faults(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, StreamFault)]


def fill(terminal: SimulatedZkTerminal, count: int) -> None:
    for number in range(1, 6):
        terminal.enrol(str(1000 + number))
    for number, at in enumerate(evenly(NOON - timedelta(seconds=count), 1, count)):
        terminal.rows.append(SimulatedRow(1 + number % 5, str(1001 + number % 5), at, 1, 0))


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")  # pyzk leaves its first sockets open
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("row_size", [8, 16, 40])
@pytest.mark.parametrize("rows", [3, 3000])
def test_pyzk_reads_the_simulated_terminal(
    terminals: list[SimulatedZkTerminal], row_size: int, udp: bool, rows: int
) -> None:
    terminal = build(terminals, row_size=row_size, comm_key=20250)
    fill(terminal, rows)
    client = zk.ZK("127.0.0.1", terminal.port, timeout=5, password=20250, force_udp=udp, ommit_ping=True)
    client.connect()
    assert client.get_serialnumber() == terminal.serial
    assert client.get_time() == NOON
    assert [user.user_id for user in client.get_users()] == ["1001", "1002", "1003", "1004", "1005"]
    read = client.get_attendance()
    assert [(row.user_id, row.timestamp) for row in read] == [(row.pin, row.time) for row in terminal.rows]
    puncher = threading.Thread(target=punch_once_somebody_listens, args=(terminal,))
    puncher.start()
    live = client.live_capture(new_timeout=5)
    event = next(live)
    assert (event.user_id, event.timestamp, event.status) == ("1003", NOON, 25)
    puncher.join()
    live.close()
    client.disconnect()


def punch_once_somebody_listens(terminal: SimulatedZkTerminal) -> None:
    for _ in range(1000):
        if any(client.hears_events for client in terminal.clients):
            return terminal.punch("1003", NOON, verify=25)
        threading.Event().wait(0.005)
    raise AssertionError("nobody listens")


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("row_size", [8, 16, 40])
@pytest.mark.parametrize("buffered", [True, False])
def test_our_driver_reads_users_rows_and_live_events(
    terminals: list[SimulatedZkTerminal], row_size: int, udp: bool, buffered: bool
) -> None:
    count = 3000 if buffered else 300  # the old command has no parts, and nobody hears what a datagram lost
    terminal = build(terminals, row_size=row_size, buffered=buffered, data_bytes=1000)
    fill(terminal, count)
    caller = Caller(terminal, udp=udp)
    caller.reader.open()
    matches = caller.read_until(count)
    assert [(match.number, match.seen_at) for match in matches] == [
        (row.pin, (row.time - timedelta(hours=5)).replace(tzinfo=UTC)) for row in terminal.rows
    ]
    terminal.punch("1003", NOON, verify=25)
    live = caller.read_until(count + 1)[-1]
    assert (live.number, live.method, live.seen_at, live.clock_suspect) == ("1003", "palm", NOW, False)
    assert caller.faults == []
    caller.now_ns += 301 * 10**9
    caller.reader.read(0)
    caller.read_until(count + 1)
    assert len(caller.matches) == count + 1, "rows that were told are not told again"
    assert b"secret" not in b"".join(data for _, data in caller.tapped)
    caller.reader.close()


def test_a_hundred_thousand_rows_and_only_the_last_days(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals)
    terminal.enrol("1001")
    terminal.rows = [SimulatedRow(1, "1001", at) for at in evenly(NOON - timedelta(days=400), 300, 100_000)]
    terminal.punch("1001", NOON - timedelta(hours=1))
    caller = Caller(terminal)
    caller.reader.open()
    [match] = caller.read_until(1)
    assert match.seen_at == NOW - timedelta(hours=1)
    caller.reader.close()


def test_a_terminal_that_breaks_off_in_the_middle_is_called_again_and_nothing_is_lost_or_doubled(
    terminals: list[SimulatedZkTerminal],
) -> None:
    terminal = build(terminals, data_bytes=16 * 1024)
    fill(terminal, 5000)
    terminal.breaks_after = 7
    caller = Caller(terminal)
    caller.reader.open()
    with pytest.raises(DeviceGone, match="hung up"):
        caller.read_until(5000)
    assert 0 < len(caller.matches) < 5000
    caller.reader.close()
    caller.reader.open()
    assert len(caller.read_until(5000)) == 5000
    assert {len(caller.reader.read(0)) for _ in range(3)} == {0}
    caller.reader.close()


def test_no_more_than_so_many_events_at_once(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals)
    fill(terminal, 1000)
    caller = Caller(terminal)
    caller.reader.open()
    sizes = [len(caller.reader.read(0.05)) for _ in range(60)]
    assert max(sizes) == READ_EVENTS_MAX
    assert sum(sizes) == 1000
    caller.reader.close()


def test_a_wrong_communication_key_says_so(terminals: list[SimulatedZkTerminal], tmp_path: Path) -> None:
    terminal = build(terminals, comm_key=20250)
    key = tmp_path / "key"
    for written, error in (("1", ProtocolError), ("no key", NotSupported), ("20250", None)):
        key.write_text(written)
        key.chmod(0o600)
        caller = Caller(terminal, key_file=str(key))
        if error is NotSupported:
            with pytest.raises(NotSupported, match="digits only"):
                caller.reader.open()
            continue
        caller.reader.open()
        if error:
            with pytest.raises(ProtocolError, match="communication key"):
                caller.read_until(1)
        else:
            caller.read_until(0)
        caller.reader.close()


def test_a_clock_that_is_off_is_told_and_stands_on_the_rows(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = SimulatedZkTerminal(clock=lambda: NOON - timedelta(hours=3))
    terminals.append(terminal)
    terminal.punch("1001", NOON - timedelta(hours=3))
    caller = Caller(terminal)
    caller.reader.open()
    [match] = caller.read_until(1)
    assert (match.clock_suspect, match.offset_s, match.terminal) == (True, -10_800, terminal.serial)
    assert "10800 s behind ours" in caller.faults[0]
    [doubted] = caller.reader.doubted_clocks()
    assert (doubted.run, doubted.offset_s) == (f"old {terminal.serial} {match.clock_run}", -10_800)
    caller.reader.close()
    caller.reader.open()
    terminal.punch("1002", NOON - timedelta(hours=3))
    assert caller.read_until(2)[1].clock_run == match.clock_run, "the same run after a broken line"
    caller.reader.close()
    assert isinstance(caller.reader, TerminalSource)


def test_an_unsynchronised_kiosk_measures_no_clock(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = SimulatedZkTerminal(clock=lambda: NOON - timedelta(hours=3))
    terminals.append(terminal)
    terminal.punch("1001", NOON - timedelta(hours=3))
    caller = Caller(terminal)
    caller.reader.trusts_wall = lambda: False
    caller.reader.open()
    [match] = caller.read_until(1)
    assert not match.clock_suspect
    assert not caller.reader.doubted_clocks()
    caller.reader.close()


def test_a_model_that_pushes_shows_an_empty_table_and_tells_live_events(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals, pushes=True)
    fill(terminal, 10)
    caller = Caller(terminal)
    caller.reader.open()
    caller.read_until(0)
    terminal.punch("1001", NOON)
    caller.read_until(1)
    caller.reader.close()


def test_a_silent_terminal_and_another_one_at_its_address(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals)
    caller = Caller(terminal, serial="OTHER")
    caller.reader.open()
    with pytest.raises(ProtocolError, match="another terminal"):
        caller.read_until(1)
    caller.reader.close()
    silent = Caller(terminal, udp=True)
    terminal.unplug()
    silent.reader.open()
    silent.now_ns += 11 * 10**9
    with pytest.raises(DeviceGone):
        read_often(silent.reader)
    silent.reader.close()


def read_often(reader: Zk4370) -> None:
    for _ in range(3):
        reader.read(0)


def test_after_a_restart_rows_are_read_from_the_mark_on_however_long_the_break_was(
    terminals: list[SimulatedZkTerminal],
) -> None:
    terminal = build(terminals)
    terminal.punch("1001", NOON - timedelta(days=9))
    terminal.punch("1002", NOON - timedelta(hours=1))
    caller = Caller(terminal)
    caller.reader.open()
    assert [match.number for match in caller.read_until(1)] == ["1002"]
    assert caller.reader.mark.read() == "", "what was just handed on may not be on the disk yet"
    caller.now_ns += 301 * 10**9
    caller.reader.read(0)
    caller.read_until(1)
    caller.reader.close()
    mark = caller.reader.mark.read()
    assert mark == f"{terminal.serial} 2026-11-30 12:00:00"
    for written, numbers in (
        (mark, ["1003"]),
        (mark.replace("11-30", "11-20"), ["1001", "1002", "1003"]),
        (mark.replace("2026", "2027"), ["1002", "1003"]),
        (mark.replace(terminal.serial, "OTHER"), ["1002", "1003"]),
        ("rubbish", ["1002", "1003"]),
    ):
        if len(terminal.rows) == 2:
            terminal.punch("1003", NOON)
        anew = Caller(terminal)
        anew.reader.mark.write(written)
        anew.reader.open()
        assert [match.number for match in anew.read_until(len(numbers))] == numbers
        anew.reader.close()
    assert isinstance(caller.reader, MarkedSource)


def test_two_programs_do_not_call_one_terminal(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals)
    first, second = Caller(terminal), Caller(terminal)
    first.reader.open()
    with pytest.raises(DeviceBusy, match="lsof"):
        second.reader.open()
    first.reader.close()
    second.reader.open()
    second.reader.close()


def test_nothing_is_ever_written_into_the_terminal(terminals: list[SimulatedZkTerminal]) -> None:
    terminal = build(terminals, row_size=8)
    fill(terminal, 200)
    caller = Caller(terminal)
    caller.reader.open()
    caller.read_until(200)
    caller.reader.close()
    assert set(terminal.commands) <= {9, 11, 13, 50, 201, 500, 1000, 1102, 1502, 1503, 1504, 2000}
