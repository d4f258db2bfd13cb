"""Rules about what else kiosks tell and ask: heartbeats, rosters, palms, used codes, keys, the log, the contract."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace

from sync.contract import chain, receipt_keys, roster, wire
from sync.contract.consents import consenting_people
from sync.contract.dynamic_codes import STEP_S, CodeUsePage, code_uses_path
from sync.contract.event import ClockQuality, Entry, encode
from sync.contract.log_view import LogView, StrangeLogKey, check_log_key, log_view_path, log_view_query
from sync.contract.palms import SealedPalmMessage, SealedPalmPage, SealedPalmReply, palms_path
from sync.contract.wire import HeartbeatReply, ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk
from sync.ledger.checking.rules import (
    ContractDeparture,
    RuleNotTried,
    expect_accepted,
    expect_equal,
    expect_problem,
    expect_status,
    ledger_rule,
)

_AT = "2026-11-20T05:00:00.000Z"
_PAGES_MAX = 1_000


@ledger_rule(
    "A ledger must answer a heartbeat with the newest version of the school's roster.",
    "answer 200 to every heartbeat that can be read, with `time` and `roster`.",
)
def heartbeats_are_answered(kiosk: ConformanceKiosk) -> str:
    reply = _beat(kiosk, 0)
    wire.read_time(reply.time)
    pages = list(_pull_pages(kiosk))
    expect_equal("roster", reply.roster, pages[0].version)
    return f"newest roster {reply.roster}"


@ledger_rule(
    "A ledger must say in its answer to a heartbeat where it stands: a kiosk with nothing to send finds losses so.",
    "answer with epoch, accepted_through and head, as in the cursor.",
)
def a_heartbeat_compares_heads(kiosk: ConformanceKiosk) -> str:
    expect_accepted(kiosk, kiosk.send_events(1, 6), 6)
    reply = _beat(kiosk, 6)
    expected = (kiosk.epoch, 6, kiosk.hashes()[6].hex())
    expect_equal("epoch, accepted_through, head", (reply.epoch, reply.accepted_through, reply.head), expected)
    return "epoch, number, hash"


@ledger_rule(
    "A ledger must remember how far a kiosk's journal ever went: its disk may lose rows that nobody else has.",
    "answer with the highest number of the epoch that any heartbeat of the device has told as `heard`.",
)
def a_heartbeat_is_remembered(kiosk: ConformanceKiosk) -> str:
    _beat(kiosk, 12)
    expect_equal("heard", _beat(kiosk, 7).heard, 12)
    return "heard of 12, told 7"


@ledger_rule(
    "A ledger must tell both of two kiosks with one identity of the other: each supersedes the other's epochs.",
    "answer a heartbeat with the time at which another `instance` was heard since this one's first as `twin`.",
)
def twins_are_told(kiosk: ConformanceKiosk) -> str:
    expect_equal("twin of the only run", _beat(kiosk, 1, "run-1").twin, "")
    expect_equal("twin of a run that follows on another", _beat(kiosk, 1, "run-2").twin, "")
    wire.read_time(_beat(kiosk, 1, "run-1").twin)
    wire.read_time(_beat(kiosk, 1, "run-2").twin)
    return "a restart is none, a former run that lives is"


@ledger_rule(
    "A ledger must name its incarnation, which changes only when it is restored from a backup.",
    "draw `incarnation` once a school and once a restore, and answer every heartbeat with it.",
)
def an_incarnation_is_named(kiosk: ConformanceKiosk) -> str:
    first, second = _beat(kiosk, 1).incarnation, _beat(kiosk, 2).incarnation
    if not first:
        raise ContractDeparture("incarnation: expected a name, came ''")
    expect_equal("incarnation, asked again", second, first)
    return first


@ledger_rule(
    "A ledger must give a roster in pages of one version, each record once.",
    "freeze the version in the page cursor; `whole` is true for a pull from 0.",
)
def the_roster_comes_in_pages_of_one_version(kiosk: ConformanceKiosk) -> str:
    pages = list(_pull_pages(kiosk))
    expect_equal("versions", len({page.version for page in pages}), 1)
    expect_equal("whole", {page.whole for page in pages}, {True})
    names = [(roster.record_type(each), each.id) for each in _list_records(pages)]
    expect_equal("records named twice", len(names) - len(set(names)), 0)
    return f"{len(names)} records in {len(pages)} pages"


@ledger_rule(
    "A ledger must let a kiosk begin a pull again whose page cursor it does not know any more.",
    "answer 410 roster-restart to a cursor that it cannot go on from.",
)
def a_lost_page_cursor_begins_again(kiosk: ConformanceKiosk) -> str:
    query = wire.roster_query(0, "no-cursor")
    reply = kiosk.send("GET", wire.roster_path(kiosk.identity.school), query=query)
    expect_problem(reply, 410, ProblemType.ROSTER_RESTART)
    return "410"


@ledger_rule(
    "A ledger must give a device nothing of another school.",
    "answer 404 not-found to roster, palms and code-uses of a school that is not the device's.",
)
def another_school_is_not_found(kiosk: ConformanceKiosk) -> str:
    for path_of in (wire.roster_path, palms_path, code_uses_path):
        reply = kiosk.send("GET", path_of("another-school"), query=wire.roster_query(0))
        expect_problem(reply, 404, ProblemType.NOT_FOUND)
    return "404"


@ledger_rule(
    "A ledger must store no palm of somebody who has not agreed by the roster.",
    "answer 200 with `kept` false, and store nothing.",
)
def a_palm_without_consent_is_not_stored(kiosk: ConformanceKiosk) -> str:
    stranger = f"conformance-{secrets.token_hex(4)}"
    expect_equal("kept", _store_palm(kiosk, stranger, b"sealed").stored, False)
    expect_equal("palms of who has not agreed", [p.person for p in _read_palms(kiosk) if p.person == stranger], [])
    return "kept false"


@ledger_rule(
    "A ledger must hand a palm, as it was sealed, to the kiosks of the school.",
    "store the sealed bytes of who has agreed, and list them behind the number that was asked for.",
)
def a_palm_is_handed_on(kiosk: ConformanceKiosk) -> str:
    person, sealed = _find_consenting(kiosk), secrets.token_bytes(64)
    reply = _store_palm(kiosk, person, sealed)
    expect_equal("kept", reply.stored, True)
    found = [palm.sealed for palm in _read_palms(kiosk, reply.version - 1) if palm.person == person]
    expect_equal("sealed palms", found, [sealed])
    return f"as number {reply.version}"


@ledger_rule(
    "A ledger must pass on that a palm was taken back, and have no byte of it any more.",
    "replace the palm by a message without bytes, under a new number.",
)
def a_palm_that_is_taken_back_is_gone(kiosk: ConformanceKiosk) -> str:
    person = _find_consenting(kiosk)
    _store_palm(kiosk, person, secrets.token_bytes(64))
    _store_palm(kiosk, person, b"")
    found = [palm.sealed for palm in _read_palms(kiosk) if palm.person == person]
    expect_equal("sealed palms", found, [b""])
    return "listed without bytes"


@ledger_rule(
    "A ledger must tell a school's kiosks which codes that change were used.",
    "note `code_step` of entries, exits and repeats, the highest of each person, and list it behind the number asked.",
)
def used_codes_are_told(kiosk: ConformanceKiosk) -> str:
    step = int(time.time()) // STEP_S
    person = f"conformance-{secrets.token_hex(4)}"
    kiosk.payloads[:2] = [
        encode(Entry(
            school=kiosk.identity.school, at=_AT, boot="conformance", mono_ms=number,
            clock=ClockQuality.SYNCHRONISED, person=person, code_step=used,
        ))
        for number, used in enumerate((step, step - 1))
    ]  # fmt: skip
    expect_accepted(kiosk, kiosk.send_events(1, 2), 2)
    steps, since = [], 0
    for _ in range(_PAGES_MAX):
        reply = kiosk.send("GET", code_uses_path(kiosk.identity.school), query=f"since={since}")
        page = expect_status(reply, 200).message(CodeUsePage)
        steps += [use.step for use in page.uses if use.person == person]
        since = page.version
        if not page.more:
            break
    expect_equal("steps of this person", steps, [step])
    return "the highest of two"


@ledger_rule(
    "A ledger must show the keys of its receipts to anybody, each signed by the one before it.",
    "answer GET /v1/receipt-keys without a signature: the whole chain, oldest first, the key in force last.",
)
def the_receipt_keys_are_shown(kiosk: ConformanceKiosk) -> str:
    request = replace(kiosk.sign("GET", receipt_keys.RECEIPT_KEYS_PATH), headers={})
    page = expect_status(kiosk.connection.ask(request), 200).message(receipt_keys.ReceiptKeyPage)
    try:
        following = receipt_keys.follow_keys(page.keys, bytes.fromhex(kiosk.identity.server_key))
    except receipt_keys.BrokenKeyChain as error:
        raise ContractDeparture(f"chain of keys: expected one from server_key on, came another: {error}") from error
    expect_equal("key in force", following[-1].public_key, kiosk.identity.server_key)
    return f"{len(page.keys)} in the chain"


@ledger_rule(
    "A ledger that has logs must vouch for the log's key by the key of its receipts.",
    "sign the log's key in key_signature; a ledger without logs answers 404.",
)
def the_logs_key_is_vouched_for(kiosk: ConformanceKiosk) -> str:
    reply = expect_status(kiosk.send("GET", log_view_path(kiosk.device), query=log_view_query(0)), 200, 404)
    if reply.status == 404:
        raise RuleNotTried("this ledger has no logs")
    view = reply.message(LogView)
    try:
        check_log_key(bytes.fromhex(kiosk.identity.server_key), view.key, view.key_signature)
    except StrangeLogKey as error:
        why = "signature of the log's key: expected one by the receipts' key, came another"
        raise ContractDeparture(f"{why}: {error}") from error
    return view.key.partition("+")[0]


@ledger_rule(
    "A ledger must publish what it speaks.",
    "answer GET /openapi.json with its OpenAPI 3.1 document.",
)
def the_contract_is_published(kiosk: ConformanceKiosk) -> str:
    reply = expect_status(kiosk.send("GET", "/openapi.json"), 200)
    try:
        document = json.loads(reply.body)
    except ValueError as error:
        raise ContractDeparture(f"/openapi.json: expected JSON, came {reply.body[:80]!r}") from error
    expect_equal("version of OpenAPI", str(document.get("openapi", ""))[:3], "3.1")
    return f"{len(document['paths'])} paths"


def _beat(kiosk: ConformanceKiosk, seq: int, instance: str = "conformance") -> HeartbeatReply:
    """Sends a heartbeat of a journal that ends at this event, and returns the answer."""
    beat = wire.Heartbeat(
        epoch=kiosk.epoch, head=wire.HeadText.from_head(chain.Head(seq, kiosk.hashes()[seq])), acknowledged=0, queue=0,
        agent="conformance", roster=0, boot="conformance", instance=instance, at=_AT,
        clock=ClockQuality.SYNCHRONISED,
    )  # fmt: skip
    reply = kiosk.send("POST", wire.heartbeats_path(kiosk.device), wire.to_json(beat))
    return expect_status(reply, 200).message(HeartbeatReply)


def _pull_pages(kiosk: ConformanceKiosk) -> Iterator[roster.RosterPage]:
    cursor = ""
    for _ in range(_PAGES_MAX):
        query = wire.roster_query(0, cursor)
        reply = expect_status(kiosk.send("GET", wire.roster_path(kiosk.identity.school), query=query), 200)
        page = reply.message(roster.RosterPage)
        yield page
        if not page.more:
            return
        cursor = page.cursor
    raise ContractDeparture(f"pages of a roster: expected an end, came more than {_PAGES_MAX}")


def _list_records(pages: list[roster.RosterPage]) -> list[roster.Record]:
    return [each for page in pages for each in page.changes if not isinstance(each, roster.DeletedRecord)]


def _find_consenting(kiosk: ConformanceKiosk) -> str:
    """Returns somebody on the roster who has agreed to palms. Raises RuleNotTried where nobody has."""
    people = sorted(consenting_people(_list_records(list(_pull_pages(kiosk)))))
    if not people:
        raise RuleNotTried("nobody on the test school's roster has agreed to palms")
    return people[0]


def _store_palm(kiosk: ConformanceKiosk, person: str, sealed: bytes) -> SealedPalmReply:
    # An enrolment is named by its time: each run brings one of its own.
    made_at = f"2026-09-01T04:40:{secrets.randbelow(60):02}.{secrets.randbelow(1000):03}Z"
    palm = SealedPalmMessage(person=person, hand="left", made_at=made_at, quality=80, sealed=sealed)
    reply = kiosk.send("POST", palms_path(kiosk.identity.school), wire.to_json(palm))
    return expect_status(reply, 200).message(SealedPalmReply)


def _read_palms(kiosk: ConformanceKiosk, since: int = 0) -> list[SealedPalmMessage]:
    palms: list[SealedPalmMessage] = []
    for _ in range(_PAGES_MAX):
        reply = kiosk.send("GET", palms_path(kiosk.identity.school), query=f"since={since}")
        page = expect_status(reply, 200).message(SealedPalmPage)
        palms += page.palms
        since = page.version
        if not page.more:
            break
    return palms


NEWS_RULES = (
    heartbeats_are_answered,
    a_heartbeat_compares_heads,
    a_heartbeat_is_remembered,
    twins_are_told,
    an_incarnation_is_named,
    the_roster_comes_in_pages_of_one_version,
    a_lost_page_cursor_begins_again,
    another_school_is_not_found,
    a_palm_without_consent_is_not_stored,
    a_palm_is_handed_on,
    a_palm_that_is_taken_back_is_gone,
    used_codes_are_told,
    the_receipt_keys_are_shown,
    the_logs_key_is_vouched_for,
    the_contract_is_published,
)
