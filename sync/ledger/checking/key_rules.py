"""Rules about the change of a kiosk's key."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import wire
from sync.contract.device_keys import DeviceKeyReply, DeviceKeyRequest, device_keys_path, prove_key
from sync.contract.wire import ProblemType
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk, LedgerReply
from sync.ledger.checking.rules import expect_accepted, expect_equal, expect_problem, expect_status, ledger_rule


@ledger_rule(
    "A ledger must take a key that proves itself in a request by the key in force; both hold until the new one asks.",
    "answer POST /v1/devices/{device}/keys with 200, and look requests up among both keys.",
)
def a_new_key_is_taken(kiosk: ConformanceKiosk) -> str:
    new = Ed25519PrivateKey.generate()
    reply = expect_status(_bring(kiosk, prove_key(new, kiosk.device, _public(kiosk.key))), 200).message(DeviceKeyReply)
    expect_equal("public_key", reply.public_key, _public(new).hex())
    expect_status(_ask(kiosk), 200)
    expect_status(_ask(replace(kiosk, key=new)), 200)
    kiosk.key = new
    return "without a gap"


@ledger_rule(
    "A ledger must refuse a key that has not signed for the change: it may be another kiosk's.",
    "verify `proof` by the new key over device, key in force and new key, and answer 400 malformed.",
)
def a_new_key_must_prove_itself(kiosk: ConformanceKiosk) -> str:
    message = prove_key(Ed25519PrivateKey.generate(), kiosk.device, bytes(32))
    expect_problem(_bring(kiosk, message), 400, ProblemType.MALFORMED)
    return "400"


@ledger_rule(
    "A ledger must end the former key with the first request by the new one.",
    "retire the keys before the newest one once that has signed a good request.",
)
def a_former_key_ends(kiosk: ConformanceKiosk) -> str:
    former = _change_key(kiosk)
    expect_problem(_ask(former), 401, ProblemType.UNAUTHORISED)
    return "401 by the former one"


@ledger_rule(
    "A ledger must take an epoch of a former key, sent by the key in force: it may have lost that epoch.",
    "look for the genesis of a new epoch among all keys that the device ever had.",
)
def an_epoch_of_a_former_key_is_taken(kiosk: ConformanceKiosk) -> str:
    former = _change_key(kiosk)
    composed, path = former.compose(1, 3), wire.batches_path(kiosk.device, kiosk.epoch)
    expect_accepted(former, kiosk.send("POST", path, composed, kind=wire.NDJSON), 3)
    return "its genesis has the former key"


def _change_key(kiosk: ConformanceKiosk) -> ConformanceKiosk:
    """Brings a new key into force, asks by it, and returns the kiosk with the former one."""
    former, new = replace(kiosk), Ed25519PrivateKey.generate()
    expect_status(_bring(kiosk, prove_key(new, kiosk.device, _public(kiosk.key))), 200)
    kiosk.key = new
    expect_status(_ask(kiosk), 200)
    return former


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _bring(kiosk: ConformanceKiosk, message: DeviceKeyRequest) -> LedgerReply:
    return kiosk.send("POST", device_keys_path(kiosk.device), wire.to_json(message))


def _ask(kiosk: ConformanceKiosk) -> LedgerReply:
    return kiosk.send("GET", wire.cursor_path(kiosk.device))


KEY_RULES = (
    a_new_key_is_taken,
    a_new_key_must_prove_itself,
    a_former_key_ends,
    an_epoch_of_a_former_key_is_taken,
)
