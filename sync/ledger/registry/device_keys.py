"""The keys of a device: a new one beside the one in force, until it has made its first request."""

import psycopg

from sync.ledger.errors import NotUnderstood
from sync.ledger.recovery.acts import ActKind, note_act
from sync.ledger.registry.schools import RegisteredDevice


def add_device_key(connection: psycopg.Connection, device: RegisteredDevice, signer: bytes, public_key: bytes) -> None:
    """Brings a new key into force beside the one that has signed for it. The same one again changes nothing.

    Another new key that has made no request yet is retired. Raises NotUnderstood for a key that was retired.
    """
    if public_key in device.public_keys:
        return
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO device_key (school, device, public_key, added_at) VALUES (%s, %s, %s, clock_timestamp())"
            " ON CONFLICT (school, device, public_key) DO NOTHING RETURNING 1",
            (device.school, device.device, public_key),
        ).fetchone()
        if row is None:
            raise NotUnderstood("this key was retired: bring a new one")
        _retire(connection, device, [key for key in device.public_keys if key != signer])
        _note(connection, device, public_key, ())


def retire_former(connection: psycopg.Connection, device: RegisteredDevice, signer: bytes) -> None:
    """Retires the keys before the newest one, once that has made a request. `device.public_keys`: oldest first."""
    former = device.public_keys[:-1]
    if not former or signer != device.public_keys[-1]:
        return
    with connection.transaction():
        _retire(connection, device, former)
        _note(connection, device, signer, former)


def restore_keys(
    connection: psycopg.Connection, school: str, device: str, public_key: bytes, former: list[bytes]
) -> None:
    """Brings a key into force that the restored database lacks, and retires those that had been."""
    connection.execute(
        "INSERT INTO device_key (school, device, public_key, added_at)"
        " SELECT school, device, %s, clock_timestamp() FROM device WHERE school = %s AND device = %s"
        " ON CONFLICT (school, device, public_key) DO NOTHING",
        (public_key, school, device),
    )
    connection.execute(_RETIRE, (school, device, former))


def _retire(
    connection: psycopg.Connection, device: RegisteredDevice, former: "list[bytes] | tuple[bytes, ...]"
) -> None:
    connection.execute(_RETIRE, (device.school, device.device, list(former)))


_RETIRE = (
    "UPDATE device_key SET retired_at = now() WHERE school = %s AND device = %s AND public_key = ANY(%s::bytea[])"
    " AND retired_at IS NULL"
)


def _note(connection: psycopg.Connection, device: RegisteredDevice, newest: bytes, former: tuple[bytes, ...]) -> None:
    note_act(connection, ActKind.DEVICE_KEY, device.school, {
        "device": device.device, "public_key": newest.hex(), "retired": " ".join(key.hex() for key in former),
    })  # fmt: skip
