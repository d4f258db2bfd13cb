"""The whole driver, over loopback, against our simulated terminal: its own posts, its digest, its kept events."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.errors import DeviceGone, NotSupported
from drivers.network.hikvision import Hikvision
from drivers.network.hikvision_settings import HikvisionSettings
from drivers.readings import DeviceEvent, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.simulated.hikvision_terminal import HikvisionPeer
from drivers.unread import UnreadRequest

SERIAL = "DS-K1T341AM20220210V030230ENGA6820584"
PASSWORD = "Canteen2026"
HANG_S = 20.0
NOW = datetime(2026, 11, 20, 4, 40, tzinfo=UTC)


class KioskWithTerminal:
    """A driver that one thread reads, as the agent does, and its terminal."""

    def __init__(self, folder: Path) -> None:
        self.peer = HikvisionPeer(SERIAL, PASSWORD)
        self.now, self.now_ns = NOW, 0
        self.events: list[DeviceEvent] = []
        self.gone: list[str] = []
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.password_file.chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, **options: object) -> None:
        terminals = [{"serial": SERIAL, "address": self.peer.address}]
        settings = {
            "listen": f"127.0.0.1:{self.port}",
            "terminals": terminals,
            "password_file": str(self.password_file),
        } | options
        self.reader = Hikvision(
            "door",
            parse(HikvisionSettings, settings),
            clock=lambda: time.monotonic_ns() + self.now_ns,
            wall=lambda: self.now,
        )
        self.reader.open()
        self._stop.clear()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                self.events += self.reader.read(0.05)
            except DeviceGone as gone:
                self.gone.append(str(gone))
                return

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(HANG_S)
            self.reader.close()

    def wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + HANG_S
        while not is_so():
            assert time.monotonic() < until, (self.events, self.peer.asked)
            time.sleep(0.01)

    @property
    def matches(self) -> list[PersonMatched]:
        return [event for event in self.events if isinstance(event, PersonMatched)]

    @property
    def faults(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, StreamFault)]


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[KioskWithTerminal]:
    kiosk = KioskWithTerminal(tmp_path)
    yield kiosk
    kiosk.stop()
    kiosk.peer.stop()


def test_the_terminal_is_told_where_to_post_and_a_face_is_a_person(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    assert kiosk.peer.recognise("1001", NOW) == 200
    kiosk.wait(lambda: bool(kiosk.matches))
    [match] = kiosk.matches
    assert (match.number, match.method, match.seen_at, match.clock_suspect) == ("1001", "face", NOW, False)
    assert kiosk.peer.beat(NOW) == 200


def test_a_terminal_that_forgot_us_when_it_started_is_told_again_and_gives_what_it_kept(
    kiosk: KioskWithTerminal,
) -> None:
    kiosk.start(silence_s=86_400)
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.wait(lambda: kiosk.reader._schedules[SERIAL].checkup is None)
    kiosk.peer.recognise("1001", NOW)
    kiosk.peer.restart()
    assert kiosk.peer.recognise("1002", NOW + timedelta(seconds=30)) == 0
    kiosk.now_ns += 400 * 1_000_000_000  # the next look at it is due
    kiosk.wait(lambda: len(kiosk.matches) == 2)
    assert b"/hikvision/" in kiosk.peer.hosts
    assert [match.number for match in kiosk.matches] == ["1001", "1002"]
    assert kiosk.faults.count("a terminal had lost our address, and has it again") == 1
    assert kiosk.peer.recognise("1003", NOW + timedelta(seconds=60)) == 200
    kiosk.wait(lambda: len(kiosk.matches) == 3)


def test_what_was_not_answered_comes_again_late_and_counts_once(kiosk: KioskWithTerminal) -> None:
    kiosk.start(catch_up_h=0)
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.stop()
    early = NOW - timedelta(hours=2)
    assert kiosk.peer.recognise("1001", early) == 0
    assert kiosk.peer.recognise("1002", early + timedelta(minutes=1)) == 0
    kiosk.start(catch_up_h=0)
    assert kiosk.peer.post_kept() == 0
    kiosk.wait(lambda: len(kiosk.matches) == 2)
    assert [match.seen_at for match in kiosk.matches] == [early, early + timedelta(minutes=1)]
    assert not any(match.clock_suspect for match in kiosk.matches)
    again = kiosk.peer.events[0]
    assert kiosk.peer.post(again) == 200
    kiosk.stop()
    assert len(kiosk.matches) == 2


def test_an_event_that_did_not_come_is_noticed_and_fetched(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.wait(lambda: any("AcsEvent" in question for question in kiosk.peer.asked))
    kiosk.peer.recognise("1001", NOW)
    kiosk.peer.happen(75, NOW + timedelta(seconds=5), "1002")  # never posted
    kiosk.peer.recognise("1003", NOW + timedelta(seconds=9))
    kiosk.wait(lambda: len(kiosk.matches) == 3)
    assert sorted(match.number for match in kiosk.matches) == ["1001", "1002", "1003"]
    assert any("1 events of a terminal did not come" in what for what in kiosk.faults)


def test_a_live_terminal_whose_clock_is_hours_off_is_told_and_stands_on_the_row(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.peer.recognise("1001", NOW - timedelta(hours=3))
    kiosk.wait(lambda: bool(kiosk.matches))
    assert kiosk.matches[0].clock_suspect
    assert (kiosk.matches[0].terminal, kiosk.matches[0].offset_s) == (SERIAL, -3 * 3600)
    assert any("3 h 0 min behind" in what for what in kiosk.faults)
    [doubted] = kiosk.reader.doubted_clocks()
    assert (doubted.terminal, doubted.offset_s) == (SERIAL, -3 * 3600)
    kiosk.peer.recognise("1002", NOW)  # somebody set it
    kiosk.wait(lambda: len(kiosk.matches) == 2)
    assert not kiosk.matches[1].clock_suspect
    assert not kiosk.reader.doubted_clocks()


def test_a_kiosk_without_a_clock_doubts_nobody(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.reader.trusts_wall = lambda: False
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.peer.recognise("1001", NOW - timedelta(hours=3))
    kiosk.wait(lambda: bool(kiosk.matches))
    assert not kiosk.matches[0].clock_suspect


def test_presence_is_to_have_posted_within_silence(kiosk: KioskWithTerminal) -> None:
    kiosk.start(silence_s=60)
    assert "has not posted yet" in kiosk.reader.absence()
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.peer.beat(NOW)
    assert kiosk.reader.absence() == ""
    kiosk.now_ns += 61 * 1_000_000_000
    assert "for 60 s" in kiosk.reader.absence()


class UnreadShelf:
    """A store with room for a number of requests."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.requests: list[UnreadRequest] = []

    def keep(self, request: UnreadRequest) -> bool:
        if len(self.requests) == self.room:
            return False
        self.requests.append(request)
        return True


def test_an_event_of_an_unknown_code_is_stored_and_read_once_a_setting_names_it(
    kiosk: KioskWithTerminal,
) -> None:
    kiosk.start()
    shelf = kiosk.reader.unread = UnreadShelf(1)
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    assert kiosk.peer.post(kiosk.peer.happen(181, NOW, "1001", cardNo="0012345678")) == 200
    assert kiosk.peer.post(kiosk.peer.happen(181, NOW, "1002")) == 503, "what has no room stays in the terminal"
    [request] = shelf.requests
    assert "N. N." not in "".join(request.rows)
    assert "0012345678" not in "".join(request.rows)
    assert kiosk.reader.reread(request) is None
    kiosk.stop()
    kiosk.start(passes=[181], method="palm")
    [match] = kiosk.reader.reread(request) or []
    assert isinstance(match, PersonMatched)
    assert (match.number, match.method, match.seen_at) == ("1001", "palm", NOW)


def test_a_refused_face_is_told(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.peer.post(kiosk.peer.happen(76, NOW))
    kiosk.wait(lambda: any("a face that the terminal does not know" in what for what in kiosk.faults))
    assert not kiosk.matches


def test_a_terminal_that_gives_no_history_is_told_once(kiosk: KioskWithTerminal) -> None:
    kiosk.peer.gives_history = False
    kiosk.start()
    kiosk.wait(lambda: any("no past events" in what for what in kiosk.faults))
    kiosk.now_ns += 400 * 1_000_000_000
    asked = len(kiosk.peer.asked)
    kiosk.wait(lambda: len(kiosk.peer.asked) > asked + 1)
    assert sum("no past events" in what for what in kiosk.faults) == 1


def test_a_wrong_password_is_tried_once_and_not_again(kiosk: KioskWithTerminal) -> None:
    kiosk.password_file.write_text("wrong")
    kiosk.start(silence_s=86_400)
    kiosk.wait(lambda: any("password_file" in what for what in kiosk.faults))
    kiosk.now_ns += 600 * 1_000_000_000
    time.sleep(0.3)
    kiosk.stop()
    kiosk.reader.open()  # opening it again is no reason to try again
    kiosk.events += kiosk.reader.read(0.3)
    assert kiosk.reader._schedules[SERIAL].checkup is None
    assert sum("password_file" in what for what in kiosk.faults) == 1
    assert "wrong" not in "".join(kiosk.faults)


def test_another_terminal_at_that_address_is_named(kiosk: KioskWithTerminal) -> None:
    kiosk.peer.serial = "DS-K1T341AM20220210V030230ENGA0000001"
    kiosk.start()
    kiosk.wait(lambda: any("another terminal (GA0000001)" in what for what in kiosk.faults))
    assert b"/hikvision/" not in kiosk.peer.hosts


def test_silence_is_gone(kiosk: KioskWithTerminal) -> None:
    kiosk.start()
    kiosk.wait(lambda: b"/hikvision/" in kiosk.peer.hosts)
    kiosk.now_ns += 91 * 1_000_000_000
    kiosk.wait(lambda: bool(kiosk.gone))


@pytest.mark.parametrize(
    ("target", "body", "status", "said"),
    [
        ("/hikvision/DS-UNKNOWN", b"{}", 403, "add its serial number"),
        (f"/hikvision/{SERIAL}", b"rubbish", 400, "JSON"),
        (f"/hikvision/{SERIAL}", b"\xff" * 1_000_000, 413, ""),
        ("/other", b"{}", 404, "/hikvision/SERIAL"),
        (f"/hikvision/{SERIAL}", b'{"eventType":"heartBeat","shortSerialNumber":"GA0000001"}', 403, "each its own"),
    ],
    ids=["unknown", "rubbish", "megabyte", "elsewhere", "another"],
)
def test_a_call_that_is_wrong_hears_what_to_do(
    kiosk: KioskWithTerminal, target: str, body: bytes, status: int, said: str
) -> None:
    kiosk.start()
    with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as caller:
        head = f"POST {target} HTTP/1.1\r\nHost: k\r\nContent-Length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode())
        try:
            caller.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            assert status == 413, "only what is too large is hung up on before it has all come"
        answer = b""
        try:
            while chunk := caller.recv(4096):
                answer += chunk
        except ConnectionResetError:
            assert status == 413, "and its answer may be lost with the rest"
        else:
            assert f" {status} ".encode() in answer.split(b"\r\n")[0]
            assert said.encode() in answer
    kiosk.wait(lambda: bool(kiosk.faults))
    assert not kiosk.matches


def test_a_call_from_another_address_than_the_terminals_own_is_refused(kiosk: KioskWithTerminal) -> None:
    kiosk.start(terminals=[{"serial": SERIAL, "address": "127.0.0.2:9"}])
    with socket.create_connection(("127.0.0.1", kiosk.port), timeout=HANG_S) as caller:
        body = b'{"eventType":"heartBeat"}'
        caller.sendall(
            f"POST /hikvision/{SERIAL} HTTP/1.1\r\nHost: k\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        assert b" 403 " in caller.recv(100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password_file": ""}, "password_file"),
        ({"listen": "0.0.0.0:8082"}, "listen"),
        ({"utc_offset": "Almaty"}, "utc_offset"),
        ({"password_file": "/no/such/file"}, "password_file"),
    ],
)
def test_settings_that_cannot_work_say_what_to_do(
    kiosk: KioskWithTerminal, options: dict[str, object], said: str
) -> None:
    with pytest.raises(NotSupported, match=said):
        kiosk.start(**options)
