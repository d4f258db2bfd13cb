"""Registers a kiosk, a one-time code and its public key against an identity, and changes its key later."""

from collections.abc import Callable
from datetime import datetime

from sync.client.channel import HttpTransport, LedgerChannel
from sync.client.keys import DeviceKey
from sync.client.pinned_key import PinnedKey
from sync.contract import wire
from sync.contract.chain import DeviceId
from sync.contract.device_keys import DeviceKeyReply, device_keys_path, prove_key
from sync.contract.wire import RegistrationReply, RegistrationRequest
from sync.errors import Deceived


def register_kiosk(
    transport: HttpTransport,
    key: DeviceKey,
    code: str,
    *,
    clock: Callable[[], datetime],
    agent: str = "",
    name: str = "",
) -> RegistrationReply:
    """Returns the identity that the ledger gives for this code.

    It is harmless to repeat with the same key when no answer came. Raises `Unauthorised` for a code that is unknown,
    expired or used up, `Unreachable`, `Untrusted`, `RequestRejected`.
    """
    request = RegistrationRequest(code=code.strip(), public_key=key.public_bytes.hex(), agent=agent, name=name)
    channel = LedgerChannel(transport, key, key.fingerprint, clock)
    identity = channel.post(RegistrationReply, wire.REGISTRATIONS_PATH, wire.to_json(request))
    try:
        wire.parse_device_id(identity.device)
        wire.parse_school_id(identity.school)
    except wire.InvalidMessage as error:
        raise Deceived(f"the ledger gave an identity that cannot be used: {error}; ask its operator") from error
    return identity


def change_key(
    transport: HttpTransport, key: DeviceKey, successor: DeviceKey, device: DeviceId, *,
    clock: Callable[[], datetime], server_key: bytes | PinnedKey,
) -> None:  # fmt: skip
    """Brings the ledger the next key of a kiosk, under the signature of the key in force. Sending again is harmless.

    Raises `Unauthorised`, `Unreachable`, `Untrusted`, `RequestRejected`, also from a ledger that does not know this
    call, and `Deceived` for an answer about another key, or without the ledger's signature.
    """
    channel = LedgerChannel(transport, key, device, clock, server_key)
    request = prove_key(successor.private, device, key.public_bytes)
    reply = channel.post(DeviceKeyReply, device_keys_path(device), wire.to_json(request))
    if (reply.device, reply.public_key) != (device, request.public_key) or not channel.last_was_signed:
        raise Deceived("the ledger has not said by its own word that it takes the new key; ask its operator")
