"""Rules about the ledger's word: its answers are signed, and each signature names the request that it answers."""

from sync.contract import receipt, wire
from sync.contract.signature import SignableAnswer, read_answer_keyid, verify_answer
from sync.contract.wire import ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerReply
from sync.ledger.checking.rules import expect_equal, expect_problem, expect_status, ledger_rule


@ledger_rule(
    "A ledger must sign its answers to signed requests by the key that signs receipts.",
    "add Content-Digest, Signature-Input and Signature (RFC 9421, label `cnt`) with that key's fingerprint as keyid.",
)
def answers_are_signed(kiosk: ConformanceKiosk) -> str:
    reply = expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200)
    pinned = bytes.fromhex(kiosk.identity.server_key)
    expect_equal("keyid of the answer", read_answer_keyid(_answer(reply)), receipt.fingerprint(pinned))
    return f"by {receipt.fingerprint(pinned)}"


@ledger_rule(
    "A ledger's signature must bind an answer to the request that it answers: no other request gets the same one.",
    'cover, besides @status and the answer\'s content-digest, "@method";req, "@path";req, "@query";req,'
    ' "content-digest";req where there is a body, and "signature";req;key="cnt".',
)
def an_answer_is_bound_to_its_request(kiosk: ConformanceKiosk) -> str:
    for reply in (kiosk.send("GET", wire.cursor_path(kiosk.device)), kiosk.send_events(1, 2)):
        _verify(kiosk, expect_status(reply, 200))
    return "with and without a body"


@ledger_rule(
    "A ledger must sign its refusals, too: an unsigned one may be a proxy's, and stops no kiosk.",
    "sign every answer below 500 but 429, whatever part of the service makes it.",
)
def refusals_are_signed(kiosk: ConformanceKiosk) -> str:
    gap = kiosk.send_events(5, 8)
    expect_problem(gap, 409, ProblemType.EPOCH_UNKNOWN)
    _verify(kiosk, gap)
    broken = kiosk.send_body(b"no header\n")
    expect_problem(broken, 400, ProblemType.MALFORMED)
    _verify(kiosk, broken)
    return "400 and 409"


def _answer(reply: LedgerReply) -> SignableAnswer:
    return SignableAnswer(reply.status, reply.headers, reply.body)


def _verify(kiosk: ConformanceKiosk, reply: LedgerReply) -> None:
    verify_answer(_answer(reply), reply.request, bytes.fromhex(kiosk.identity.server_key))


ANSWER_RULES = (answers_are_signed, an_answer_is_bound_to_its_request, refusals_are_signed)
