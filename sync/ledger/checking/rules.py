"""The form of a rule that any ledger must hold, and the words in which its breach is told."""

from collections.abc import Callable
from dataclasses import dataclass

from sync.contract import chain, wire
from sync.contract.event import ClockQuality, Entry, encode
from sync.contract.wire import BatchReply, ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerReply

RuleCheck = Callable[[ConformanceKiosk], str]
"""Tries a rule and returns what it saw. Raises ContractDeparture, RuleNotTried."""


class ContractDeparture(Exception):
    """The ledger does something else than the contract says."""


class RuleNotTried(Exception):
    """This rule cannot be tried here, and why."""


@dataclass(frozen=True, slots=True)
class ConformanceRule:
    """One promise that kiosks rely on. It begins with an epoch of its own, so that no rule needs another one."""

    name: str
    must: str  # a sentence: "A ledger must …"
    change: str  # the change that mends a ledger that breaks it
    check: RuleCheck


def ledger_rule(must: str, change: str) -> Callable[[RuleCheck], ConformanceRule]:
    """Makes a rule out of a check, whose name is the rule's."""
    return lambda check: ConformanceRule(check.__name__.strip("_").replace("_", " "), must, change, check)


def expect_equal(subject: str, actual: object, expected: object) -> None:
    """Raises ContractDeparture unless both are the same."""
    if actual != expected:
        raise ContractDeparture(f"{subject}: expected {expected!r}, came {actual!r}")


def expect_status(reply: LedgerReply, *statuses: int) -> LedgerReply:
    """Returns the reply, which must have one of these statuses. Raises ContractDeparture."""
    if reply.status not in statuses:
        expected = " or ".join(map(str, statuses))
        raise ContractDeparture(f"expected status {expected}, came {describe_reply(reply)}")
    return reply


def expect_problem(reply: LedgerReply, status: int, kind: ProblemType) -> wire.ProblemDocument:
    """Returns the problem document in the reply, which must be of this kind. Raises ContractDeparture."""
    expect_status(reply, status)
    media = reply.headers.get("content-type", "").partition(";")[0]
    expect_equal("content-type of a problem", media, wire.PROBLEM_JSON)
    expect_equal("type of the problem", reply.problem.type, kind.value)
    return reply.problem


def expect_accepted(kiosk: ConformanceKiosk, reply: LedgerReply, through: int) -> BatchReply:
    """Returns the acceptance of a batch that ends at event `through`. Raises ContractDeparture."""
    accepted = expect_status(reply, 200).message(BatchReply)
    expect_equal("accepted_through", accepted.accepted_through, through)
    expect_equal("head", accepted.head, kiosk.hashes()[through].hex())
    return accepted


def list_odd(reply: BatchReply) -> list[int]:
    """Returns the numbers of the quarantined events; that an epoch names no parent is no fault of an event."""
    return [odd.seq for odd in reply.quarantined if odd.code != "orphan"]


def describe_reply(reply: LedgerReply) -> str:
    """Returns a reply's status and the beginning of its body."""
    return f"status {reply.status}, {reply.body[:200].decode('utf-8', 'replace')}"


def compose_entries(kiosk: ConformanceKiosk, count: int, note: str = "") -> list[bytes]:
    """Returns events that any ledger can read."""
    return [
        encode(Entry(
            school=kiosk.identity.school, at="2026-11-20T04:40:00.000Z", boot="conformance", mono_ms=number,
            clock=ClockQuality.SYNCHRONISED, note=note or f"conformance {number}",
        ))
        for number in range(count)
    ]  # fmt: skip


def whole_head(kiosk: ConformanceKiosk) -> chain.Head:
    """Returns the head of all events that the kiosk has in its epoch."""
    return chain.Head(len(kiosk.payloads), kiosk.hashes()[-1])
