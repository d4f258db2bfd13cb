"""What devices told and nobody understood: stored once, within bounds, over a loss of power, and read again once."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.palm.zk_adms import ZkAdms, ZkAdmsSettings
from drivers.readings import DeviceEvent, PersonMatched
from drivers.unread import UnreadRequest, UnreadStore
from edge_agent.control import Requester
from edge_agent.control_api import DeviceUnreadArguments
from edge_agent.domain.moment import Moment
from edge_agent.errors import RequestRefused
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.runtime.commands.devices import DeviceCommands
from edge_agent.runtime.inbox import Inbox, Scan
from edge_agent.runtime.scan_test import ScanTest
from edge_agent.runtime.taps import DeviceTaps
from edge_agent.runtime.unread_requests import UNREAD_BYTES_MAX, UNREAD_REQUESTS_MAX, UnreadDesk, UnreadRequests
from sync.contract.event import ClockQuality

ROW = "1001\t2026-11-20 09:40:15\t0\t25"


def now() -> Moment:
    return Moment(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), 0, "boot", ClockQuality.SYNCHRONISED)


def request(*rows: str, table: str = "NEWLOG") -> UnreadRequest:
    return UnreadRequest("SN1", "/iclock/cdata", table, rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unread" / "palm.jsonl"


@pytest.fixture
def store(path: Path) -> UnreadRequests:
    return UnreadRequests(path, now)


def test_a_request_is_stored_once_and_outlives_the_daemon(store: UnreadRequests, path: Path) -> None:
    assert store.keep(request("a"))
    assert store.keep(request("a"))
    assert store.keep(request("b"))
    assert path.stat().st_mode & 0o777 == 0o600
    anew = UnreadRequests(path, now)
    assert len(anew) == 2
    assert anew.keep(request("b"))
    assert [stored.rows for stored in anew.list_all()] == [("a",), ("b",)]
    assert repr(anew.list_all()[0]) == "StoredRequest(NEWLOG, 1 rows)"


def test_a_line_that_the_power_cut_short_hides_none_behind_it(store: UnreadRequests, path: Path) -> None:
    store.keep(request("a"))
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        path.write_bytes(whole + whole[:size])
        anew = UnreadRequests(path, now)
        assert anew.keep(request("b"))
        assert [stored.rows for stored in UnreadRequests(path, now).list_all()][-1] == ("b",)
        assert ("a",) in [stored.rows for stored in anew.list_all()]


def test_there_is_room_for_so_much_and_no_more(store: UnreadRequests, path: Path) -> None:
    large = "x" * (UNREAD_BYTES_MAX // 4)
    assert [store.keep(request(f"{number}{large}")) for number in range(5)] == [True, True, True, False, False]
    assert path.stat().st_size <= UNREAD_BYTES_MAX
    store.replace({stored.digest for stored in store.list_all()})
    assert not path.exists()
    assert store.keep(request("a"))
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"%d"') * UNREAD_REQUESTS_MAX)
    path.write_bytes(b"".join(line % number for number, line in enumerate(path.read_bytes().splitlines(keepends=True))))
    full = UnreadRequests(path, now)
    assert len(full) == UNREAD_REQUESTS_MAX
    assert not full.keep(request("one more"))
    assert full.keep(request("7")), "it is there already"


def test_a_disk_that_takes_nothing_is_no_room(tmp_path: Path) -> None:
    (tmp_path / "unread").write_bytes(b"a file where the folder should be")
    assert not UnreadRequests(tmp_path / "unread" / "palm.jsonl", now).keep(request("a"))


class TerminalAfterUpdate:
    """A reader that understands NEWLOG by now, in rows of attendance."""

    def __init__(self) -> None:
        self.unread: UnreadStore
        self._reader = ZkAdms("palm", ZkAdmsSettings(listen="127.0.0.1:1", serials=("SN1",)))

    def reread(self, request: UnreadRequest) -> Sequence[DeviceEvent] | None:
        return self._reader.reread(UnreadRequest(request.serial, request.path, "ATTLOG", request.rows))


def commands(desk: UnreadDesk, inbox: Inbox) -> DeviceCommands:
    return DeviceCommands(DeviceTaps(), inbox, ShutdownFlag(), now, desk, ScanTest(now))


def test_rows_are_read_again_once_and_the_others_stay(tmp_path: Path) -> None:
    inbox, owner, terminal = Inbox(), Requester(1, os.getuid(), os.getgid()), TerminalAfterUpdate()
    unread = UnreadDesk(tmp_path, now)
    store = unread.give_store("palm", terminal)
    assert terminal.unread.keep(request(ROW, "no row", ROW.replace("1001", "1002")))
    desk = commands(unread, inbox)
    [row] = desk.show_unread(DeviceUnreadArguments(), owner)
    assert (row.matches, len(row.rows), row.table) == (0, 3, "NEWLOG")
    [row] = desk.show_unread(DeviceUnreadArguments(device="palm", again=True), owner)
    assert row.matches == 2
    [row] = desk.show_unread(DeviceUnreadArguments(again=True), owner)
    assert (row.matches, row.rows) == (0, ("no row",)), "what was understood is not there any more"
    numbers = []
    for _ in range(2):
        scan = inbox.next_work(0)
        assert isinstance(scan, Scan)
        assert isinstance(scan.reading, PersonMatched)
        numbers.append(scan.reading.number)
    assert numbers == ["1001", "1002"]
    assert list(desk.show_unread(DeviceUnreadArguments(device="other", discard=True), owner)) == []
    assert len(list(desk.show_unread(DeviceUnreadArguments(discard=True), owner))) == 1
    assert len(store) == 0


def test_only_the_owner_may_see_them(tmp_path: Path) -> None:
    desk = commands(UnreadDesk(tmp_path, now), Inbox())
    with pytest.raises(RequestRefused):
        list(desk.show_unread(DeviceUnreadArguments(), Requester(1, 65_534, 65_534)))
