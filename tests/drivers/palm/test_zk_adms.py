"""Real HTTP over loopback, from a thread that stands for the terminal; the reader belongs to the test's own thread."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.network.http_callers import CALLER_IDLE_S, REQUEST_WAIT_S
from drivers.palm.zk_adms import ZkAdms, ZkAdmsSettings
from drivers.protocols.terminal_clock import TerminalClock
from drivers.readings import DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.terminals import TerminalSource
from drivers.transports.memory import MemoryTransport
from drivers.transports.tcp import PEERS_MAX
from drivers.unread import UnreadRequest, UnreadSource
from tests.vectors import load_jsonl

HANG_S = 20.0
SECOND_NS = 1_000_000_000
SERIAL = "BOCK200961014"
NOW = datetime(2026, 11, 20, 4, 40, 20, tzinfo=UTC)
ROW = "1001\t2026-11-20 09:40:15\t0\t25\t0\t0\t0\n"


class UnreadList:
    """A store in memory, which the test may fill up."""

    def __init__(self) -> None:
        self.requests: list[UnreadRequest] = []
        self.has_room = True

    def keep(self, request: UnreadRequest) -> bool:
        if self.has_room:
            self.requests.append(request)
        return self.has_room


@dataclass
class Kiosk:
    """The reader, its clock, and what it has reported."""

    port: int
    options: dict[str, Any] = field(default_factory=dict)
    now_ns: int = 10**9
    tapped: list[tuple[str, bytes]] = field(default_factory=list)
    events: list[DeviceEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = {"listen": f"127.0.0.1:{self.port}", "serials": [SERIAL]} | self.options
        self.reader = ZkAdms(
            "palm",
            parse(ZkAdmsSettings, options),
            clock=lambda: self.now_ns,
            tap=lambda direction, data: self.tapped.append((direction, data)),
            wall=lambda: NOW,
        )
        self.unread = UnreadList()
        self.reader.unread = self.unread

    def serve(self, talk: Callable[[], Any]) -> Any:
        """What `talk` returns, with the reader read meanwhile."""
        result: list[Any] = []
        thread = threading.Thread(target=lambda: result.append(talk()), daemon=True)
        thread.start()
        while thread.is_alive():
            self.events += self.reader.read(0.02)
        return result[0]

    def ask(self, method: str, target: str, body: str | bytes = b"") -> tuple[int, str]:
        def talk() -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
            connection.request(method, target, body.encode() if isinstance(body, str) else body)
            answer = connection.getresponse()
            said = answer.status, answer.read().decode()
            connection.close()
            return said

        status, text = self.serve(talk)
        return status, text

    def post(self, table: str, body: str | bytes, serial: str = SERIAL) -> tuple[int, str]:
        return self.ask("POST", f"/iclock/cdata?SN={serial}&table={table}&Stamp=9999", body)

    @property
    def matches(self) -> list[PersonMatched]:
        return [event for event in self.events if isinstance(event, PersonMatched)]

    @property
    def faults(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, StreamFault)]


def request(rows: str) -> bytes:
    head = f"POST /iclock/cdata?SN={SERIAL}&table=ATTLOG HTTP/1.1\r\nHost: kiosk\r\nContent-Length: {len(rows)}\r\n\r\n"
    return (head + rows).encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def kiosk() -> Iterator[Kiosk]:
    kiosk = Kiosk(free_port())
    kiosk.reader.open()
    yield kiosk
    kiosk.reader.close()


def test_a_terminal_from_its_start_to_a_palm(kiosk: Kiosk) -> None:
    status, options = kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all&pushver=2.4.1&language=69")
    assert status == 200
    assert options.startswith(f"GET OPTION FROM: {SERIAL}\n")
    assert "TimeZone=+05:00\n" in options
    assert "Stamp" not in options, "the terminal knows best how far it has told us"
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}") == (200, "C:1:SET OPTION DateTime=864121220\n")
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}&INFO=Ver%206.60") == (200, "OK")
    assert kiosk.ask("POST", f"/iclock/devicecmd?SN={SERIAL}", "ID=1&Return=0&CMD=SET OPTION") == (200, "OK")
    assert kiosk.ask("GET", f"/iclock/rtdata?SN={SERIAL}&type=time") == (200, "Time=2026-11-20T09:40:20+05:00\n")
    assert kiosk.ask("GET", f"/iclock/ping?SN={SERIAL}") == (200, "OK")
    assert kiosk.post("options", "~DeviceName=X,FirmVer=Ver 6.60") == (200, "OK: 1")
    assert not kiosk.events
    assert kiosk.post("ATTLOG", ROW) == (200, "OK: 1")
    [match] = kiosk.matches
    assert match == PersonMatched(
        "palm", "1001", kiosk.now_ns, "palm", seen_at=datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC), terminal=SERIAL
    )
    assert "ATTLOGStamp=9999" in kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")[1]


def test_every_answer_carries_the_date(kiosk: Kiosk) -> None:
    kiosk.ask("GET", f"/iclock/ping?SN={SERIAL}")
    sent = b"".join(data for direction, data in kiosk.tapped if direction == "SEND")
    assert b"Date: Fri, 20 Nov 2026 04:40:20 GMT" in sent


@pytest.mark.parametrize(
    "case", [case for case in load_jsonl("canteen/adms_cases.jsonl") if "table" in case], ids=lambda case: case["id"]
)
def test_every_case_of_the_canteen_is_answered_200_and_counts_what_it_should(
    case: dict[str, Any], kiosk: Kiosk
) -> None:
    expect = case["expect"]
    body = bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode()
    for _ in range(case.get("repeat", 1)):
        status, answer = kiosk.post(case["table"], body)
        assert status == expect.get("http", 200)
        assert answer == expect.get("ack", answer)
        assert answer.startswith("OK")
    wanted = [punch["pin"] for punch in expect.get("punches", []) if "pin" in punch]
    if wanted:
        assert [match.number for match in kiosk.matches] == wanted
    if "punches_total" in expect:
        assert len(kiosk.matches) == expect["punches_total"]
    if "quarantined" in expect:
        assert len([fault for fault in kiosk.faults if "row without" in fault]) == expect["quarantined"]
    if "flag" in expect:
        assert [match.clock_suspect for match in kiosk.matches] == [True]
        assert "set the terminal's clock" in kiosk.faults[0]
        assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")[1].startswith("C:1:SET OPTION DateTime=")


def access_row(event: int, pin: str = "1001", index: int = 21) -> str:
    return (
        f"time=2026-11-20 09:40:15\tpin={pin}\tcardno=0004294967\teventaddr=1\tevent={event}\tinoutstatus=0\t"
        f"verifytype=25\tindex={index}\n"
    )


def test_a_terminal_in_access_mode_from_its_start_to_a_palm(kiosk: Kiosk) -> None:
    first = f"/iclock/cdata?SN={SERIAL}&options=all&pushver=3.1.2&DeviceType=acc&PushOptionsFlag=1"
    assert kiosk.ask("GET", first)[1].startswith("registry=ok\nRegistryCode=")
    registered = kiosk.ask("POST", f"/iclock/registry?SN={SERIAL}", "DeviceType=acc,~DeviceName=SpeedFace")[1]
    assert registered.strip() in kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")[1], "it stays in that mode"
    assert "Realtime=1\n" in kiosk.ask("POST", f"/iclock/push?SN={SERIAL}")[1]
    assert kiosk.ask("GET", f"/iclock/rtdata?SN={SERIAL}&type=time") == (200, "DateTime=864103220,ServerTZ=+0500")
    assert kiosk.post("rtstate", "time=2026-11-20 09:40:15\tsensor=01\trelay=00\talarm=0000\n")[0] == 200
    assert kiosk.post("tabledata&tablename=user&count=2", "user uid=1\tpin=1\tname=A\nuser uid=2\tpin=2\n") == (
        200,
        "user=2",
    )
    assert kiosk.post("tabledata&tablename=biophoto&count=1", b"\xff\xd8CHILD") == (200, "OK")
    assert kiosk.faults == [
        "pictures or templates of people came and were thrown away: switch their upload off in the terminal"
    ]
    assert kiosk.post("rtlog", access_row(3)) == (200, "OK")
    [match] = kiosk.matches
    assert match == PersonMatched(
        "palm", "1001", kiosk.now_ns, "palm", seen_at=datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC), terminal=SERIAL
    )
    assert kiosk.post("rtlog", access_row(3)) == (200, "OK")
    stored = "transaction pin=1001\tverified=25\tdoorid=1\teventtype=3\ttime_second=864121215\tindex=21\n"
    target = f"/iclock/querydata?SN={SERIAL}&type=tabledata&cmdid=1&tablename=transaction&count=1&packcnt=1&packidx=1"
    assert kiosk.ask("POST", target, stored) == (200, "transaction=1")
    assert len(kiosk.matches) == 1, "the terminal's number of the row tells that it is the same"
    assert not kiosk.unread.requests


def test_whom_the_terminal_refuses_is_counted_by_nobody_and_told(kiosk: Kiosk) -> None:
    rows = access_row(27, "0") + access_row(22).replace("09:40", "08:40") + access_row(200) + access_row(206, "0")
    assert kiosk.post("rtlog", rows) == (200, "OK")
    assert not kiosk.matches
    assert kiosk.faults == [
        "the terminal let somebody not in: not known to the terminal",
        "the terminal let somebody not in: outside the person's hours",
    ]
    causes = [event.cause for event in kiosk.events if isinstance(event, StreamFault)]
    assert causes == [FaultCause.CARD, FaultCause.LINE], "one stands there, the other has gone long ago"
    assert not kiosk.unread.requests


def test_an_encrypting_terminal_is_told_that_nobody_speaks_that(kiosk: Kiosk) -> None:
    assert kiosk.ask("POST", f"/iclock/exchange?SN={SERIAL}&type=publickey", "PublicKey=…")[0] == 404
    assert "encrypt" in kiosk.faults[0]


@pytest.mark.parametrize("table", ["", "ATTLOG", "attlog"])
def test_rows_of_firmware_that_names_no_table(kiosk: Kiosk, table: str) -> None:
    target = f"/iclock/cdata?SN={SERIAL}" + (f"&table={table}" if table else "")
    assert kiosk.ask("POST", target, ROW) == (200, "OK: 1")
    assert [match.number for match in kiosk.matches] == ["1001"]
    assert kiosk.ask("POST", f"/iclock/cdata?SN={SERIAL}", access_row(3, "1002")) == (200, "OK")
    assert [match.number for match in kiosk.matches] == ["1001", "1002"]


UNREADABLE = [
    (
        "/iclock/cdata?SN={}&table=newlog",
        "pin=1001\tcardno=0004294967\tname=Aliya\n",
        "pin=1001\tcardno=xxxxxxxxxx\tname=xxxxx",
    ),
    ("/iclock/cdata?SN={}&table=rtlog", access_row(4711), access_row(4711).replace("0004294967", "xxxxxxxxxx").strip()),
    ("/iclock/cdata?SN={}&table=ATTLOG", "1001\tno time\t0\t0004294967\n", "1001\txx xxxx\t0\txxxxxxxxxx"),
    ("/iclock/cdata?SN={}", "free text of a firmware\n", "xxxx xxxx xx x xxxxxxxx"),
    ("/iclock/new?SN={}", "a=1\n", "a=1"),
    ("/iclock/querydata?SN={}&tablename=other&count=1", "other pin=7\n", "other pin=7"),
    ("/iclock/cdata?SN={}&table=OPERLOG", "OPLOG x\n", "xxxxx x"),
]


@pytest.mark.parametrize(("target", "body", "stored"), UNREADABLE)
def test_what_nobody_understands_is_stored_before_it_is_answered(
    kiosk: Kiosk, target: str, body: str, stored: str
) -> None:
    kiosk.unread.has_room = False
    assert kiosk.ask("POST", target.format(SERIAL), body)[0] == 503
    assert "no more room" in kiosk.faults[-1]
    kiosk.unread.has_room = True
    assert kiosk.ask("POST", target.format(SERIAL), body)[0] == 200
    [request] = kiosk.unread.requests
    assert request.rows == (stored,)
    assert request.serial == SERIAL
    assert "1001" not in repr(request)
    assert not kiosk.matches


def test_rows_are_taken_once_also_when_one_among_them_has_no_room(kiosk: Kiosk) -> None:
    kiosk.unread.has_room = False
    for _ in range(2):
        assert kiosk.post("ATTLOG", ROW + "what is this\n")[0] == 503
    assert [match.number for match in kiosk.matches] == ["1001"]


def test_a_stored_request_is_read_again_by_the_same_rules(kiosk: Kiosk) -> None:
    events = kiosk.reader.reread(UnreadRequest(SERIAL, "/iclock/cdata", "RTLOG", (access_row(3), access_row(27))))
    assert events is not None
    assert [event.number for event in events if isinstance(event, PersonMatched)] == ["1001"]
    assert kiosk.reader.reread(UnreadRequest(SERIAL, "/iclock/cdata", "NEWLOG", ("pin=1001",))) is None
    assert isinstance(kiosk.reader, UnreadSource)


def test_a_lost_answer_brings_the_rows_again_and_they_count_once(kiosk: Kiosk) -> None:
    def hang_up_at_once() -> None:
        with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
            head = (
                f"POST /iclock/cdata?SN={SERIAL}&table=ATTLOG HTTP/1.1\r\nHost: k\r\nContent-Length: {len(ROW)}\r\n\r\n"
            )
            terminal.sendall((head + ROW).encode())

    kiosk.serve(hang_up_at_once)
    for _ in range(100):
        kiosk.events += kiosk.reader.read(0.02)
        if kiosk.matches:
            break
    kiosk.events += kiosk.reader.read(0.02)  # who reads again has kept the events
    kiosk.reader.close()
    kiosk.reader.open()
    assert kiosk.post("ATTLOG", ROW) == (200, "OK: 1")
    assert len(kiosk.matches) == 1


def test_the_answer_leaves_only_when_the_reading_was_taken(kiosk: Kiosk) -> None:
    with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
        terminal.sendall(request(ROW))
        while not kiosk.matches:
            kiosk.events += kiosk.reader.read(0.02)
        terminal.setblocking(False)
        with pytest.raises(BlockingIOError):
            terminal.recv(1)
        kiosk.reader.read(0)
        terminal.setblocking(True)
        assert terminal.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_row_that_found_no_room_is_given_again(kiosk: Kiosk) -> None:
    """The reader is closed instead of read again: nobody took the row, so the terminal has no answer and sends anew."""
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
            terminal.sendall(request(ROW))
            given: list[DeviceEvent] = []
            while not any(isinstance(event, PersonMatched) for event in given):
                given += kiosk.reader.read(0.1)
            kiosk.reader.close()
            assert terminal.recv(100) == b"", "no answer"
        kiosk.reader.open()
    kiosk.post("ATTLOG", ROW)
    kiosk.post("ATTLOG", ROW)
    assert len(kiosk.matches) == 1


@pytest.mark.parametrize("serial", ["", "OTHER", "a%0d%0aX:1", "x" * 400])
def test_a_stranger_is_turned_away_and_counts_nobody(kiosk: Kiosk, serial: str) -> None:
    assert kiosk.post("ATTLOG", ROW, serial)[0] == 403
    assert not kiosk.matches
    [fault] = kiosk.faults
    assert "serials" in fault
    assert len(fault) < 200
    assert "\n" not in fault


def test_pictures_and_templates_are_answered_reported_and_seen_by_nobody(kiosk: Kiosk) -> None:
    secret = b"\xff\xd8TEMPLATE-OF-A-CHILD" * 100_000
    for table in ("ATTPHOTO", "BIOPHOTO", "BIODATA"):
        assert kiosk.post(table, secret) == (200, "OK")
    assert kiosk.ask("POST", f"/iclock/fdata?SN={SERIAL}&table=photo", secret) == (200, "OK")
    rows = b"USER PIN=1\tName=A\nFP PIN=1\tTMP=TEMPLATE-OF-A-CHILD\n"
    assert kiosk.post("OPERLOG", rows) == (200, "OK: 2")
    assert not kiosk.matches
    assert len([fault for fault in kiosk.faults if "thrown away" in fault]) == 5
    seen = b"".join(data for _, data in kiosk.tapped)
    assert b"TEMPLATE-OF-A-CHILD" not in seen


def test_a_body_over_its_limit_is_refused_and_told(kiosk: Kiosk) -> None:
    small = Kiosk(free_port(), {"body_bytes_max": 1024})
    small.reader.open()
    assert small.post("ATTLOG", ROW * 40)[0] == 413
    assert small.faults == ["a request that is too large"]
    small.reader.close()


def test_who_calls_too_often_is_told_to_wait(kiosk: Kiosk) -> None:
    slow = Kiosk(free_port(), {"requests_per_minute": 10})
    slow.reader.open()
    statuses = [slow.ask("GET", f"/iclock/ping?SN={SERIAL}")[0] for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    slow.now_ns += 6_000_000_000
    assert slow.ask("GET", f"/iclock/ping?SN={SERIAL}")[0] == 200
    slow.reader.close()


@pytest.mark.parametrize(("target", "status"), [("/", 404), ("/admin", 404), ("/iclock/new?SN=" + SERIAL, 200)])
def test_other_paths(kiosk: Kiosk, target: str, status: int) -> None:
    assert kiosk.ask("GET", target)[0] == status


@pytest.mark.parametrize("year", ["0000", "0001", "1970", "2000", "9999"])
def test_no_time_that_a_terminal_may_show_stops_the_rows_behind_it(kiosk: Kiosk, year: str) -> None:
    """It is sent again until it is answered OK: a row that cannot be taken would hold up all others for ever."""
    assert kiosk.post("ATTLOG", f"7\t{year}-01-01 00:00:00\t0\t25\t0\n" + ROW) == (200, "OK: 2")
    assert kiosk.matches[-1].number == "1001"
    assert kiosk.faults


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS"])
def test_what_no_terminal_says_is_refused_and_the_next_call_is_served(kiosk: Kiosk, method: str) -> None:
    assert kiosk.ask(method, f"/iclock/cdata?SN={SERIAL}") == (405, "")
    assert kiosk.faults == ["a request that is neither GET nor POST"]
    assert kiosk.post("ATTLOG", ROW) == (200, "OK: 1")


def test_one_connection_may_carry_many_requests_also_at_once(kiosk: Kiosk) -> None:
    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
            rows = [ROW.replace("1001", str(number)) for number in range(5)]
            for row in rows:
                terminal.sendall(request(row))
            said = b""
            while said.count(b"OK: 1") < len(rows):
                said += terminal.recv(4096)
            return said

    kiosk.serve(talk)
    assert [match.number for match in kiosk.matches] == ["0", "1", "2", "3", "4"]


def test_many_that_say_nothing_keep_nobody_out(kiosk: Kiosk) -> None:
    idle: list[socket.socket] = []
    for _ in range(3 * PEERS_MAX):
        idle.append(socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S))
        kiosk.reader.read(0)
    assert kiosk.post("ATTLOG", ROW) == (200, "OK: 1")
    for each in idle:
        each.close()


def test_a_connection_that_stops_in_the_middle_is_hung_up_on(kiosk: Kiosk) -> None:
    with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
        terminal.sendall(b"POST /iclock/cdata?SN=1 HTTP/1.1\r\n")
        for _ in range(5):
            kiosk.reader.read(0.02)
        kiosk.now_ns += (CALLER_IDLE_S + 1) * 1_000_000_000
        kiosk.reader.read(0)
        assert terminal.recv(1) == b""
    assert kiosk.reader._callers.connections == 0


def test_a_request_that_comes_a_byte_now_and_then_is_hung_up_on(kiosk: Kiosk) -> None:
    with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as terminal:
        for _ in range(REQUEST_WAIT_S // 10 + 1):
            terminal.sendall(b"P")
            for _ in range(3):
                kiosk.reader.read(0.02)
            kiosk.now_ns += 10 * 1_000_000_000
        kiosk.reader.read(0)
        assert terminal.recv(1) == b""
    assert kiosk.reader._callers.connections == 0


def test_a_terminal_is_there_while_it_calls_within_its_interval(kiosk: Kiosk) -> None:
    kiosk.now_ns += 10**13
    kiosk.reader.read(0)
    assert f"{SERIAL} has not called yet" in kiosk.reader.absence()
    kiosk.ask("GET", f"/iclock/ping?SN={SERIAL}")
    kiosk.now_ns += 90 * SECOND_NS
    assert kiosk.reader.absence() == ""
    kiosk.now_ns += 1
    with pytest.raises(DeviceGone, match="no terminal calls"):
        kiosk.reader.read(0)
    for _ in range(3):  # and it stays gone over a reopen
        assert f"{SERIAL} has not called for 90 s" in kiosk.reader.absence()
        kiosk.reader.close()
        kiosk.reader.open()
    kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")
    assert kiosk.reader.absence() == ""


def test_of_two_terminals_the_one_that_is_silent_is_named() -> None:
    two = Kiosk(free_port(), {"serials": ["SN1", "SN2"]})
    two.reader.open()
    two.ask("GET", "/iclock/ping?SN=SN1")
    assert two.reader.absence().startswith("SN2 has not called yet:")
    assert isinstance(two.reader, TerminalSource)
    two.reader.close()


def test_an_unsynchronised_kiosk_leaves_a_terminals_clock_alone(kiosk: Kiosk) -> None:
    kiosk.reader.trusts_wall = lambda: False
    options = kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")[1]
    assert "SyncTime" not in options
    assert kiosk.post("ATTLOG", ROW) == (200, "OK: 1")
    assert not kiosk.matches[0].clock_suspect, "nothing is known of it"
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}") == (200, "OK")
    assert kiosk.ask("GET", f"/iclock/rtdata?SN={SERIAL}&type=time") == (200, "OK")
    assert not any(b"Date:" in data for direction, data in kiosk.tapped if direction == "SEND")
    kiosk.reader.trusts_wall = lambda: True
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")[1].startswith("C:1:SET OPTION DateTime=")


def test_a_wall_clock_from_before_this_program_is_not_synchronised(kiosk: Kiosk) -> None:
    """The field's case: the kiosk says 2024, the terminal says what is so."""
    kiosk.reader.wall = lambda: datetime(2024, 3, 1, tzinfo=UTC)
    kiosk.post("ATTLOG", "1\t2026-11-30 12:00:00\t0\t25\t0")
    assert not kiosk.matches[0].clock_suspect
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}") == (200, "OK")


def row_at(minutes: float, number: str = "1001") -> str:
    """A row of a moment so many minutes from NOW."""
    local = (NOW + timedelta(minutes=minutes, hours=5)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{number}\t{local}\t0\t25\t0\n"


def test_a_live_terminal_whose_rows_are_hours_off_is_told_and_its_rows_name_the_offset(kiosk: Kiosk) -> None:
    for _ in range(9):  # it calls, and has nothing to tell
        kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")
        kiosk.now_ns += 10 * SECOND_NS
    kiosk.post("ATTLOG", row_at(-180))
    (match,) = kiosk.matches
    assert (match.clock_suspect, match.offset_s) == (True, -10_800)
    assert match.clock_run
    assert any("3 h 0 min behind this machine's clock" in fault for fault in kiosk.faults)
    (clock,) = kiosk.reader.doubted_clocks()
    assert (clock.terminal, clock.offset_s, clock.run) == (SERIAL, -10_800, f"palm {SERIAL} {match.clock_run}")
    kiosk.post("ATTLOG", row_at(-181, "7"))
    assert kiosk.matches[1].clock_run == match.clock_run, "off by the same"
    kiosk.post("ATTLOG", row_at(0, "8"))
    assert not kiosk.matches[2].clock_suspect
    assert not kiosk.reader.doubted_clocks()


def test_rows_of_a_network_that_was_away_are_late_and_no_wrong_clock(kiosk: Kiosk) -> None:
    kiosk.post("ATTLOG", row_at(-2 * 1440) + row_at(-2 * 1440 + 250))
    kiosk.post("ATTLOG", row_at(-300, "7"))
    assert not any(match.clock_suspect for match in kiosk.matches)
    assert [fault for fault in kiosk.faults if "if it was not cut off then, its clock is wrong" in fault]


def test_a_clock_that_is_always_as_far_behind_is_slow_and_not_late(kiosk: Kiosk) -> None:
    kiosk.post("ATTLOG", row_at(-180))
    kiosk.now_ns += 61 * SECOND_NS
    kiosk.post("ATTLOG", row_at(-180.5, "7"))
    assert [match.clock_suspect for match in kiosk.matches] == [False, True]


def test_a_refused_command_to_set_the_clock_is_told_and_rows_behind_are_held(kiosk: Kiosk) -> None:
    kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")
    assert kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")[1].startswith("C:1:SET OPTION")
    kiosk.ask("POST", f"/iclock/devicecmd?SN={SERIAL}", "ID=9&Return=-1&CMD=SET OPTION")
    assert not kiosk.faults, "that is the answer to no command of ours"
    kiosk.ask("POST", f"/iclock/devicecmd?SN={SERIAL}", "ID=1&Return=-1004&CMD=SET OPTION")
    assert [clock.why for clock in kiosk.reader.doubted_clocks()] == ["it refuses our time (answer -1004)"]
    assert any("refuses our time (answer -1004)" in fault for fault in kiosk.faults)
    kiosk.post("ATTLOG", row_at(-60))
    assert (kiosk.matches[0].clock_suspect, kiosk.matches[0].offset_s) == (True, -3600)
    kiosk.post("ATTLOG", row_at(0, "7"))
    assert not kiosk.reader.doubted_clocks(), "a row of this moment proves it right"


@pytest.mark.parametrize(
    "answer",
    ["ID=1&Return=-1&CMD=SET OPTION", "id=1&return=-1&cmd=SET OPTION", "ID=1\nSN=X\nCMD=SET OPTION\nReturn=-1\n",
     "ID=7&Return=0&CMD=DATA\nID=1&SN=X&CMD=SET OPTION&Return=-1\n"],
)  # fmt: skip
def test_a_refused_time_is_told_in_every_form_of_the_answer_also_after_an_absence(kiosk: Kiosk, answer: str) -> None:
    kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")
    kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")
    kiosk.reader.close()
    kiosk.reader.open()  # the port was opened again because nobody called
    kiosk.ask("POST", f"/iclock/devicecmd?SN={SERIAL}", answer)
    assert [clock.why for clock in kiosk.reader.doubted_clocks()] == ["it refuses our time (answer -1)"]


def test_a_planned_time_outlives_an_absence(kiosk: Kiosk) -> None:
    kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")
    kiosk.reader.close()
    kiosk.reader.open()
    assert "SET OPTION DateTime" in kiosk.ask("GET", f"/iclock/getrequest?SN={SERIAL}")[1]


def test_a_clock_set_at_the_terminal_is_told_by_a_log_without_a_table_too(kiosk: Kiosk) -> None:
    kiosk.ask("POST", f"/iclock/cdata?SN={SERIAL}", "OPLOG 21\t0\t2026-11-20 06:41:00\t0\t0\t0\t0\n")
    assert [clock.why for clock in kiosk.reader.doubted_clocks()] == ["its clock was set at the terminal"]


def test_two_wrong_clocks_within_a_second_are_two_runs(kiosk: Kiosk) -> None:
    kiosk.post("OPERLOG", "OPLOG 21\t0\t2026-11-20 06:41:00\t0\t0\t0\t0\n")
    kiosk.post("ATTLOG", row_at(-4))
    kiosk.post("ATTLOG", row_at(240, "7"))
    slow, fast = kiosk.matches
    assert (slow.offset_s, fast.offset_s) == (-240, 14_400)
    assert slow.clock_run != fast.clock_run, "or one confirmation would move rows of the other clock"


def test_a_clock_that_was_set_at_the_terminal_is_doubted_until_it_is_measured(kiosk: Kiosk) -> None:
    kiosk.post("ATTLOG", ROW)
    kiosk.post("OPERLOG", "OPLOG 4\t0\t2026-11-20 09:41:00\t0\t0\t0\t0\n")
    assert not kiosk.reader.doubted_clocks()
    kiosk.post("OPERLOG", "OPLOG 21\t0\t2026-11-20 06:41:00\t0\t0\t0\t0\n")
    assert [clock.why for clock in kiosk.reader.doubted_clocks()] == ["its clock was set at the terminal"]
    kiosk.post("ATTLOG", row_at(-179, "7"))
    assert (kiosk.matches[1].clock_suspect, kiosk.matches[1].offset_s) == (True, -179 * 60)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(-400, 400), st.booleans()), max_size=12),
    st.integers(-36_000, 36_000).filter(lambda offset: abs(offset) > 700),
)
def test_a_wrong_clock_is_never_believed_again_before_a_row_of_this_moment(
    calls: list[tuple[int, int, bool]], offset: int
) -> None:
    clock, now, now_ns = TerminalClock(), NOW, 10**9
    clock.refuse_setting("-1")
    for waited, jitter, with_rows in calls:
        now, now_ns = now + timedelta(seconds=waited), now_ns + waited * SECOND_NS
        clock.hear(now, now_ns, 90 * SECOND_NS, with_rows=with_rows)
        if with_rows:
            row = clock.judge([now + timedelta(seconds=offset + jitter / 10)], now, now_ns)
            assert row.suspect
            assert abs(row.offset.total_seconds() - offset) <= 80


def test_the_ways_of_recognition(kiosk: Kiosk) -> None:
    rows = "".join(f"{code}\t2026-11-20 09:40:15\t0\t{code}\n" for code in (1, 4, 15, 25, 77, 200))
    kiosk.post("ATTLOG", rows)
    assert [match.method for match in kiosk.matches] == ["finger", "card", "face", "palm", "palm", "manual"]


def test_a_terminal_in_another_zone_and_one_whose_clock_is_left_alone(kiosk: Kiosk) -> None:
    other = Kiosk(free_port(), {"utc_offset": "-03:30", "time_zone_form": "minutes"})
    other.reader.open()
    assert "TimeZone=-210\n" in other.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")[1]
    other.post("ATTLOG", "1\t2026-11-20 01:00:00\t0\t25\n")
    assert other.matches[0].seen_at == datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
    other.reader.close()
    alone = Kiosk(free_port(), {"time_zone_form": "omit"})
    alone.reader.open()
    assert "TimeZone" not in alone.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")[1]
    assert alone.ask("GET", f"/iclock/getrequest?SN={SERIAL}") == (200, "OK")
    alone.reader.close()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"utc_offset": "Asia/Almaty"}, NotSupported, "accepted: an offset such as"),
        ({"utc_offset": "+05:30", "time_zone_form": "hours"}, NotSupported, "use minutes or offset"),
        ({"listen": "127.0.0.1:99999"}, NotSupported, "accepted: 1 to 65535"),
        ({"listen": "203.0.113.7:8081"}, DeviceGone, "no address of this machine"),
        ({"listen": "127.0.0.1"}, NotSupported, "listen"),
        ({"serials": []}, NotSupported, "serials"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Kiosk(free_port(), options).reader.open()


def test_a_port_that_another_program_serves(kiosk: Kiosk) -> None:
    with pytest.raises(DeviceBusy, match="lsof"):
        Kiosk(kiosk.port).reader.open()


def test_what_was_tapped_can_be_played_again(kiosk: Kiosk) -> None:
    kiosk.ask("GET", f"/iclock/cdata?SN={SERIAL}&options=all")
    kiosk.post("ATTLOG", ROW)
    kiosk.post("ATTPHOTO", b"\xff\xd8" * 1000)
    kiosk.post("ATTLOG", ROW.replace("1001", "1002"))
    memory = MemoryTransport()
    replayed = ZkAdms(
        "palm",
        parse(ZkAdmsSettings, {"listen": "x:1", "serials": [SERIAL]}),
        clock=lambda: kiosk.now_ns,
        transport=memory,
        wall=lambda: NOW,
    )
    replayed.open()
    for direction, data in kiosk.tapped:
        if direction == "RECV":
            memory.put(data)
    events = [event for _ in range(20) for event in replayed.read(0)]
    assert events == kiosk.events
