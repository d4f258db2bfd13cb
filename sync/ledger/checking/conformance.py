"""Any ledger against the contract: every rule of the catalogue, tried as a kiosk of a test school.

The rules run in order on one device, each on an epoch of its own. The test school keeps the events: a ledger forgets
nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt, wire
from sync.contract.signature import BadSignature
from sync.errors import SyncError
from sync.ledger.checking.answer_rules import ANSWER_RULES
from sync.ledger.checking.batch_rules import BATCH_RULES
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerConnection, request_identity
from sync.ledger.checking.door_rules import DOOR_RULES
from sync.ledger.checking.epoch_rules import EPOCH_RULES
from sync.ledger.checking.identity_rules import IDENTITY_RULES
from sync.ledger.checking.key_rules import KEY_RULES
from sync.ledger.checking.news_rules import NEWS_RULES
from sync.ledger.checking.rules import (
    ConformanceRule,
    ContractDeparture,
    RuleNotTried,
    compose_entries,
    describe_reply,
)

# In the order in which they are tried: a new device first, and strangers last, since they use up an address's patience.
PARTS: tuple[tuple[ConformanceRule, ...], ...] = (
    IDENTITY_RULES, ANSWER_RULES, BATCH_RULES, EPOCH_RULES, NEWS_RULES, KEY_RULES, DOOR_RULES,
)  # fmt: skip
RULES: tuple[ConformanceRule, ...] = tuple(rule for part in PARTS for rule in part)
TIME_LIMIT_PATIENCE_S = 120.0  # within which a ledger must have ended a half request

_ENTRIES = 20


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    detail: str


def check_ledger(
    url: str,
    code: str,
    authority: Path | None = None,
    *,
    patience_s: float = 0.0,
    rules: Sequence[ConformanceRule] = RULES,
) -> tuple[CheckResult, ...]:
    """Returns the result of every rule; without an identity, only that of enrolment.

    `patience_s`: seconds to wait for the end of half requests; 0: their time limits are not tried. Raises Unreachable
    when the ledger does not answer at all.
    """
    connection, now_s = LedgerConnection(url, authority), int(time.time())
    key = Ed25519PrivateKey.generate()
    first = request_identity(connection, code, key, now_s)
    if first.status not in (200, 201):
        return (CheckResult("enrolment", False, describe_reply(first)),)
    identity = first.message(wire.RegistrationReply)
    kiosk = ConformanceKiosk(connection, identity, key, now_s, code, patience_s)
    return (
        CheckResult("enrolment", True, f"{kiosk.device} of {identity.school}"),
        *(_try_rule(rule, kiosk) for rule in rules),
    )


def _try_rule(rule: ConformanceRule, kiosk: ConformanceKiosk) -> CheckResult:
    kiosk.begin_epoch(b"", compose_entries(kiosk, _ENTRIES))
    try:
        return CheckResult(rule.name, True, rule.check(kiosk))
    except RuleNotTried as reason:
        return CheckResult(rule.name, True, f"not tried: {reason}")
    except ContractDeparture as departure:
        return _describe_breach(rule, str(departure))
    except (SyncError, wire.InvalidMessage, receipt.ForgedReceipt, BadSignature) as error:
        return _describe_breach(rule, f"expected an answer of the contract, came another: {error}")


def _describe_breach(rule: ConformanceRule, why: str) -> CheckResult:
    return CheckResult(rule.name, False, f"{why}. {rule.must} Change: {rule.change}")
