"""News of visits over real HTTP: signed, once a kind and entry, retried while the other side is away, nowhere else."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt, signature
from sync.contract.event import Claim, ClockQuality, Exit, Void
from sync.contract.roster import Entitlement, MealSession, Person
from sync.ledger.errors import NotUnderstood
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.judgement.days import settle_days
from sync.ledger.registry import rosters
from sync.ledger.transparency import webhooks
from tests.sync.ledger.kiosk import Kiosk, accepted, entry

DAY = "2026-11-20"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"receipts".ljust(32, b"."))
PUBLIC = KEY.public_key().public_bytes_raw()


@dataclass
class Listener:
    """Somebody who hears of visits, and whose server can be out of order."""

    url: str
    status: int = 204
    news: list[dict[str, object]] = field(default_factory=list)
    requests: int = 0


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            path, _, query = self.path.partition("?")
            verified = signature.verify(signature.SignableRequest("POST", path, query, headers, body), PUBLIC)
            assert verified.keyid == receipt.fingerprint(PUBLIC)
            heard.requests += 1
            if heard.status == 204:
                heard.news.append(json.loads(body))
            self.send_response(heard.status)
            self.send_header("location", "http://127.0.0.1:9/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Listener(f"http://127.0.0.1:{server.server_address[1]}/visits?school=1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield heard
    server.shutdown()
    server.server_close()
    thread.join()


def publish(db: psycopg.Connection, kiosk: Kiosk) -> int:
    return webhooks.enqueue_news(db, kiosk.school, settle_days(db, kiosk.school, now=NOW), NOW)


def test_each_kind_of_news_is_told_once_and_again_while_nobody_answers(
    db: psycopg.Connection, kiosk: Kiosk, listener: Listener
) -> None:
    hosts = ["127.0.0.1"]
    rosters.apply_changes(db, kiosk.school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in ("p0", "p1", "p2")),
        Entitlement(id="p1.state", person="p1", programme="state"),
    ])  # fmt: skip
    name = webhooks.add_webhook(db, kiosk.school, listener.url, hosts, by="school", now=NOW)
    base = {"school": kiosk.school, "boot": "b", "mono_ms": 1, "clock": ClockQuality.SYNCHRONISED}
    kiosk.record(
        entry("p1", school=kiosk.school, claim=Claim.CLAIMABLE, programme="state"),
        entry("p2", school=kiosk.school, minute=1),
        entry("p0", school=kiosk.school, day="2026-11-19"),  # before the webhook was there
        Exit(**base | {"at": f"{DAY}T04:30:00.000Z", "person": "p1", "session": "lunch", "service_date": DAY,
                       "entry_epoch": kiosk.epoch, "entry_seq": 1}),  # type: ignore[arg-type]
    )  # fmt: skip
    accepted(kiosk.send_all())
    assert publish(db, kiosk) == 4
    assert publish(db, kiosk) == 0
    listener.status = 503
    assert webhooks.deliver_due(db, KEY, hosts, NOW) == 0
    assert listener.requests == 1  # one that fails is left alone for the round
    [row] = webhooks.list_webhooks(db, kiosk.school)
    assert (row.webhook, row.waiting, row.failing) == (name, 4, 4)
    listener.status = 302
    later = NOW + timedelta(minutes=1)
    assert webhooks.deliver_due(db, KEY, hosts, later) == 0  # nobody follows to where it points
    listener.status = 204
    assert webhooks.deliver_due(db, KEY, hosts, later) == 0  # not due yet
    later += timedelta(minutes=2)
    assert webhooks.deliver_due(db, KEY, hosts, later) == 4
    assert webhooks.deliver_due(db, KEY, hosts, later + timedelta(days=1)) == 0
    assert sorted((news["kind"], news["person"]) for news in listener.news) == [
        ("entry", "p1"), ("entry", "p2"), ("exit", "p1"), ("meal", "p1"),
    ]  # fmt: skip
    [left] = [news for news in listener.news if news["kind"] == "exit"]
    assert left == {
        "device": kiosk.device, "epoch": kiosk.epoch, "kind": "exit", "method": "card", "person": "p1",
        "school": kiosk.school, "seq": 1, "service_date": DAY, "session": "lunch", "time": f"{DAY}T04:30:00.000Z",
    }  # fmt: skip
    kiosk.record(Void(**base | {"at": f"{DAY}T05:00:00.000Z", "void_epoch": kiosk.epoch, "void_seq": 2, "person": "p2",
                                "operator": "anna", "note": "wrong"}))  # type: ignore[arg-type]  # fmt: skip
    accepted(kiosk.send(5, 5))
    assert publish(db, kiosk) == 1
    assert webhooks.deliver_due(db, KEY, hosts, later) == 1
    assert (listener.news[-1]["kind"], listener.news[-1]["person"]) == ("voided", "p2")
    assert db.execute("SELECT DISTINCT body FROM webhook_delivery WHERE school = %s", (kiosk.school,)).fetchall() == [
        (b"",)
    ]
    webhooks.retire_webhook(db, kiosk.school, name, NOW)
    assert webhooks.list_webhooks(db, kiosk.school) == []


def test_what_waits_to_be_told_of_an_erased_person_is_forgotten(
    db: psycopg.Connection, kiosk: Kiosk, listener: Listener
) -> None:
    hosts = ["127.0.0.1"]
    rosters.apply_changes(db, kiosk.school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in ("p1", "p2")),
    ])  # fmt: skip
    webhooks.add_webhook(db, kiosk.school, listener.url, hosts, by="school", now=NOW)
    kiosk.record(entry("p1", school=kiosk.school), entry("p2", school=kiosk.school, minute=1))
    accepted(kiosk.send_all())
    assert publish(db, kiosk) == 2
    erase_from_ledger(db, kiosk.school, "p1", NOW)
    kiosk.record(entry("p1", school=kiosk.school, minute=20))
    accepted(kiosk.send(3, 3))
    assert publish(db, kiosk) == 0
    webhooks.deliver_due(db, KEY, hosts, NOW)
    assert [news["person"] for news in listener.news] == ["p2"]
    assert [row.given_up for row in webhooks.list_webhooks(db, kiosk.school)] == [1]


def test_nothing_goes_to_hosts_that_are_not_allowed(db: psycopg.Connection, kiosk: Kiosk, listener: Listener) -> None:
    with pytest.raises(NotUnderstood, match="not allowed"):
        webhooks.add_webhook(db, kiosk.school, listener.url, ["other.example"], by="", now=NOW)
    with pytest.raises(NotUnderstood, match="https"):
        webhooks.add_webhook(db, kiosk.school, "http://other.example/", ["other.example"], by="", now=NOW)
    with pytest.raises(NotUnderstood, match="no school"):
        webhooks.add_webhook(db, "nowhere", listener.url, ["127.0.0.1"], by="", now=NOW)
    webhooks.add_webhook(db, kiosk.school, listener.url, ["127.0.0.1"], by="", now=NOW)
    kiosk.record(entry("p1", school=kiosk.school))
    accepted(kiosk.send_all())
    assert publish(db, kiosk) == 1
    assert webhooks.deliver_due(db, KEY, [], NOW) == 0  # the operator has changed the list
    assert listener.requests == 0
    for attempt in range(webhooks.DELIVERY_ATTEMPTS_MAX):
        webhooks.deliver_due(db, KEY, [], NOW + timedelta(days=attempt + 1))
    [row] = webhooks.list_webhooks(db, kiosk.school)
    assert (row.waiting, row.given_up) == (1, 1)
    with pytest.raises(NotUnderstood, match="no webhook"):
        webhooks.retire_webhook(db, kiosk.school, "nothing", NOW)
