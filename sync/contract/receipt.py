"""The ledger's signed word for what it has: the only thing that lets a kiosk prune.

The signature is Ed25519 over

    "cnt1-receipt" ‖ lp(device) ‖ lp(epoch) ‖ uint64 big-endian accepted_through ‖ head (32 bytes) ‖ lp(time)

with lp(x) as in `chain`. It covers every event of the epoch up to `accepted_through`: `head` is chained to them all.
"""

from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.chain import DeviceId, Epoch, Hash, Head


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's signed word that it has a device's events up to a number and hash."""

    device: str
    epoch: str
    accepted_through: int
    head: str  # hex
    time: str  # the ledger's clock
    key: str  # fingerprint of the key that signed
    signature: str  # hex

    def covers(self) -> Head:
        """Returns the last event that this receipt covers."""
        return Head(self.accepted_through, Hash(bytes.fromhex(self.head)))


class ForgedReceipt(ValueError):
    """Not signed by this ledger's key, or altered since."""


def fingerprint(public_key: bytes) -> str:
    """Returns sixteen hex digits that name a key for people and in messages."""
    return sha256(public_key).hexdigest()[:16]


def _prefixed(text: str) -> bytes:
    field = text.encode()
    return len(field).to_bytes(4, "big") + field


def _statement(device: str, epoch: str, head: Head, time: str) -> bytes:
    through = head.seq.to_bytes(8, "big")
    return b"cnt1-receipt" + _prefixed(device) + _prefixed(epoch) + through + head.hash + _prefixed(time)


def issue(key: Ed25519PrivateKey, device: DeviceId, epoch: Epoch, head: Head, time: str) -> Receipt:
    """Returns a receipt signed by the ledger. `time`: as on the wire, `wire.time_text`."""
    return Receipt(
        device=device,
        epoch=epoch,
        accepted_through=head.seq,
        head=head.hash.hex(),
        time=time,
        key=fingerprint(key.public_key().public_bytes_raw()),
        signature=key.sign(_statement(device, epoch, head, time)).hex(),
    )


def check(receipt: Receipt, public_key: bytes) -> Head:
    """Returns the head that the receipt covers, once its signature is found good. Raises `ForgedReceipt`.

    `public_key`: 32 raw bytes, pinned when the kiosk was registered.
    """
    if receipt.key != fingerprint(public_key):
        raise ForgedReceipt(
            f"receipt signed by key {receipt.key}, this kiosk trusts {fingerprint(public_key)}: register it again"
        )
    try:
        head = receipt.covers()
        statement = _statement(receipt.device, receipt.epoch, head, receipt.time)
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(receipt.signature), statement)
    except (InvalidSignature, ValueError, OverflowError) as error:
        raise ForgedReceipt("the receipt's signature is not good") from error
    return head


def to_json(receipt: Receipt) -> bytes:
    """Returns the bytes that a journal keeps."""
    return msgspec.json.encode(receipt)


_decoder = msgspec.json.Decoder(Receipt)


def from_json(text: bytes) -> Receipt:
    """Returns the receipt in these bytes. Raises `ForgedReceipt` when they are none."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForgedReceipt(f"no receipt: {error}") from error
