"""Registers a kiosk: a one-time code and its public key against an identity."""

from collections.abc import Callable
from datetime import datetime

from sync.client.channel import HttpTransport, LedgerChannel
from sync.client.keys import DeviceKey
from sync.contract import wire
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
