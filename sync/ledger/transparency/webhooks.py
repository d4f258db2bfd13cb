"""News of visits to addresses that a school named: signed, retried, never in the way of anything else.

    POST URL    {"device":…,"epoch":…,"kind":"entry","method":"card","person":…,"school":…,"seq":…,"service_date":…,
                 "session":…,"time":…}

Ids are opaque; who pays is not told. Kinds are `entry`, `exit`, `meal` (this is the one meal of its session) and
`voided`, each once an entry; and `card`, once a card that a desk gave in the place of a lost one. Each is told again
and again until the other side answers 2xx, with longer and longer waits. A request is signed as a kiosk's is
(RFC 9421), by the key that signs receipts, under its fingerprint. Only https, and only hosts that the ledger's operator
has allowed: an address that a school names must not reach into our own network.
"""

import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt, signature, wire
from sync.contract.event import Claim
from sync.contract.visit import Visit, VisitClosing
from sync.errors import Unreachable
from sync.ledger.background import IsStopping
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.days import read_visits
from sync.ledger.transparency.outgoing import check_address, post

logger = logging.getLogger(__name__)

WEBHOOK_INTERVAL_S: Final = 5.0
DELIVERIES_MAX: Final = 100  # of one round: the database connection is wanted by others, too
WEBHOOK_TIMEOUT_S: Final = 5.0
DELIVERY_ATTEMPTS_MAX: Final = 16  # some three days; then it stays undelivered, for a person to see
WAIT_MIN, WAIT_MAX = timedelta(seconds=20), timedelta(hours=6)


class WebhookKind(StrEnum):
    """The kind of a piece of news."""

    ENTRY = "entry"
    EXIT = "exit"
    MEAL = "meal"
    VOIDED = "voided"
    CARD = "card"


class VisitNews(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news about one entry."""

    school: str
    kind: WebhookKind
    device: str
    epoch: str
    seq: int
    person: str
    session: str
    service_date: str
    method: str
    time: str  # UTC; empty where nothing vouches for one


class CardNews(msgspec.Struct, frozen=True, kw_only=True):
    """The news that a desk gave somebody a new card. `credential`: its id, which is no number."""

    school: str
    kind: WebhookKind = WebhookKind.CARD
    device: str
    credential: str
    person: str
    time: str  # UTC, by the kiosk's clock


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook as its school sees it. `failing`: what was tried and has not arrived."""

    webhook: str
    url: str
    waiting: int
    failing: int
    given_up: int


def add_webhook(
    connection: psycopg.Connection, school: str, url: str, hosts: Collection[str], *, by: str, now: datetime
) -> str:
    """Lets an address hear of the school's visits from now on, and returns the webhook's name.

    `hosts`: those that the operator allows. Raises NotUnderstood.
    """
    _check_host(url, hosts)
    name = secrets.token_hex(8)
    try:
        connection.execute(
            "INSERT INTO webhook (school, webhook, url, added_by, added_at) VALUES (%s, %s, %s, %s, %s)",
            (school, name, url, by, now),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotUnderstood(f"no school {school!r}: add it with `edge-agent ledger school`") from error
    return name


def _check_host(url: str, hosts: Collection[str]) -> None:
    """Raises NotUnderstood for an address that is not https, or whose host and port are not allowed."""
    check_address(url)
    parts = urlsplit(url)
    allowed = parts.hostname in hosts or f"{parts.hostname}:{parts.port}" in hosts
    if not allowed:
        raise NotUnderstood(f"{parts.hostname} is not allowed: start the ledger with --webhook-host {parts.hostname}")


def retire_webhook(connection: psycopg.Connection, school: str, webhook: str, now: datetime) -> None:
    """Tells this address nothing more. Raises NotUnderstood."""
    done = connection.execute(
        "UPDATE webhook SET retired_at = %s WHERE school = %s AND webhook = %s AND retired_at IS NULL",
        (now, school, webhook),
    )
    if not done.rowcount:
        raise NotUnderstood(f"no webhook {webhook!r} of school {school!r}")


def list_webhooks(connection: psycopg.Connection, school: str) -> list[WebhookRow]:
    """Returns the webhooks of a school that are not retired."""
    rows = connection.execute(
        "SELECT w.webhook, w.url, count(d.seq) FILTER (WHERE delivered_at IS NULL),"
        " count(d.seq) FILTER (WHERE delivered_at IS NULL AND attempts > 0),"
        " count(d.seq) FILTER (WHERE delivered_at IS NULL AND attempts >= %s) FROM webhook w"
        " LEFT JOIN webhook_delivery d USING (school, webhook) WHERE w.school = %s AND w.retired_at IS NULL"
        " GROUP BY w.webhook, w.url ORDER BY w.url, w.webhook",
        (DELIVERY_ATTEMPTS_MAX, school),
    )
    return [WebhookRow(*row) for row in rows]


def enqueue_news(connection: psycopg.Connection, school: str, days: Sequence[str], now: datetime) -> int:
    """Queues what is new in the settled visits of these days, and returns how many pieces of news there are.

    A webhook hears nothing of the days before it was added.
    """
    added = 0
    webhooks = connection.execute(
        "SELECT webhook, added_at FROM webhook WHERE school = %s AND retired_at IS NULL", (school,)
    ).fetchall()
    for webhook, added_at in webhooks:
        for day in days:
            if day < added_at.date().isoformat():
                continue
            visits = read_visits(connection, school, date.fromisoformat(day), date.fromisoformat(day))
            news = [piece for visit in visits for piece in _find_news(school, visit)]
            added += _insert(connection, school, webhook, news, now)
    return added


def enqueue_card(connection: psycopg.Connection, news: CardNews, number: int, now: datetime) -> None:
    """Queues the news of a new card for every webhook of its school. `number`: of the change among the school's."""
    connection.execute(
        "INSERT INTO webhook_delivery (school, webhook, device, epoch, seq, kind, body, due_at)"
        " SELECT school, webhook, %s, %s, %s, %s, %s, %s FROM webhook WHERE school = %s AND retired_at IS NULL"
        " ON CONFLICT DO NOTHING",
        (news.device, news.credential, number, news.kind, msgspec.json.encode(news, order="sorted"), now, news.school),
    )


def forget_news(connection: psycopg.Connection, school: str, person: str) -> None:
    """Gives up what was still to be told of a person, and forgets what it was."""
    # A quoted name before a colon is a field's: inside a text its quotes would be escaped.
    field = b'"person":' + msgspec.json.encode(person)
    connection.execute(
        "UPDATE webhook_delivery SET body = '', attempts = %s, failure = 'the person was erased'"
        " WHERE school = %s AND delivered_at IS NULL AND body <> ''"
        " AND position(%s IN body) > 0",
        (DELIVERY_ATTEMPTS_MAX, school, field),
    )


def _find_news(school: str, visit: Visit) -> Iterator[VisitNews]:
    yield _tell(school, visit, WebhookKind.ENTRY, visit.entry_time)
    if visit.exit is not None:
        yield _tell(school, visit, WebhookKind.EXIT, visit.exit_time)
    if visit.closing is VisitClosing.VOID:
        yield _tell(school, visit, WebhookKind.VOIDED, None)
    elif visit.claim in (Claim.CLAIMABLE, Claim.PENDING):
        yield _tell(school, visit, WebhookKind.MEAL, visit.entry_time)


def _tell(school: str, visit: Visit, kind: WebhookKind, moment: datetime | None) -> VisitNews:
    return VisitNews(
        school=school, kind=kind, device=visit.id.device, epoch=visit.id.epoch, seq=visit.id.seq, person=visit.person,
        session=visit.session, service_date=visit.service_date, method=visit.method.value,
        time=wire.time_text(moment) if moment else "",
    )  # fmt: skip


def _insert(connection: psycopg.Connection, school: str, webhook: str, news: Sequence[VisitNews], now: datetime) -> int:
    # A cluster's count of rows has those in it that were there.
    done = connection.execute(_INSERT_NEWS, {
        "school": school, "webhook": webhook, "now": now, "devices": [piece.device for piece in news],
        "epochs": [piece.epoch for piece in news], "seqs": [piece.seq for piece in news],
        "kinds": [piece.kind for piece in news], "people": [piece.person for piece in news],
        "bodies": [msgspec.json.encode(piece, order="sorted") for piece in news],
    })  # fmt: skip
    return len(done.fetchall())


_INSERT_NEWS = """
    INSERT INTO webhook_delivery (school, webhook, device, epoch, seq, kind, body, due_at)
    SELECT %(school)s, %(webhook)s, device, epoch, seq, kind, body, %(now)s
    FROM unnest(%(devices)s::text[], %(epochs)s::text[], %(seqs)s::int8[], %(kinds)s::text[], %(bodies)s::bytea[],
                %(people)s::text[]) AS news (device, epoch, seq, kind, body, person)
    WHERE NOT EXISTS (SELECT 1 FROM erased_person e WHERE e.school = %(school)s AND e.person = news.person)
    ON CONFLICT DO NOTHING RETURNING seq
"""

# What has arrived is not kept: its row alone says that it was told.
_UPDATE_TRIED = """
    UPDATE webhook_delivery SET attempts = attempts + 1, due_at = %(due)s, delivered_at = %(delivered)s,
           failure = %(failure)s, body = CASE WHEN %(delivered)s::timestamptz IS NULL THEN body ELSE '' END
    WHERE school = %(school)s AND webhook = %(webhook)s AND device = %(device)s AND epoch = %(epoch)s AND seq = %(seq)s
      AND kind = %(kind)s
"""

# Of the city: what is due at whichever school. An entry comes before its exit.
_SELECT_DUE = """
    SELECT d.school, d.webhook, w.url, d.device, d.epoch, d.seq, d.kind, d.body, d.attempts FROM webhook_delivery d
    JOIN webhook w ON w.school = d.school AND w.webhook = d.webhook AND w.retired_at IS NULL
    WHERE d.delivered_at IS NULL AND d.due_at <= %s AND d.attempts < %s
    ORDER BY d.due_at, d.school, d.device, d.epoch, d.seq, d.kind LIMIT %s
"""


def deliver_due(
    connection: psycopg.Connection, key: Ed25519PrivateKey, hosts: Collection[str], now: datetime,
    is_stopping: IsStopping = lambda: False,
) -> int:  # fmt: skip
    """Tries what is due, and returns how much has arrived. An address that fails is left alone for this round."""
    delivered, failed = 0, set[str]()
    rows = connection.execute(_SELECT_DUE, (now, DELIVERY_ATTEMPTS_MAX, DELIVERIES_MAX)).fetchall()
    for school, webhook, url, device, epoch, seq, kind, body, attempts in rows:
        if is_stopping():
            break
        failure = (
            f"{url}: another piece of news just failed" if webhook in failed else _send(url, body, key, hosts, now)
        )
        if failure:
            failed.add(webhook)
        wait = min(WAIT_MAX, WAIT_MIN * 2**attempts)
        connection.execute(_UPDATE_TRIED, {
            "due": now + wait, "delivered": None if failure else now, "failure": failure, "school": school,
            "webhook": webhook, "device": device, "epoch": epoch, "seq": seq, "kind": kind,
        })  # fmt: skip
        delivered += not failure
    return delivered


def _send(url: str, body: bytes, key: Ed25519PrivateKey, hosts: Collection[str], now: datetime) -> str:
    """Returns why it did not arrive; empty where it did."""
    try:
        _check_host(url, hosts)
        parts = urlsplit(url)
        headers = {"content-type": wire.JSON}
        request = signature.SignableRequest("POST", parts.path or "/", parts.query, headers, body)
        keyid = receipt.fingerprint(key.public_key().public_bytes_raw())
        signed = signature.sign(request, key, keyid, int(now.timestamp()))
        reply = post(url, body, headers | signed, WEBHOOK_TIMEOUT_S)
    except (NotUnderstood, Unreachable) as error:
        logger.warning("webhook: %s", error)
        return str(error)[:200]
    return "" if 200 <= reply.status < 300 else f"answered {reply.status}"
