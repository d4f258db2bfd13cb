"""The screen's server over real sockets: streams, refusals, staff acts, start and stop."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import KioskHealth
from edge_agent.domain.operators import WAIT_S_MAX, WRONG_FREE
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.screen.hub import CLIENTS_MAX
from edge_agent.screen.ports import ActionResult
from edge_agent.screen.server import ScreenServer, ScreenUnavailable
from sync.contract.event import PersonId
from tests.edge_agent.screen.desk import OPERATOR, PIN, FakeStaffDesk, open_client, run_screen

WELCOME = Feedback(
    FeedbackKind.WELCOME, "Айгерім", "kk", staff=StaffFeedback(reason="guest", name="Айгерім Сәрсенбаева", person="p1")
)


@pytest.fixture
def screen() -> Iterator[ScreenServer]:
    with run_screen() as server:
        yield server


def states(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yields id and body of each state event of a stream."""
    event_id = event = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "event":
            event = value
        elif name == "data" and event == "state":
            yield event_id, json.loads(value)


def big_notice(view: dict[str, object]) -> dict[str, object]:
    notice = view["big"]
    assert isinstance(notice, dict)
    return notice


def sign_in(requester: httpx.Client) -> None:
    assert requester.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR}).status_code == 200


# ---- Streams.


def test_a_stream_begins_with_the_present_state_and_follows(screen: ScreenServer) -> None:
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        views = states(stream.iter_lines())
        assert big_notice(next(views)[1])["state"] == "idle"
        screen.show(WELCOME)
        assert big_notice(next(views)[1])["greeting"] == "Айгерім"


def test_time_alone_brings_the_invitation_back(screen: ScreenServer) -> None:
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        views = states(stream.iter_lines())
        next(views)
        screen.show(WELCOME)
        assert big_notice(next(views)[1])["state"] == "welcome"
        assert big_notice(next(views)[1])["state"] == "idle"


def test_a_returning_client_gets_the_present_state(screen: ScreenServer) -> None:
    with open_client(screen) as requester:
        with requester.stream("GET", "/events") as stream:
            event_id, _ = next(states(stream.iter_lines()))
        screen.show(WELCOME)
        with requester.stream("GET", "/events", headers={"Last-Event-ID": event_id}) as stream:
            again, view = next(states(stream.iter_lines()))
        assert again != event_id
        assert big_notice(view)["greeting"] == "Айгерім"
        with requester.stream("GET", "/events", headers={"Last-Event-ID": again}) as stream:
            assert big_notice(next(states(stream.iter_lines()))[1])["greeting"] == "Айгерім"


def test_a_client_that_does_not_read_costs_no_memory_and_then_sees_the_newest(screen: ScreenServer) -> None:
    requester = socket.create_connection(("127.0.0.1", screen.port))
    requester.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    requester.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{screen.port}\r\n\r\n".encode())
    shown = 5_000
    for _ in range(shown):
        screen.show(Feedback(FeedbackKind.ASK_STAFF, "Ы" * 40))
    requester.settimeout(10)
    tail, events, last = b"", 0, f'"number":{shown},'.encode()
    while last not in tail:
        chunk = requester.recv(1 << 16)
        events += chunk.count(b"event: state")
        tail = (tail + chunk)[-(1 << 17) :]
    assert events < shown / 2  # the states in between were never queued
    requester.close()


def test_too_many_screens_get_503_and_a_time_to_retry(screen: ScreenServer) -> None:
    request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{screen.port}\r\n\r\n".encode()
    connections = []
    for _ in range(CLIENTS_MAX):
        connections.append(socket.create_connection(("127.0.0.1", screen.port)))
        connections[-1].sendall(request)
        assert connections[-1].recv(4096).startswith(b"HTTP/1.1 200")
    with open_client(screen) as requester:
        refused = requester.get("/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    for connection in connections:
        connection.close()


def test_the_staffs_stream_has_names_only_after_signing_in(screen: ScreenServer) -> None:
    screen.show(WELCOME)
    with open_client(screen) as requester:
        with requester.stream("GET", "/events/staff") as stream:
            nameless = json.dumps(next(states(stream.iter_lines()))[1], ensure_ascii=False)
        sign_in(requester)
        with requester.stream("GET", "/events/staff") as stream:
            named = json.dumps(next(states(stream.iter_lines()))[1], ensure_ascii=False)
    assert "guest" in nameless
    assert "Сәрсенбаева" not in nameless
    assert "Сәрсенбаева" in named


# ---- The guard.


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"]
)
def test_a_foreign_name_for_this_address_is_refused(screen: ScreenServer, host: str) -> None:
    with open_client(screen) as requester:
        for path in ("/", "/events", "/staff", "/metrics"):
            response = requester.get(path, headers={"Host": host.format(port=screen.port)})
            assert response.status_code == 421
            assert "events" not in response.text


def test_a_foreign_page_cannot_post(screen: ScreenServer) -> None:
    body = {"pin": PIN, "operator": OPERATOR}
    with open_client(screen) as requester:
        foreign = requester.post("/staff/sign-in", json=body, headers={"Origin": "http://evil.example"})
        form = requester.post("/staff/sign-in", data=body)
        own = requester.post("/staff/sign-in", json=body, headers={"Origin": f"http://127.0.0.1:{screen.port}"})
        long = requester.post("/staff/find", json={"text": "x" * 9_000})
    assert [response.status_code for response in (foreign, form, own, long)] == [403, 415, 200, 413]


def test_every_response_forbids_what_the_page_does_not_need(screen: ScreenServer) -> None:
    with open_client(screen) as requester:
        for path in ("/", "/staff", "/catalogues.json", "/page/child.js", "/page/none", "/health"):
            policy = requester.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["../server.py", "..%2Fserver.py", "%2e%2e/server.py", "child.html%00"])
def test_only_the_pages_own_files_are_served(screen: ScreenServer, name: str) -> None:
    with open_client(screen) as requester:
        assert requester.get(f"/page/{name}").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "kiosk.local"])
def test_the_screen_listens_on_loopback_only(host: str, tmp_path: Path) -> None:
    book = OperatorBook(tmp_path, CommonPin(None))
    with pytest.raises(ScreenUnavailable, match=r"127\.0\.0\.1"):
        ScreenServer(host, 0, timezone=ZoneInfo("Asia/Almaty"), operators=book)


# ---- Staff acts.


def test_without_signing_in_nothing_can_be_done() -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen, open_client(screen) as requester:
        responses = [
            requester.get("/staff/groups"),
            requester.post("/staff/find", json={"text": "Ай"}),
            requester.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}),
            requester.post("/staff/class", json={"group": "3 «Б»", "reason": "reader_down"}),
            requester.post("/staff/void", json={"epoch": "e", "seq": 1, "reason": "twice"}),
        ]
    assert [(response.status_code, response.json()["why"]) for response in responses] == [(403, "signed_out")] * 5
    assert station.rows == []


def test_staff_acts_carry_the_name_of_the_signed_in_operator() -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen, open_client(screen) as requester:
        sign_in(requester)
        people = requester.post("/staff/find", json={"text": "айгерім"}).json()
        assert people == [{"person": "p1", "name": "Айгерім Сәрсенбаева", "group": "3 «Б»"}]
        assert requester.get("/staff/groups").json() == ["3 «Б»", "7 «А»"]
        assert requester.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}).json() == {"rows": 1}
        assert requester.post("/staff/class", json={"group": "3 «Б»", "reason": "reader_down"}).json() == {"rows": 2}
        assert requester.post("/staff/void", json={"epoch": "ab", "seq": 7, "reason": "twice"}).json() == {"rows": 1}
        again = requester.post("/staff/void", json={"epoch": "ab", "seq": 7, "reason": "twice"})
        assert (again.status_code, again.json()) == (409, {"why": "already_void"})
        requester.post("/staff/sign-out", json={})
        assert requester.get("/staff/groups").status_code == 403
    assert {row[-2] for row in station.rows} == {OPERATOR}
    assert station.rows[0] == ("enter", "p1", OPERATOR, "forgot_card")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/staff/enter", {"person": "p1"}),
        ("/staff/enter", {"person": "p1", "reason": ""}),
        ("/staff/enter", {"person": "p1", "reason": "x" * 201}),
        ("/staff/enter", {"person": "p1", "reason": "twice", "operator": "somebody else"}),
        ("/staff/void", {"epoch": "e", "seq": 0, "reason": "twice"}),
        ("/staff/void", {"epoch": "e", "seq": "1", "reason": "twice"}),
        ("/staff/find", []),
    ],
)
def test_a_malformed_request_does_nothing(path: str, body: object) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen, open_client(screen) as requester:
        sign_in(requester)
        response = requester.post(path, json=body)
        assert (response.status_code, response.json()["why"]) == (400, "malformed")
    assert station.rows == []


def test_without_a_pin_the_actions_are_off() -> None:
    with run_screen(pin=None) as screen, open_client(screen) as requester:
        assert requester.get("/staff/session").json()["on"] is False
        response = requester.post("/staff/sign-in", json={"pin": "0000", "operator": OPERATOR})
        assert (response.status_code, response.json()["why"]) == (403, "no_pin_set")


def test_guessing_is_slowed_down(screen: ScreenServer) -> None:
    with open_client(screen) as requester:
        wrong = {"pin": "1111", "operator": "x"}
        statuses = [requester.post("/staff/sign-in", json=wrong).status_code for _ in range(WRONG_FREE + 2)]
        right = requester.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR})
    assert statuses == [403] * (WRONG_FREE + 1) + [429]
    assert (right.status_code, right.json()["why"]) == (429, "wait")
    assert 0 < int(right.headers["retry-after"]) <= WAIT_S_MAX + 1


def test_scripts_and_foreign_sites_cannot_read_the_cookie(screen: ScreenServer) -> None:
    with open_client(screen) as requester:
        cookie = requester.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_while_the_station_is_slow_the_screen_goes_on() -> None:
    class SlowStaffDesk(FakeStaffDesk):
        def __init__(self) -> None:
            super().__init__()
            self.entered, self.release = threading.Event(), threading.Event()

        def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
            self.entered.set()
            self.release.wait(10)
            return super().enter_by_hand(person, operator, reason)

    station = SlowStaffDesk()
    with run_screen(station) as screen, open_client(screen) as requester, open_client(screen) as second_asker:
        sign_in(requester)
        statuses: list[int] = []
        slow = threading.Thread(
            target=lambda: statuses.append(
                requester.post("/staff/enter", json={"person": "p1", "reason": "twice"}).status_code
            )
        )
        slow.start()
        assert station.entered.wait(10)
        with second_asker.stream("GET", "/events") as stream:
            views = states(stream.iter_lines())
            next(views)
            screen.show(WELCOME)
            assert big_notice(next(views)[1])["state"] == "welcome"
        station.release.set()
        slow.join(10)
    assert statuses == [200]


# ---- Health, counters, start and stop.


def test_health_says_503_only_while_nothing_can_be_recorded(screen: ScreenServer) -> None:
    with open_client(screen) as requester:
        assert requester.get("/health").status_code == 200
        screen.show_health(KioskHealth(recording=False))
        response = requester.get("/health")
    assert (response.status_code, response.json()["level"], response.json()["lines"][0]["subject"]) == (
        503,
        "act",
        "recording",
    )


def test_metrics_are_those_handed_in() -> None:
    registry = CollectorRegistry()
    Counter("canteen_scans", "Scans", registry=registry).inc(3)
    with run_screen(metrics=registry) as screen, open_client(screen) as requester:
        response = requester.get("/metrics")
    assert "canteen_scans_total 3.0" in response.text
    assert response.headers["content-type"].startswith("text/plain")


def test_an_occupied_port_is_an_error_that_says_what_to_do(screen: ScreenServer) -> None:
    with pytest.raises(ScreenUnavailable, match="set another port"), run_screen(port=screen.port):
        pass


def test_the_server_stops_quickly_with_open_streams_and_starts_again(screen: ScreenServer) -> None:
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        next(states(stream.iter_lines()))
        assert screen.is_alive()
        before = time.monotonic()
        screen.stop()
        assert time.monotonic() - before < 3
        assert not screen.is_alive()
    screen.stop()
    screen.show(WELCOME)  # no page is open, and no error comes
    screen.start()
    assert screen.is_alive()
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        assert big_notice(next(states(stream.iter_lines()))[1])["greeting"] == "Айгерім"


def test_showing_never_waits_for_a_page_that_reads_nothing(screen: ScreenServer) -> None:
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        next(states(stream.iter_lines()))
        for _ in range(5_000):  # more than any buffer between here and the page holds
            screen.show(WELCOME)
    with open_client(screen) as requester, requester.stream("GET", "/events") as stream:
        assert big_notice(next(states(stream.iter_lines()))[1])["greeting"] == "Айгерім"
