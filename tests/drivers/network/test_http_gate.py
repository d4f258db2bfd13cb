"""The whole driver over loopback, against a simulated system that posts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.errors import DeviceGone, NotSupported
from drivers.network.http_gate import HttpGate, HttpGateSettings
from drivers.readings import CardRead, DeviceEvent, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.simulated.gate_system import GateAnswer, GateSystem

SECRET = b"0123456789abcdef0123"
NOW = datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC)
HANG_S = 20.0
SIGUR = {
    "records": "/logs",
    "where": {"/type": ["PASS_DETECTED"]},
    "person": "/emp/number",
    "id": "/id",
    "time": "/time",
}


def passed(number: int, person: str = "1001", **more: object) -> dict[str, object]:
    time = (NOW + timedelta(seconds=number)).isoformat()
    return {"id": number, "type": "PASS_DETECTED", "emp": {"number": person}, "time": time, **more}


class KioskAtGate:
    """A driver that one thread reads, as the agent does."""

    def __init__(self, folder: Path) -> None:
        self.secret_file = folder / "secret"
        self.secret_file.write_bytes(SECRET + b"\n")
        self.secret_file.chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.events: list[DeviceEvent] = []
        self.gone: list[str] = []
        self.now, self.now_ns = NOW, 0
        self.shown = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, **options: object) -> GateSystem:
        settings = parse(
            HttpGateSettings, {"listen": self.address, "secret_file": str(self.secret_file), **SIGUR, **options}
        )
        self.reader = HttpGate(
            "gate",
            settings,
            clock=lambda: time.monotonic_ns() + self.now_ns,
            wall=lambda: self.now,
            tap=self._tap,
        )
        self.reader.open()
        self._stop.clear()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return GateSystem(self.address, SECRET, auth=str(options.get("auth", "token")))

    def _tap(self, _: str, data: bytes) -> None:
        self.shown += data

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
            assert time.monotonic() < until, self.events
            time.sleep(0.01)

    @property
    def people(self) -> list[str]:
        return [event.number for event in self.events if isinstance(event, PersonMatched)]

    @property
    def faults(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, StreamFault)]


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[KioskAtGate]:
    kiosk = KioskAtGate(tmp_path)
    yield kiosk
    kiosk.stop()


@pytest.mark.parametrize("auth", ["token", "basic", "hmac"])
def test_a_batch_is_taken_and_answered(kiosk: KioskAtGate, auth: str) -> None:
    system = kiosk.start(auth=auth)
    denied = passed(3, "1003") | {"type": "DENIED"}
    assert system.post({"logs": [passed(1), passed(2, "1002"), denied]}) == GateAnswer(200, "OK")
    assert kiosk.people == ["1001", "1002"]
    assert SECRET not in kiosk.shown
    first = next(event for event in kiosk.events if isinstance(event, PersonMatched))
    assert first.seen_at == NOW + timedelta(seconds=1)


def test_the_answer_leaves_after_the_readings_were_taken(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    kiosk.stop()
    kiosk.start()
    answers: list[GateAnswer] = []
    kiosk._stop.set()  # nobody reads: the caller waits
    assert kiosk._thread is not None
    kiosk._thread.join(HANG_S)
    caller = threading.Thread(target=lambda: answers.append(system.post({"logs": [passed(1)]})), daemon=True)
    caller.start()
    events: list[DeviceEvent] = []

    def has_come() -> bool:
        events.extend(kiosk.reader.read(0.05))
        return bool(events)

    kiosk.wait(has_come)
    assert not answers
    kiosk.reader.read(0)
    caller.join(HANG_S)
    assert answers == [GateAnswer(200, "OK")]


def test_what_nobody_could_take_is_taken_when_it_comes_again(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    kiosk._stop.set()
    assert kiosk._thread is not None
    kiosk._thread.join(HANG_S)
    answers: list[GateAnswer] = []
    caller = threading.Thread(target=lambda: answers.append(system.post({"logs": [passed(1)]})), daemon=True)
    caller.start()
    events: list[DeviceEvent] = []

    def has_come() -> bool:
        events.extend(kiosk.reader.read(0.05))
        return bool(events)

    kiosk.wait(has_come)
    kiosk.reader.close()  # the station had no room: nothing is answered
    caller.join(HANG_S)
    assert answers == [GateAnswer(0)]
    kiosk.reader.open()
    kiosk._stop.clear()
    kiosk._thread = threading.Thread(target=kiosk._read, daemon=True)
    kiosk._thread.start()
    assert system.post({"logs": [passed(1)]}) == GateAnswer(200, "OK")
    assert kiosk.people == ["1001"]


def test_what_comes_twice_counts_once_over_a_reopen_too(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    body = {"logs": [passed(1), passed(1), passed(2)]}
    assert system.post(body).status == 200
    assert system.post(body).status == 200
    kiosk.reader.close()
    kiosk.stop()
    kiosk.reader.open()
    kiosk._stop.clear()
    kiosk._thread = threading.Thread(target=kiosk._read, daemon=True)
    kiosk._thread.start()
    assert system.post(body).status == 200
    assert kiosk.people == ["1001", "1001"]


@pytest.mark.parametrize("auth", ["token", "basic", "hmac"])
def test_a_call_without_the_secret_is_refused_and_told(kiosk: KioskAtGate, auth: str) -> None:
    kiosk.start(auth=auth)
    liar = GateSystem(kiosk.address, b"0123456789abcdef0124", auth=auth)
    answer = liar.post({"logs": [passed(1)]})
    assert answer.status == 401
    assert "secret_file" in answer.text
    kiosk.wait(lambda: bool(kiosk.faults))
    assert not kiosk.people
    assert b"1001" not in kiosk.shown


def test_a_signed_body_that_was_changed_is_refused(kiosk: KioskAtGate) -> None:
    system = kiosk.start(auth="hmac")
    body = b'{"logs":[]}'
    head = "".join(f"{name}: {value}\r\n" for name, value in system.proof(body).items())
    host, _, port = kiosk.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=HANG_S) as caller:
        changed = body.replace(b"[]", b"{}")
        caller.sendall(
            f"POST /gate HTTP/1.1\r\nHost: k\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + changed
        )
        assert b" 401 " in caller.recv(100)


def test_a_record_that_cannot_be_read_is_not_acknowledged_and_the_others_are_taken(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    broken = passed(2)
    del broken["emp"]
    answer = system.post({"logs": [passed(1), broken, passed(3, "1003")]})
    assert answer.status == 422
    assert answer.text.startswith("record 2: a record without /emp/number")
    assert kiosk.people == ["1001", "1003"]
    assert system.post({"logs": [passed(1), passed(2, "1002"), passed(3, "1003")]}).status == 200
    assert kiosk.people == ["1001", "1003", "1002"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [(b"rubbish", 400, "send JSON"), ({"other": 1}, 400, "/logs"), (b"x" * 300_000, 413, "")],
    ids=["rubbish", "elsewhere", "large"],
)
def test_a_wrong_body_hears_what_to_do(kiosk: KioskAtGate, content: object, status: int, said: str) -> None:
    system = kiosk.start()
    answer = system.post(content)
    assert answer.status == status or (status == 413 and answer.status == 0)
    assert said in answer.text
    kiosk.wait(lambda: bool(kiosk.faults))


def test_only_one_direction_is_taken(kiosk: KioskAtGate) -> None:
    system = kiosk.start(direction_at="/d", directions={"1": "in", "2": "out"}, only="out")
    answer = system.post({"logs": [passed(1, d=1), passed(2, "1002", d=2), passed(3, "1003", d=3)]})
    assert kiosk.people == ["1002"]
    assert answer.status == 422
    assert "directions" in answer.text


def test_a_card_is_read_at_once_and_refused_late(kiosk: KioskAtGate) -> None:
    system = kiosk.start(person="", card="/card", card_encoding="dec10")
    assert system.post({"logs": [passed(1, card="0012345678")]}).status == 200
    cards = [event for event in kiosk.events if isinstance(event, CardRead)]
    assert [card.again for card in cards] == [False, True]
    kiosk.now += timedelta(hours=1)
    answer = system.post({"logs": [passed(2, card="0012345678")]})
    assert answer.status == 422
    assert "person numbers" in answer.text


def test_late_people_carry_their_own_time(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    kiosk.now += timedelta(hours=3)
    assert system.post({"logs": [passed(1)]}).status == 200
    [match] = [event for event in kiosk.events if isinstance(event, PersonMatched)]
    assert match.seen_at == NOW + timedelta(seconds=1)
    assert not match.clock_suspect
    assert match.terminal == "gate"
    kiosk.now -= timedelta(hours=5)
    assert system.post({"logs": [passed(2)]}).status == 200
    assert [event.clock_suspect for event in kiosk.events if isinstance(event, PersonMatched)] == [False, True]


def test_perco_web_style(kiosk: KioskAtGate) -> None:
    """Names of PERCo-Web's report of passes, as public clients have them."""
    system = kiosk.start(
        records="/rows",
        where={},
        person="/tabel_number",
        id="/id",
        time="/time_label",
        time_form="iso",
        direction_at="/zone_enter",
        directions={"Canteen": "in", "Yard": "out"},
        only="in",
    )
    row = {
        "id": 9,
        "tabel_number": "1001",
        "time_label": "2026-11-20 09:40:15",
        "zone_enter": "Canteen",
        "fio": "N. N.",
    }
    assert system.post({"rows": [row, row | {"id": 10, "zone_enter": "Yard"}]}) == GateAnswer(200, "OK")
    assert kiosk.people == ["1001"]


def test_a_system_that_beats_is_there_and_one_that_does_not_is_gone(kiosk: KioskAtGate) -> None:
    system = kiosk.start(silence_s=60)
    assert "yet" in kiosk.reader.absence()
    kiosk.now_ns += 50 * 1_000_000_000
    assert system.beat().status == 200
    kiosk.now_ns += 50 * 1_000_000_000
    assert system.beat().status == 200
    assert kiosk.reader.absence() == ""
    kiosk.now_ns += 61 * 1_000_000_000
    kiosk.wait(lambda: bool(kiosk.gone))
    assert "for 60 s" in kiosk.reader.absence()


def test_a_system_that_never_called_is_not_there_and_one_without_an_interval_is_once_it_has(kiosk: KioskAtGate) -> None:
    system = kiosk.start()
    assert "yet" in kiosk.reader.absence()
    GateSystem(kiosk.address, b"0123456789abcdef0124").beat()
    assert "yet" in kiosk.reader.absence(), "who has not the secret is nobody"
    system.beat()
    kiosk.now_ns += 10**15
    assert kiosk.reader.absence() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"person": ""}, "person"),
        ({"id": "", "time": ""}, "id"),
        ({"only": "in"}, "only"),
        ({"secret_file": "/no/such/file"}, "secret_file"),
        ({"utc_offset": "Almaty"}, "utc_offset"),
    ],
)
def test_settings_that_cannot_work_say_what_to_do(kiosk: KioskAtGate, options: dict[str, object], said: str) -> None:
    with pytest.raises(NotSupported, match=said):
        kiosk.start(**options)


def test_a_short_or_open_secret_is_refused(kiosk: KioskAtGate) -> None:
    kiosk.secret_file.write_bytes(b"short")
    with pytest.raises(NotSupported, match="openssl rand"):
        kiosk.start()
    kiosk.secret_file.write_bytes(SECRET)
    kiosk.secret_file.chmod(0o644)
    with pytest.raises(NotSupported, match="chmod 600"):
        kiosk.start()
