"""The screen's server over real sockets: streams, refusals, staff's actions, start and stop."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import KioskHealth
from edge_agent.screen.gate import WRONG_FREE
from edge_agent.screen.hub import CLIENTS_MAX
from edge_agent.screen.ports import ActionResult
from edge_agent.screen.server import ScreenServer, ScreenUnavailable
from sync.contract.event import PersonId
from tests.edge_agent.screen.desk import OPERATOR, PIN, FakeStaffDesk, client, running

WELCOME = Feedback(
    FeedbackKind.WELCOME, "Айгерім", "kk", staff=StaffFeedback(reason="guest", name="Айгерім Сәрсенбаева", person="p1")
)


@pytest.fixture
def screen() -> Iterator[ScreenServer]:
    with running() as server:
        yield server


def states(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """The id and the body of each state event of a stream."""
    event_id = event = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "event":
            event = value
        elif name == "data" and event == "state":
            yield event_id, json.loads(value)


def big(view: dict[str, object]) -> dict[str, object]:
    found = view["big"]
    assert isinstance(found, dict)
    return found


def sign_in(asker: httpx.Client) -> None:
    assert asker.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR}).status_code == 200


# ---- streams


def test_a_stream_begins_with_the_state_of_now_and_follows(screen: ScreenServer) -> None:
    with client(screen) as asker, asker.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        views = states(stream.iter_lines())
        assert big(next(views)[1])["state"] == "idle"
        screen.show(WELCOME)
        assert big(next(views)[1])["greeting"] == "Айгерім"


def test_time_alone_brings_the_invitation_back(screen: ScreenServer) -> None:
    with client(screen) as asker, asker.stream("GET", "/events") as stream:
        views = states(stream.iter_lines())
        next(views)
        screen.show(WELCOME)
        assert big(next(views)[1])["state"] == "welcome"
        assert big(next(views)[1])["state"] == "idle"


def test_who_comes_back_gets_the_state_of_now_whatever_was_seen(screen: ScreenServer) -> None:
    with client(screen) as asker:
        with asker.stream("GET", "/events") as stream:
            seen, _ = next(states(stream.iter_lines()))
        screen.show(WELCOME)
        with asker.stream("GET", "/events", headers={"Last-Event-ID": seen}) as stream:
            again, view = next(states(stream.iter_lines()))
        assert again != seen
        assert big(view)["greeting"] == "Айгерім"
        with asker.stream("GET", "/events", headers={"Last-Event-ID": again}) as stream:
            assert big(next(states(stream.iter_lines()))[1])["greeting"] == "Айгерім"


def test_a_client_that_does_not_read_costs_no_memory_and_then_sees_the_newest(screen: ScreenServer) -> None:
    asker = socket.create_connection(("127.0.0.1", screen.port))
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asker.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{screen.port}\r\n\r\n".encode())
    shown = 5_000
    for _ in range(shown):
        screen.show(Feedback(FeedbackKind.ASK_STAFF, "Ы" * 40))
    asker.settimeout(10)
    tail, events, last = b"", 0, f'"number":{shown},'.encode()
    while last not in tail:
        chunk = asker.recv(1 << 16)
        events += chunk.count(b"event: state")
        tail = (tail + chunk)[-(1 << 17) :]
    assert events < shown / 2  # the ones between were never queued
    asker.close()


def test_one_screen_too_many_is_told_to_come_back(screen: ScreenServer) -> None:
    request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{screen.port}\r\n\r\n".encode()
    held = []
    for _ in range(CLIENTS_MAX):
        held.append(socket.create_connection(("127.0.0.1", screen.port)))
        held[-1].sendall(request)
        assert held[-1].recv(4096).startswith(b"HTTP/1.1 200")
    with client(screen) as asker:
        refused = asker.get("/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    for one in held:
        one.close()


def test_the_staffs_stream_has_names_only_for_who_signed_in(screen: ScreenServer) -> None:
    screen.show(WELCOME)
    with client(screen) as asker:
        with asker.stream("GET", "/events/staff") as stream:
            nameless = json.dumps(next(states(stream.iter_lines()))[1], ensure_ascii=False)
        sign_in(asker)
        with asker.stream("GET", "/events/staff") as stream:
            named = json.dumps(next(states(stream.iter_lines()))[1], ensure_ascii=False)
    assert "guest" in nameless
    assert "Сәрсенбаева" not in nameless
    assert "Сәрсенбаева" in named


# ---- who may ask


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"]
)
def test_a_foreign_name_for_this_address_is_refused(screen: ScreenServer, host: str) -> None:
    with client(screen) as asker:
        for path in ("/", "/events", "/staff", "/metrics"):
            answer = asker.get(path, headers={"Host": host.format(port=screen.port)})
            assert answer.status_code == 421
            assert "events" not in answer.text


def test_a_foreign_page_cannot_post(screen: ScreenServer) -> None:
    body = {"pin": PIN, "operator": OPERATOR}
    with client(screen) as asker:
        foreign = asker.post("/staff/sign-in", json=body, headers={"Origin": "http://evil.example"})
        form = asker.post("/staff/sign-in", data=body)
        own = asker.post("/staff/sign-in", json=body, headers={"Origin": f"http://127.0.0.1:{screen.port}"})
        long = asker.post("/staff/find", json={"text": "x" * 9_000})
    assert [one.status_code for one in (foreign, form, own, long)] == [403, 415, 200, 413]


def test_every_answer_forbids_what_the_page_does_not_need(screen: ScreenServer) -> None:
    with client(screen) as asker:
        for path in ("/", "/staff", "/catalogues.json", "/page/child.js", "/page/none", "/health"):
            policy = asker.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["../server.py", "..%2Fserver.py", "%2e%2e/server.py", "child.html%00"])
def test_only_the_pages_own_files_are_served(screen: ScreenServer, name: str) -> None:
    with client(screen) as asker:
        assert asker.get(f"/page/{name}").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "kiosk.local"])
def test_the_screen_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ScreenUnavailable, match=r"127\.0\.0\.1"):
        ScreenServer(host, 0, timezone=ZoneInfo("Asia/Almaty"))


# ---- staff's actions


def test_who_is_not_signed_in_can_do_nothing() -> None:
    station = FakeStaffDesk()
    with running(station) as screen, client(screen) as asker:
        answers = [
            asker.get("/staff/groups"),
            asker.post("/staff/find", json={"text": "Ай"}),
            asker.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}),
            asker.post("/staff/class", json={"group": "3 «Б»", "reason": "reader_down"}),
            asker.post("/staff/void", json={"epoch": "e", "seq": 1, "reason": "twice"}),
        ]
    assert [(one.status_code, one.json()["why"]) for one in answers] == [(403, "signed_out")] * 5
    assert station.rows == []


def test_what_staff_do_carries_the_name_they_signed_in_with() -> None:
    station = FakeStaffDesk()
    with running(station) as screen, client(screen) as asker:
        sign_in(asker)
        found = asker.post("/staff/find", json={"text": "айгерім"}).json()
        assert found == [{"person": "p1", "name": "Айгерім Сәрсенбаева", "group": "3 «Б»"}]
        assert asker.get("/staff/groups").json() == ["3 «Б»", "7 «А»"]
        assert asker.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}).json() == {"rows": 1}
        assert asker.post("/staff/class", json={"group": "3 «Б»", "reason": "reader_down"}).json() == {"rows": 2}
        assert asker.post("/staff/void", json={"epoch": "ab", "seq": 7, "reason": "twice"}).json() == {"rows": 1}
        again = asker.post("/staff/void", json={"epoch": "ab", "seq": 7, "reason": "twice"})
        assert (again.status_code, again.json()) == (409, {"why": "already_void"})
        asker.post("/staff/sign-out", json={})
        assert asker.get("/staff/groups").status_code == 403
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
    with running(station) as screen, client(screen) as asker:
        sign_in(asker)
        answer = asker.post(path, json=body)
        assert (answer.status_code, answer.json()["why"]) == (400, "malformed")
    assert station.rows == []


def test_without_a_pin_the_actions_are_off() -> None:
    with running(pin=None) as screen, client(screen) as asker:
        assert asker.get("/staff/session").json()["on"] is False
        answer = asker.post("/staff/sign-in", json={"pin": "0000", "operator": OPERATOR})
        assert (answer.status_code, answer.json()["why"]) == (403, "no_pin_set")


def test_guessing_is_slowed_down(screen: ScreenServer) -> None:
    with client(screen) as asker:
        wrong = {"pin": "1111", "operator": "x"}
        statuses = [asker.post("/staff/sign-in", json=wrong).status_code for _ in range(WRONG_FREE + 2)]
        right = asker.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR})
    assert statuses == [403] * (WRONG_FREE + 1) + [429]
    assert (right.status_code, right.json()["why"]) == (429, "wait")
    assert 0 < int(right.headers["retry-after"]) <= 61


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(screen: ScreenServer) -> None:
    with client(screen) as asker:
        cookie = asker.post("/staff/sign-in", json={"pin": PIN, "operator": OPERATOR}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_while_the_station_is_slow_the_screen_goes_on() -> None:
    class SlowStation(FakeStaffDesk):
        def __init__(self) -> None:
            super().__init__()
            self.asked, self.go = threading.Event(), threading.Event()

        def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
            self.asked.set()
            self.go.wait(10)
            return super().enter_by_hand(person, operator, reason)

    station = SlowStation()
    with running(station) as screen, client(screen) as asker, client(screen) as other:
        sign_in(asker)
        answers: list[int] = []
        slow = threading.Thread(
            target=lambda: answers.append(
                asker.post("/staff/enter", json={"person": "p1", "reason": "twice"}).status_code
            )
        )
        slow.start()
        assert station.asked.wait(10)
        with other.stream("GET", "/events") as stream:
            views = states(stream.iter_lines())
            next(views)
            screen.show(WELCOME)
            assert big(next(views)[1])["state"] == "welcome"
        station.go.set()
        slow.join(10)
    assert answers == [200]


# ---- health, counters, life


def test_health_says_503_only_while_nothing_can_be_recorded(screen: ScreenServer) -> None:
    with client(screen) as asker:
        assert asker.get("/health").status_code == 200
        screen.show_health(KioskHealth(recording=False))
        answer = asker.get("/health")
    assert (answer.status_code, answer.json()["level"], answer.json()["lines"][0]["subject"]) == (
        503,
        "act",
        "recording",
    )


def test_metrics_are_those_handed_in() -> None:
    registry = CollectorRegistry()
    Counter("canteen_scans", "Scans", registry=registry).inc(3)
    with running(metrics=registry) as screen, client(screen) as asker:
        answer = asker.get("/metrics")
    assert "canteen_scans_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_taken_port_is_an_error_that_says_what_to_do(screen: ScreenServer) -> None:
    with pytest.raises(ScreenUnavailable, match="set another port"), running(port=screen.port):
        pass


def test_it_stops_at_once_with_streams_open_and_starts_again(screen: ScreenServer) -> None:
    with client(screen) as asker, asker.stream("GET", "/events") as stream:
        next(states(stream.iter_lines()))
        assert screen.is_alive()
        before = time.monotonic()
        screen.stop()
        assert time.monotonic() - before < 3
        assert not screen.is_alive()
    screen.stop()
    screen.show(WELCOME)  # nobody looks, nobody minds
    screen.start()
    assert screen.is_alive()
    with client(screen) as asker, asker.stream("GET", "/events") as stream:
        assert big(next(states(stream.iter_lines()))[1])["greeting"] == "Айгерім"


@pytest.mark.alone
def test_showing_never_waits_for_the_screen(screen: ScreenServer) -> None:
    with client(screen) as asker, asker.stream("GET", "/events") as stream:
        next(states(stream.iter_lines()))
        before = time.perf_counter()
        for _ in range(1_000):
            screen.show(WELCOME)
        assert (time.perf_counter() - before) / 1_000 < 0.002
