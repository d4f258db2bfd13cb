"""Operators over HTTP: the first head, own PINs, rights by role, and what ends a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from edge_agent.domain.operators import OperatorRole
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.screen.ports import DayBoard, TodayRow
from edge_agent.screen.server import ScreenServer
from sync.contract.chain import Epoch
from sync.contract.event import Method, PersonId
from tests.edge_agent.screen.desk import FakeStaffDesk, open_client, run_screen

HEAD_PIN, COOK_PIN = "314159", "271828"


@pytest.fixture
def book(tmp_path: Path) -> OperatorBook:
    return OperatorBook(tmp_path, CommonPin("2468", ("Cook",)))


@contextmanager
def head_at(screen: ScreenServer) -> Iterator[httpx.Client]:
    with open_client(screen) as head:
        made = head.post("/staff/first-head", json={"name": "Гүлнар", "pin": "2468", "new_pin": HEAD_PIN})
        assert (made.status_code, made.json()) == (200, {"operator": "Гүлнар"})
        yield head


def why(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["why"]


def test_the_common_pin_makes_the_first_head_once_and_then_opens_nothing(book: OperatorBook) -> None:
    with run_screen(operators=book) as screen, open_client(screen) as cook:
        old = {"pin": "2468", "operator": "Cook"}
        assert cook.get("/staff/session").json()["first"] is True
        assert cook.post("/staff/sign-in", json=old).status_code == 200
        assert cook.get("/staff/groups").status_code == 200
        first = {"name": "Somebody", "pin": "1111", "new_pin": HEAD_PIN}
        assert why(cook.post("/staff/first-head", json=first)) == (403, "wrong_pin")
        assert why(cook.post("/staff/first-head", json={**first, "new_pin": "123456"})) == (409, "pin_easy")
        with head_at(screen) as head:
            session = head.get("/staff/session").json()
            assert (session["operator"], session["first"], "operators" in session["rights"]) == ("Гүлнар", False, True)
            assert why(cook.get("/staff/groups")) == (403, "signed_out")
            assert why(cook.post("/staff/sign-in", json=old)) == (403, "wrong_pin")
            assert why(cook.post("/staff/first-head", json={**first, "pin": "2468"})) == (403, "wrong_pin")


def test_who_is_added_changes_the_given_pin_and_acts_under_an_id(book: OperatorBook) -> None:
    station = FakeStaffDesk()
    with run_screen(station, operators=book) as screen, head_at(screen) as head, open_client(screen) as cook:
        given = head.post("/staff/operators/add", json={"name": "Анна Ли", "roles": ["cook"]}).json()
        anna = given["operator"]
        assert why(cook.post("/staff/sign-in", json={"pin": given["pin"], "operator": anna})) == (403, "pin_to_change")
        assert cook.get("/staff/groups").status_code == 403
        own = {"operator": anna, "pin": given["pin"], "new_pin": COOK_PIN}
        assert cook.post("/staff/pin", json=own).status_code == 200
        assert cook.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}).status_code == 200
        assert station.rows == [("enter", "p1", anna, "forgot_card")]

        assert why(cook.get("/staff/operators")) == (403, "not_your_role")
        assert why(cook.post("/staff/operators/block", json={"operator": anna})) == (403, "not_your_role")
        assert [row["name"] for row in head.get("/staff/operators").json()] == ["Анна Ли", "Гүлнар"]

        head.post("/staff/operators/pin", json={"operator": anna})
        assert why(cook.get("/staff/groups")) == (403, "signed_out")
        assert why(cook.post("/staff/sign-in", json={"pin": COOK_PIN, "operator": anna})) == (403, "wrong_pin")


def test_today_names_the_operator_of_an_entry_even_a_blocked_one(book: OperatorBook) -> None:
    class DayOfAnna(FakeStaffDesk):
        def read_day(self) -> DayBoard:
            row = TodayRow(
                Epoch("ab"), 7, PersonId("p1"), "А", "3", "09:41", "s", Method.MANUAL, False, anna.id, "twice"
            )
            return DayBoard("2026-11-30", (row, replace(row, operator="op-elsewhere")), ())

    with run_screen(DayOfAnna(), operators=book) as screen, head_at(screen) as head:
        anna, _ = book.add("Анна Ли", (OperatorRole.COOK,))
        book.block(anna.id)
        rows = head.get("/staff/today").json()["rows"]
    assert [row["operator"] for row in rows] == ["Анна Ли", "op-elsewhere"]


def test_a_blocked_operator_is_out_at_once(book: OperatorBook) -> None:
    with run_screen(operators=book) as screen, head_at(screen) as head, open_client(screen) as cook:
        anna, given = book.add("Анна Ли", (OperatorRole.COOK,))
        own = {"operator": anna.id, "pin": given, "new_pin": COOK_PIN}
        assert cook.post("/staff/pin", json=own).status_code == 200
        assert head.post("/staff/operators/block", json={"operator": anna.id}).status_code == 200
        assert why(cook.get("/staff/groups")) == (403, "signed_out")
        assert why(cook.post("/staff/sign-in", json={"pin": COOK_PIN, "operator": anna.id})) == (403, "wrong_pin")
        me = book.choices()[0].id
        assert why(head.post("/staff/operators/block", json={"operator": me})) == (409, "last_head")
        assert "Анна Ли" not in [choice["name"] for choice in head.get("/staff/session").json()["choices"]]


def test_a_technician_confirms_clocks_and_sees_no_child(book: OperatorBook) -> None:
    with run_screen(operators=book) as screen, head_at(screen), open_client(screen) as technician:
        erlan, given = book.add("Ерлан", (OperatorRole.TECHNICIAN,))
        own = {"operator": erlan.id, "pin": given, "new_pin": COOK_PIN}
        assert technician.post("/staff/pin", json=own).status_code == 200
        assert technician.get("/staff/clocks").status_code == 200
        refused = [
            technician.get("/staff/groups"),
            technician.post("/staff/find", json={"text": "Ай"}),
            technician.post("/staff/enter", json={"person": "p1", "reason": "forgot_card"}),
            technician.post("/staff/void", json={"epoch": "e", "seq": 1, "reason": "twice"}),
        ]
        assert [why(response) for response in refused] == [(403, "not_your_role")] * 4


@pytest.mark.parametrize("path", ["/staff/pin", "/staff/first-head", "/staff/operators/add", "/staff/operators/pin"])
def test_a_malformed_request_about_operators_does_nothing(book: OperatorBook, path: str) -> None:
    with run_screen(operators=book) as screen, head_at(screen) as head:
        bodies: list[object] = [{}, [], {"name": "", "roles": ["cook"]}, {"name": "A", "roles": ["owner"]}]
        for body in (*bodies, {"name": "A", "roles": []}):
            assert why(head.post(path, json=body)) == (400, "malformed")
    assert len(book.list_all()) == 1
