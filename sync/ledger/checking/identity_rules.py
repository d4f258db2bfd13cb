"""Rules about who is believed: registration, signatures, and the age of a request."""

import time
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import signature, wire
from sync.contract.wire import Cursor, ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerReply, request_identity, sign_request
from sync.ledger.checking.rules import (
    ContractDeparture,
    expect_accepted,
    expect_equal,
    expect_problem,
    expect_status,
    ledger_rule,
)

_DAY_S = 86_400
_CLOCKS_APART_MAX_S = 300


@ledger_rule(
    "A ledger must answer the cursor of a device that has sent nothing with an empty epoch.",
    "answer 200 without an epoch until the first batch has come.",
)
def a_new_device_has_no_epoch(kiosk: ConformanceKiosk) -> str:
    cursor = expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200).message(Cursor)
    expect_equal("epoch of the cursor", cursor.epoch, "")
    return "the cursor is empty"


@ledger_rule(
    "A ledger must give the same identity again to the same code and key: the first answer may have been lost.",
    "look a used code up by its key before it is refused.",
)
def enrolling_again_gives_the_same_identity(kiosk: ConformanceKiosk) -> str:
    again = expect_status(request_identity(kiosk.connection, kiosk.code, kiosk.key, kiosk.now_s), 200, 201)
    expect_equal("device", again.message(wire.RegistrationReply).device, kiosk.device)
    return "the answer may be lost"


@ledger_rule(
    "A ledger must refuse a code that another key has used.",
    "bind a code to the first key that shows it, and answer 403 code-refused to any other.",
)
def a_code_serves_one_key(kiosk: ConformanceKiosk) -> str:
    second_key = Ed25519PrivateKey.generate()
    reply = request_identity(kiosk.connection, kiosk.code, second_key, kiosk.now_s)
    expect_problem(reply, 403, ProblemType.CODE_REFUSED)
    return "403"


@ledger_rule(
    "A ledger must tell nothing of a device to who does not sign.",
    "answer 401 unauthorised to every call of a device that has no signature.",
)
def unsigned_requests_are_refused(kiosk: ConformanceKiosk) -> str:
    request = kiosk.sign("GET", wire.cursor_path(kiosk.device))
    expect_problem(kiosk.connection.ask(replace(request, headers={})), 401, ProblemType.UNAUTHORISED)
    return "401"


@ledger_rule(
    "A ledger must refuse what is signed by a key that is not the device's.",
    "verify every signature by a key in force of the device that keyid names, and answer 401 unauthorised.",
)
def a_strangers_signature_is_refused(kiosk: ConformanceKiosk) -> str:
    stranger = Ed25519PrivateKey.generate()
    request = sign_request(stranger, kiosk.device, kiosk.now_s, "GET", wire.cursor_path(kiosk.device))
    expect_problem(kiosk.connection.ask(request), 401, ProblemType.UNAUTHORISED)
    return "401"


@ledger_rule(
    "A ledger must refuse a body that is not the one that was signed.",
    "require content-digest among what is signed, and compare it with the body's SHA-256.",
)
def an_altered_body_is_refused(kiosk: ConformanceKiosk) -> str:
    body = kiosk.compose(1, 3)
    request = kiosk.sign("POST", wire.batches_path(kiosk.device, kiosk.epoch), body, kind=wire.NDJSON)
    altered = replace(request, body=body.replace(b"conformance 0", b"conformance 9"))
    expect_problem(kiosk.connection.ask(altered), 401, ProblemType.UNAUTHORISED)
    return "401"


@ledger_rule(
    "A ledger must not answer a question that is dated a day ago: somebody may have kept it.",
    "compare `created` of a request without a body with the clock, and answer 401 clock beyond five minutes.",
)
def a_question_must_be_fresh(kiosk: ConformanceKiosk) -> str:
    expect_problem(_ask_late(kiosk), 401, ProblemType.CLOCK)
    return "401, dated a day ago"


@ledger_rule(
    "A ledger must let a kiosk with a wrong clock learn the true time from a signed refusal.",
    "sign the answer 401 clock by the receipts' key, with the ledger's time as `created`.",
)
def a_wrong_clock_learns_the_time(kiosk: ConformanceKiosk) -> str:
    reply = _ask_late(kiosk)
    answer = signature.SignableAnswer(reply.status, reply.headers, reply.body)
    created = signature.verify_answer(answer, reply.request, bytes.fromhex(kiosk.identity.server_key)).created
    apart_s = abs(created - int(time.time()))
    if apart_s > _CLOCKS_APART_MAX_S:
        raise ContractDeparture(f"time of the refusal: expected this machine's, came {apart_s} s away from it")
    return f"{apart_s} s from this machine's time"


@ledger_rule(
    "A ledger must take a batch whatever time its request is dated: a kiosk's clock may be wrong for weeks.",
    "judge the age of questions only; a batch that is sent again is the same batch.",
)
def a_fact_need_not_be_fresh(kiosk: ConformanceKiosk) -> str:
    late = replace(kiosk, now_s=kiosk.now_s - _DAY_S)
    expect_accepted(kiosk, late.send_events(1, 3), 3)
    return "taken, dated a day ago"


def _ask_late(kiosk: ConformanceKiosk) -> LedgerReply:
    return replace(kiosk, now_s=kiosk.now_s - _DAY_S).send("GET", wire.cursor_path(kiosk.device))


IDENTITY_RULES = (
    a_new_device_has_no_epoch,
    enrolling_again_gives_the_same_identity,
    a_code_serves_one_key,
    unsigned_requests_are_refused,
    a_strangers_signature_is_refused,
    an_altered_body_is_refused,
    a_question_must_be_fresh,
    a_wrong_clock_learns_the_time,
    a_fact_need_not_be_fresh,
)
