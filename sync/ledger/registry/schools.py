"""Schools, one-time codes and the devices that come of them.

A device's id begins with its school's, so that every request can be answered by the school's shard alone:
`sch151-4f0c9a17be21d3f0`. A code does too, which also tells the technician which kiosk it is for:
`sch151-7KQ2-9F4M-TT3X-HW8P`.
"""

import secrets
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.rows import class_row

from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.wire import HeadText, InvalidMessage, parse_device_id, parse_school_id
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.holes import read_holes
from sync.ledger.judgement.day_marks import change_basis
from sync.ledger.paper_codes import draw_code, hash_code, parse_code_school
from sync.ledger.recovery.acts import ActKind, note_act

SCHOOL_ID_MAX = 40  # leaves room for the device's part in a name of 64
CODE_LIFETIME = timedelta(days=3)
_CODE_GROUPS = 4  # 16 letters of 31: 79 bits


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """A device as a request needs it. `public_keys`: those in force, the oldest first."""

    school: str
    device: DeviceId
    status: str
    public_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device as the operator sees it."""

    school: str
    device: str
    name: str
    status: str
    epoch: str
    seq: int
    last_heard: datetime | None
    twins: bool  # two runs of it were heard at the same time: two kiosks with one identity
    missing: int = 0  # events that it had recorded and nobody can give any more


@dataclass(frozen=True, slots=True)
class RefusedCode:
    """A code that gives no identity, and the reason; the kiosk learns only that it was refused."""

    why: str


def parse_school(device: str) -> str:
    """Returns the school in a device's id. Raises `InvalidMessage` when it is no id of this ledger's."""
    school, dash, rest = parse_device_id(device).rpartition("-")
    if not dash or not rest:
        raise InvalidMessage(f"{device[:80]!r} is no device of this ledger")
    return school


def add_school(connection: psycopg.Connection, school: str, name: str, timezone: str = "Asia/Almaty") -> None:
    """Adds a school, or renames the one of this id. Raises NotUnderstood."""
    try:
        parse_school_id(school)
    except InvalidMessage as error:
        raise NotUnderstood(str(error)) from error
    if len(school) > SCHOOL_ID_MAX:
        raise NotUnderstood(f"school id of {len(school)} characters; at most {SCHOOL_ID_MAX} are taken")
    connection.execute(
        "INSERT INTO school (school, name, timezone) VALUES (%s, %s, %s)"
        " ON CONFLICT (school) DO UPDATE SET name = excluded.name, timezone = excluded.timezone",
        (school, name, timezone),
    )


def list_schools(connection: psycopg.Connection) -> list[str]:
    """Returns the ids of all schools."""
    # Of the city: its schools.
    return [row[0] for row in connection.execute("SELECT school FROM school ORDER BY school")]


def issue_code(
    connection: psycopg.Connection, school: str, device_name: str, now: datetime, lifetime: timedelta = CODE_LIFETIME
) -> str:
    """Returns a code for one kiosk of this school. It is shown once; the ledger has its hash. Raises NotUnderstood."""
    code = draw_code(school, _CODE_GROUPS)
    try:
        connection.execute(
            "INSERT INTO enrolment_code (school, code_hash, device_name, created_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            (school, hash_code(code, _CODE_GROUPS), device_name, now, now + lifetime),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotUnderstood(f"no school {school!r}: add it with `edge-agent ledger school`") from error
    return code


def register_device(
    connection: psycopg.Connection, code: str, public_key: bytes, name: str, now: datetime
) -> tuple[RegisteredDevice, bool] | RefusedCode:
    """Returns the identity behind a code, and True if it is new. The same code and key give the same one again."""
    code = "".join(code.split())
    school = parse_code_school(code, _CODE_GROUPS)
    if "\0" in code or "\0" in name:
        return RefusedCode("a zero byte")
    code_hash = hash_code(code, _CODE_GROUPS)
    with connection.transaction():
        row = connection.execute(
            "SELECT device_name, expires_at, device, public_key, withdrawn_at IS NOT NULL FROM enrolment_code"
            " WHERE school = %s AND code_hash = %s FOR UPDATE",
            (school, code_hash),
        ).fetchone()
        if row is None:
            return RefusedCode("unknown")
        device_name, expiry, used_by, used_key, is_withdrawn = row
        if used_by is not None:
            if used_key != public_key:
                return RefusedCode("used with another key")
            return RegisteredDevice(school, DeviceId(used_by), "active", (public_key,)), False
        if is_withdrawn:
            return RefusedCode("withdrawn")
        if now >= expiry:
            return RefusedCode("expired")
        device = DeviceId(f"{school}-{secrets.token_hex(8)}")
        _add_device(connection, school, device, device_name or name, public_key)
        connection.execute(
            "UPDATE enrolment_code SET used_at = %s, device = %s, public_key = %s WHERE school = %s AND code_hash = %s",
            (now, device, public_key, school, code_hash),
        )
        note_act(connection, ActKind.REGISTRATION, school, {
            "device": device, "name": device_name or name, "public_key": public_key.hex(),
            "code_hash": code_hash.hex(),
        })  # fmt: skip
    return RegisteredDevice(school, device, "active", (public_key,)), True


def _add_device(connection: psycopg.Connection, school: str, device: DeviceId, name: str, public_key: bytes) -> None:
    connection.execute("INSERT INTO device (school, device, name) VALUES (%s, %s, %s)", (school, device, name[:200]))
    connection.execute(
        "INSERT INTO device_key (school, device, public_key) VALUES (%s, %s, %s)", (school, device, public_key)
    )
    connection.execute(
        "INSERT INTO head (school, device, epoch, seq, hash) VALUES (%s, %s, '', 0, '')", (school, device)
    )


def restore_device(
    connection: psycopg.Connection, school: str, device: DeviceId, name: str, public_key: bytes, code_hash: bytes
) -> None:
    """Adds a device that had registered before the database was restored, and uses up its code."""
    if find_device(connection, device) is None:
        _add_device(connection, school, device, name, public_key)
    connection.execute(
        "UPDATE enrolment_code SET used_at = now(), device = %s, public_key = %s"
        " WHERE school = %s AND code_hash = %s AND device IS NULL",
        (device, public_key, school, code_hash),
    )


def find_device(connection: psycopg.Connection, device: str) -> RegisteredDevice | None:
    """Returns the device of this id, with the keys in force."""
    try:
        school = parse_school(device)
    except InvalidMessage:
        return None
    row = connection.execute(
        "SELECT status, ARRAY(SELECT public_key FROM device_key WHERE school = %(school)s AND device = %(device)s"
        " AND retired_at IS NULL ORDER BY added_at) FROM device WHERE school = %(school)s AND device = %(device)s",
        {"school": school, "device": device},
    ).fetchone()
    return (
        None if row is None else RegisteredDevice(school, DeviceId(device), row[0], tuple(bytes(key) for key in row[1]))
    )


def set_status(connection: psycopg.Connection, device: str, status: str, *, since: datetime | None = None) -> None:
    """Sets a device's status: `suspended` stops its requests with 403, `active` admits it. Raises NotUnderstood.

    What it records while it is suspended is held. `since`: the time from which it was, where that is not now.
    """
    school = parse_school(device)
    with connection.transaction():
        done = connection.execute(
            "UPDATE device SET status = %s WHERE school = %s AND device = %s", (status, school, device)
        )
        if done.rowcount == 0:
            raise NotUnderstood(f"no device {device!r}: see `edge-agent ledger devices`")
        note_act(connection, ActKind.SUSPENSION, school, {
            "device": device, "status": status, "since": (since or datetime.now(UTC)).isoformat(),
        })  # fmt: skip
        connection.execute(
            "UPDATE device_suspension SET until = now() WHERE school = %s AND device = %s AND until IS NULL",
            (school, device),
        )
        if status == "suspended":
            connection.execute(
                "INSERT INTO device_suspension (school, device, since) VALUES (%s, %s, coalesce(%s, now()))"
                " ON CONFLICT (school, device, since) DO UPDATE SET until = NULL",
                (school, device, since),
            )
            first = (since - timedelta(days=1)).date().isoformat() if since else ""
            days = connection.execute("SELECT day FROM settled_day WHERE school = %s AND day >= %s", (school, first))
            change_basis(connection, school, [row[0] for row in days if first])
        else:
            change_basis(connection, school, ())


def list_devices(connection: psycopg.Connection) -> list[DeviceRow]:
    """Returns every device, with the number of its last event and the time of its last heartbeat or batch."""
    with connection.cursor(row_factory=class_row(DeviceRow)) as cursor:
        rows = cursor.execute(_DEVICES).fetchall()
    missing: dict[str, int] = defaultdict(int)
    # Of the city: whichever school has holes.
    for (school,) in connection.execute("SELECT DISTINCT school FROM hole").fetchall():
        for hole in read_holes(connection, school):
            missing[hole.device] += hole.last_seq - hole.first_seq + 1
    return [replace(row, missing=missing[row.device]) for row in rows]


# Of the city: one row a device, made where its school's rows lie.
_DEVICES = """
    SELECT school, device, name, status, epoch, seq,
           greatest(
               (SELECT max(received_at) FROM heartbeat b WHERE b.school = d.school AND b.device = d.device),
               (SELECT max(received_at) FROM batch b WHERE b.school = d.school AND b.device = d.device)
           ) AS last_heard,
           EXISTS (
               SELECT 1 FROM heartbeat a JOIN heartbeat b USING (school, device)
               WHERE a.school = d.school AND a.device = d.device AND a.instance < b.instance
                 AND a.first_at < b.received_at AND b.first_at < a.received_at
           ) AS twins
    FROM device d JOIN head USING (school, device)
    ORDER BY school, device
"""

HEARTBEATS_MAX = 20  # runs that are remembered of each device


def store_heartbeat(connection: psycopg.Connection, device: RegisteredDevice, instance: str, body: bytes) -> None:
    """Stores a heartbeat as the last one of its run, at the database's time: which came first must have one judge."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO heartbeat (school, device, instance, body, first_at, received_at)"
            " VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp()) ON CONFLICT (school, device, instance)"
            " DO UPDATE SET body = excluded.body, received_at = excluded.received_at",
            (device.school, device.device, instance, body),
        )
        connection.execute(
            "DELETE FROM heartbeat WHERE school = %(school)s AND device = %(device)s AND instance IN ("
            " SELECT instance FROM heartbeat WHERE school = %(school)s AND device = %(device)s"
            " ORDER BY received_at DESC OFFSET %(most)s)",
            {"school": device.school, "device": device.device, "most": HEARTBEATS_MAX},
        )


def note_heard(connection: psycopg.Connection, device: RegisteredDevice, epoch: str, head: HeadText) -> int:
    """Notes how far a device says that its journal goes; returns the highest number that it has ever told of."""
    row = connection.execute(
        "INSERT INTO heard_head (school, device, epoch, seq, hash) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (school, device, epoch) DO UPDATE SET seq = greatest(heard_head.seq, excluded.seq),"
        " hash = CASE WHEN excluded.seq > heard_head.seq THEN excluded.hash ELSE heard_head.hash END"
        " RETURNING seq",
        (device.school, device.device, epoch, head.seq, head.hash),
    ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True, slots=True)
class DeviceStanding:
    """Where the ledger stands with a device: its open epoch ('': none), the last event, the roster of its school."""

    epoch: str
    seq: int
    hash: bytes
    roster_version: int
    incarnation: str


def read_standing(connection: psycopg.Connection, device: RegisteredDevice) -> DeviceStanding:
    """Returns where the ledger stands with a device."""
    with connection.cursor(row_factory=class_row(DeviceStanding)) as cursor:
        standing = cursor.execute(
            "SELECT h.epoch, h.seq, h.hash, s.roster_version, s.incarnation FROM head h JOIN school s USING (school)"
            " WHERE h.school = %s AND h.device = %s",
            (device.school, device.device),
        ).fetchone()
    assert standing is not None, "registering makes the head row"
    return standing


WANTED_MAX = 1_000  # numbers in one answer


def read_wanted(connection: psycopg.Connection, device: RegisteredDevice, epoch: Epoch) -> tuple[int, ...]:
    """Returns the first events of an epoch of which only a tombstone stands here, ascending."""
    rows = connection.execute(
        "SELECT seq FROM quarantine WHERE school = %s AND device = %s AND epoch = %s AND code = 'tombstone'"
        " ORDER BY seq LIMIT %s",
        (device.school, device.device, epoch, WANTED_MAX),
    )
    return tuple(row[0] for row in rows)


def read_head(connection: psycopg.Connection, device: RegisteredDevice) -> tuple[Epoch, Head] | None:
    """Returns the last event of a device and its epoch; None before its first event."""
    row = connection.execute(
        "SELECT epoch, seq, hash FROM head WHERE school = %s AND device = %s", (device.school, device.device)
    ).fetchone()
    return (Epoch(row[0]), Head(row[1], Hash(row[2]))) if row is not None and row[0] else None


def await_replication(connection: psycopg.Connection, device: RegisteredDevice) -> None:
    """Waits until the standby, where there is one, has everything that was read before on this connection.

    What is read may be on one machine alone, after a crash or a cancelled wait, and must not be signed for. Only a
    commit that writes waits for the standby; a lock on a row is the smallest.
    """
    connection.execute("SELECT FROM head WHERE school = %s AND device = %s FOR SHARE", (device.school, device.device))
