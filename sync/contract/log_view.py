"""A log's newest checkpoint as a kiosk receives it, with the proofs by which the kiosk checks it itself.

    GET /v1/devices/{device}/log?since=SIZE   → 200 LogView

The log is the school's `events`. Its key is vouched for by the key that signs receipts, which the kiosk learnt when it
was registered: an Ed25519 signature over "cnt1-log-key" ‖ lp(key), with lp(x) as in `chain`.
"""

from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.chain import DeviceId
from sync.contract.wire import Count, HexHash


class LogView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest checkpoint of the school's events, the device's newest batch in it, and the way from an older one."""

    time: str  # the ledger's clock
    key: str  # of the log: `name+id+key`
    key_signature: str  # hex, by the key that signs receipts
    checkpoint: str = ""  # a signed note; empty before the log's first leaf
    epoch: str = ""  # of the device's newest batch under this checkpoint; empty: there is none yet
    last_seq: Count = 0
    head: str = ""  # hex, of that batch's last event
    index: Count = 0  # of that batch's leaf
    path: tuple[HexHash, ...] = ()  # from that leaf to the checkpoint's root
    consistency: tuple[HexHash, ...] = ()  # from the checkpoint of `since` leaves to this one


class StrangeLogKey(ValueError):
    """The log's key is not vouched for by the ledger that this kiosk knows."""


def log_view_path(device: DeviceId) -> str:
    """Returns the path of the view for one device."""
    return f"/v1/devices/{device}/log"


def log_view_query(since: int) -> str:
    """Returns the query behind the `?`. `since`: how many leaves the checkpoint had that the kiosk saw last."""
    return urlencode({"since": since})


def vouch_for_log_key(receipts_key: Ed25519PrivateKey, log_key: str) -> str:
    """Returns the signature over a log's key, in hex."""
    return receipts_key.sign(_voucher(log_key)).hex()


def check_log_key(public_key: bytes, log_key: str, signature: str) -> None:
    """Raises `StrangeLogKey` unless the ledger with this receipts key has vouched for the log's key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(signature), _voucher(log_key))
    except (InvalidSignature, ValueError) as error:
        raise StrangeLogKey("nobody whom this kiosk knows vouches for the log's key") from error


def _voucher(log_key: str) -> bytes:
    field = log_key.encode()
    return b"cnt1-log-key" + len(field).to_bytes(4, "big") + field
