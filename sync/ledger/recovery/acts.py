"""Acts that a restored backup must not undo, in a file beside the database.

A backup that is put back revives what was ended since: a suspended key, a used code, a withdrawn consent. So each such
act is noted in the transaction that does it, and within a second it is a line of `acts.jsonl` in the ledger's folder,
too. The file is signed with the receipts' key, and each signature covers the one before, so that no line can be changed
or taken out of the middle. Before the door opens, the lines that the database does not know are done again. If there
are any, the database was restored: then every school begins a new incarnation, in which the numbers of its rosters
compare with none of those before, and the kiosks fetch them whole.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.ledger.errors import ActsDamaged
from sync.ledger.registry.privileged_acts import log_act
from sync.ledger.whole_files import replace_file

FILE_NAME = "acts.jsonl"
ATTACHMENTS_NAME = "acts"  # the folder of what is attached to lines, by its SHA-256
ATTACHMENT = "attachment"
WRITE_INTERVAL_S = 1.0
LAST_ACTS = 50  # which tell if the database was put back under a running process
LAST_BYTES = 256 * 1024


class ActKind(StrEnum):
    """The kinds of acts, as they stand in the file."""

    SUSPENSION = "suspension"  # device, status, since
    REGISTRATION = "registration"  # device, name, public_key, code_hash
    DEVICE_KEY = "device_key"  # device, public_key, retired: keys with spaces between
    CODE_WITHDRAWAL = "code_withdrawal"  # code_hash, at
    CLOSING = "closing"  # programme, month, number, digest, month_version; attached: the sheet as it was closed
    ERASURE = "erasure"  # person, at
    SURROGATES = "surrogates"  # people: how many; attached: source's id → surrogate, of the newest act of a school only
    ROSTER = "roster"  # deleted: a type and an id a line; the new version is not repeated, the kiosks pull whole


class RecordedAct(msgspec.Struct, frozen=True):
    """One line of the file. `fields` by the kind; `signature` in hex."""

    number: int
    school: str
    token: str
    kind: str
    fields: dict[str, str]
    signature: str = ""


# Each act of these kinds says everything that the former one of its school said: what was attached to that is deleted.
_REPLACING = (ActKind.SURROGATES,)

ActHandler = Callable[[psycopg.Connection, str, Mapping[str, str], bytes], None]
"""Does an act once more, for a school, from its fields and its attachment, b"" where that is missing.

It may find that it was done.
"""


@dataclass(frozen=True, slots=True)
class ActFile:
    """The file at `path`; `key` signs its lines. `former`: the public keys, 32 raw bytes each, that signed before."""

    path: Path
    key: Ed25519PrivateKey
    former: tuple[bytes, ...] = ()

    def append(
        self, school: str, token: str, kind: str, fields: Mapping[str, str], attachment: bytes = b""
    ) -> RecordedAct:
        """Adds a line and returns it, once it is on the disk. Raises ActsDamaged, OSError.

        `attachment`: bytes too many for a line; they are a file beside this one, and the line has its SHA-256.
        """
        fields = dict(fields)
        if attachment:
            fields[ATTACHMENT] = hashlib.sha256(attachment).hexdigest()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._folder / fields[ATTACHMENT], attachment, 0o600)
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # several processes of one ledger share the file
            content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) != len(content):  # torn by a power cut: its act was never done
                os.ftruncate(descriptor, len(whole))
            last = self._decode(len(whole.splitlines()), whole.splitlines()[-1]) if whole else None
            act = RecordedAct(last.number + 1 if last else 1, school, token, kind, fields)
            signed = self._sign(act, last.signature if last else "")
            os.write(descriptor, msgspec.json.encode(signed) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return signed

    def read(self) -> list[RecordedAct]:
        """Returns every act, the oldest first. Raises ActsDamaged where a line is not what was written."""
        content = self.path.read_bytes() if self.path.exists() else b""
        acts: list[RecordedAct] = []
        for place, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            act = self._decode(place, line)
            self._verify(act, acts[-1].signature if acts else "", place)
            acts.append(act)
        return acts

    def read_last(self) -> list[RecordedAct]:
        """Returns the newest acts, at most LAST_ACTS, without a look at their signatures. Raises ActsDamaged."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LAST_BYTES))
            whole = file.read().rpartition(b"\n")[0]
        lines = whole.splitlines()[1 if size > LAST_BYTES else 0 :]  # the first one may be a rest
        return [self._decode(0, line) for line in lines[-LAST_ACTS:]]

    def read_attachment(self, act: RecordedAct) -> bytes:
        """Returns what belongs to an act; b"" where it has none, or where its file is missing or is not what it was."""
        wanted = act.fields.get(ATTACHMENT)
        if wanted is None:
            return b""
        try:
            content = (self._folder / wanted).read_bytes()
        except FileNotFoundError:
            return b""
        return content if hashlib.sha256(content).hexdigest() == wanted else b""

    def drop_replaced(self, newest: RecordedAct) -> None:
        """Deletes what is attached to former acts of the same kind and school. Raises OSError."""
        for act in self.read():
            former = act.fields.get(ATTACHMENT, "")
            if (act.school, act.kind) == (newest.school, newest.kind) and former not in ("", newest.fields[ATTACHMENT]):
                (self._folder / former).unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return self.path.with_name(ATTACHMENTS_NAME)

    def _decode(self, place: int, line: bytes) -> RecordedAct:
        try:
            return msgspec.json.decode(line, type=RecordedAct)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(place) from error

    def _sign(self, act: RecordedAct, before: str) -> RecordedAct:
        return msgspec.structs.replace(act, signature=self.key.sign(_statement(act, before)).hex())

    def _verify(self, act: RecordedAct, before: str, number: int) -> None:
        if act.number != number:
            raise self._damaged(number)
        if not any(_is_signed(act, before, key) for key in (self.key.public_key().public_bytes_raw(), *self.former)):
            raise self._damaged(number)

    def _damaged(self, number: int) -> ActsDamaged:
        return ActsDamaged(
            f"{self.path}: line {number} is not what this ledger wrote; restore the file from a copy, "
            "it may be newer than the database's backup"
        )


def _is_signed(act: RecordedAct, before: str, public_key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(act.signature), _statement(act, before))
    except (InvalidSignature, ValueError):
        return False
    return True


def _statement(act: RecordedAct, before: str) -> bytes:
    unsigned = msgspec.json.encode(msgspec.structs.replace(act, signature=""), order="sorted")
    return b"cnt1-act" + bytes.fromhex(before) + len(unsigned).to_bytes(4, "big") + unsigned


def note_act(
    connection: psycopg.Connection, kind: ActKind, school: str, fields: Mapping[str, str], attachment: bytes = b""
) -> None:
    """Notes an act in the caller's transaction; `write_acts` brings it into the file. Does not wait."""
    text = msgspec.json.encode(dict(fields)).decode().replace("\\u0000", "")
    # By the clock and not by the transaction: who waited for a lock comes after whoever had it.
    connection.execute(
        "INSERT INTO act (school, token, kind, fields, attachment, noted_at)"
        " VALUES (%s, %s, %s, %s, %s, clock_timestamp())",
        (school, secrets.token_hex(16), kind, text, attachment or None),
    )


def write_acts(connection: psycopg.Connection, acts: ActFile) -> int:
    """Brings what was noted into the file; returns how many acts there were. Raises ActsDamaged, OSError."""
    # Of the city: whatever school an act is of, it goes into the one file. Each school's are locked where they lie.
    waiting = connection.execute("SELECT school FROM act WHERE NOT written GROUP BY school ORDER BY min(noted_at)")
    return sum(_write_school(connection, acts, school) for (school,) in waiting.fetchall())


def _write_school(connection: psycopg.Connection, acts: ActFile, school: str) -> int:
    with connection.transaction():
        rows = connection.execute(
            "SELECT token, kind, fields, coalesce(attachment, '') FROM act WHERE school = %s AND NOT written"
            " ORDER BY noted_at, token"
            " FOR UPDATE SKIP LOCKED",  # another process of this ledger is at it
            (school,),
        ).fetchall()
        for token, kind, fields, attachment in rows:
            act = acts.append(school, token, kind, msgspec.json.decode(fields, type=dict[str, str]), bytes(attachment))
            if kind in _REPLACING:
                acts.drop_replaced(act)
            connection.execute(
                "UPDATE act SET written = true, attachment = NULL WHERE school = %s AND token = %s", (school, token)
            )
    return len(rows)


def knows_last_acts(connection: psycopg.Connection, acts: ActFile) -> bool:
    """Returns False where the database does not know the newest acts of the file. Raises ActsDamaged."""
    last = acts.read_last()
    # Of the city: one file for all schools.
    known = connection.execute("SELECT school, token FROM act WHERE token = ANY(%s)", ([act.token for act in last],))
    return {(act.school, act.token) for act in last} <= set(known.fetchall())


def list_lacking_acts(connection: psycopg.Connection, acts: ActFile) -> list[tuple[str, str, str]]:
    """Returns school, token and kind of the acts that were written into the file and are not in it, the oldest first.

    A file that lacks any is not the newest: what it may lack besides, nobody knows. Raises ActsDamaged.
    """
    # Of the city: one file for all schools.
    rows = connection.execute("SELECT school, token, kind FROM act WHERE written ORDER BY noted_at, school, token")
    present = {(act.school, act.token) for act in acts.read()}
    return [row for row in rows.fetchall() if row[:2] not in present]


# Of the city: each school has its own, and none of the former.
RENEW_INCARNATIONS = "UPDATE school SET incarnation = md5(school || %(drawn)s)"


def replay_acts(connection: psycopg.Connection, acts: ActFile, handlers: Mapping[str, ActHandler]) -> int:
    """Does the acts that the database does not know, each in one transaction; returns how many there were.

    If there were any, every school begins a new incarnation. Raises ActsDamaged, also for a kind without a handler.
    """
    # Of the city: all schools at once, before anybody is served.
    known = {(school, token) for school, token in connection.execute("SELECT school, token FROM act")}
    missing = [act for act in acts.read() if (act.school, act.token) not in known]
    for act in missing:
        handler = handlers.get(act.kind)
        if handler is None:
            raise ActsDamaged(f"{acts.path}: line {act.number} is of a later version: install that version again")
        with connection.transaction():
            connection.execute(
                "INSERT INTO act (school, token, kind, fields, written) VALUES (%s, %s, %s, %s, true)"
                " ON CONFLICT DO NOTHING",
                (act.school, act.token, act.kind, msgspec.json.encode(act.fields).decode()),
            )
            handler(connection, act.school, act.fields, acts.read_attachment(act))
            # Its own row in the log went with the database.
            log_act(connection, act.school, "again after a restore", f"{act.kind}, line {act.number}", "ledger")
    if missing:
        connection.execute(RENEW_INCARNATIONS, {"drawn": secrets.token_hex(16)})
    return len(missing)
