"""The kiosk's identity: its device key, and the device id that the ledger gave it at its registration.

A kiosk without a ledger has an identity, too, made from its key, so that it records from the first minute. Registering
gives it another one. The journal then goes on in a new epoch, and events that were recorded before travel in that.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge_agent.errors import KioskNotRegistered, SettingsWrong
from sync.client.keys import DeviceKey
from sync.contract.chain import DeviceId

DEVICE_KEY_NAME = "device.key"
NEXT_KEY_NAME = "device.key.next"  # made, and perhaps known to the ledger, but not this kiosk's key yet
IDENTITY_NAME = "identity.json"
SCHOOL_UNREGISTERED = "unregistered"  # the school of a kiosk whose settings name none


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's answer to the enrolment code. It holds no secret."""

    device: str
    school: str
    ledger: str  # base URL
    server_key: str  # hex; its signature is on every receipt


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The device id, school and key of this kiosk. `registration` None: no ledger knows it."""

    device: DeviceId
    school: str
    key: DeviceKey = field(repr=False)
    registration: Registration | None


def read_identity(state_dir: Path, school: str) -> DeviceIdentity:
    """Returns this kiosk's identity; the first call makes its key. `school` comes from the settings and may be empty.

    Raises `SettingsWrong` where the settings name another school than the registration.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    key = DeviceKey.load_or_make(state_dir / DEVICE_KEY_NAME)
    registration = read_registration(state_dir)
    if registration is None:
        local = DeviceId(f"local-{key.public_bytes.hex()[:16]}")
        return DeviceIdentity(local, school or SCHOOL_UNREGISTERED, key, None)
    if school and school != registration.school:
        raise SettingsWrong(
            f"kiosk.school: found {school!r}, but this kiosk is registered for {registration.school!r}; "
            "leave the key out, or register the kiosk again"
        )
    return DeviceIdentity(DeviceId(registration.device), registration.school, key, registration)


def read_registration(state_dir: Path) -> Registration | None:
    """Returns the registration; None where there is none. Raises `KioskNotRegistered` where its file is damaged."""
    path = state_dir / IDENTITY_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Registration)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise KioskNotRegistered(f"{path}: damaged ({error}); move it away and register this kiosk again") from error


def adopt_next_key(state_dir: Path) -> None:
    """Lets the next key be this kiosk's: a power cut leaves the old one or the new one. Raises `OSError`."""
    (state_dir / NEXT_KEY_NAME).replace(state_dir / DEVICE_KEY_NAME)
    _flush_folder(state_dir)


def replace_server_key(state_dir: Path, server_key: bytes) -> None:
    """Pins another key of the ledger, 32 raw bytes, in the registration that is there. Raises `OSError`."""
    registration = read_registration(state_dir)
    if registration is not None:
        write_registration(state_dir, msgspec.structs.replace(registration, server_key=server_key.hex()))


def write_registration(state_dir: Path, registration: Registration) -> None:
    """Writes the registration whole or not at all: a power cut leaves the old file or the new one."""
    path = state_dir / IDENTITY_NAME
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(registration)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _flush_folder(state_dir)


def _flush_folder(state_dir: Path) -> None:
    folder = os.open(state_dir, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
