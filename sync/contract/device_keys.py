"""The change of a kiosk's key: the key in force signs the request, and the new one proves itself in it.

The proof is Ed25519 by the new key over

    "cnt1-device-key" ‖ lp(device) ‖ key in force (32 bytes) ‖ new key (32 bytes)

with lp(x) as in `chain`. Both keys are in force until the first request by the new one. Sending again is harmless.

    POST /v1/devices/{device}/keys  DeviceKeyRequest → 200 DeviceKeyReply
"""

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.chain import DeviceId
from sync.contract.wire import HexHash


class DeviceKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A kiosk brings its next key."""

    public_key: HexHash
    proof: str  # hex


class DeviceKeyReply(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger takes requests by this key from now on."""

    device: str
    public_key: HexHash
    time: str


class UnprovenKey(ValueError):
    """The new key has not signed for this change."""


def device_keys_path(device: DeviceId) -> str:
    """Returns the path under which a device brings its next key."""
    return f"/v1/devices/{device}/keys"


def prove_key(successor: Ed25519PrivateKey, device: DeviceId, former: bytes) -> DeviceKeyRequest:
    """Returns the request for a new key. `former`: the 32 raw bytes of the key in force."""
    public_key = successor.public_key().public_bytes_raw()
    proof = successor.sign(_statement(device, former, public_key)).hex()
    return DeviceKeyRequest(public_key=public_key.hex(), proof=proof)


def check_key_proof(request: DeviceKeyRequest, device: DeviceId, former: bytes) -> bytes:
    """Returns the 32 raw bytes of the new key, once it is found to have signed. Raises `UnprovenKey`."""
    public_key = bytes.fromhex(request.public_key)
    try:
        proof = bytes.fromhex(request.proof)
        Ed25519PublicKey.from_public_bytes(public_key).verify(proof, _statement(device, former, public_key))
    except (InvalidSignature, ValueError) as error:
        raise UnprovenKey("the new key has not signed for this device and its key in force") from error
    return public_key


def _statement(device: DeviceId, former: bytes, public_key: bytes) -> bytes:
    name = device.encode()
    return b"cnt1-device-key" + len(name).to_bytes(4, "big") + name + former + public_key
