"""The agreement of a folder and a database on the key that signs receipts.

Two processes with two keys would each call the other's receipts forged, and so would the kiosks. So the database has
the public keys in their order, the folder has the same beside its private key, and a process that begins compares:

- the database knows none: it is new, or older than this, and takes the folder's;
- the folder's key is in force: good;
- the folder's key follows on the one in force: the database was restored, or a rotation was cut off; it takes the rest;
- any other key: the process does not start.

A process that runs compares again and again, and follows a rotation by itself.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import wire
from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import BrokenKeyChain, ReceiptKey, follow_keys, hand_over
from sync.ledger import keys
from sync.ledger.errors import KeyNotInForce, NotUnderstood
from sync.ledger.whole_files import replace_file

logger = logging.getLogger(__name__)

RECEIPT_KEY_NAME = "receipt.key"
KEY_CHAIN_NAME = "receipt-keys.json"
FOLLOW_INTERVAL_S = 1.0  # between two looks of a running process
_LOCK = 0x63_6E_74_32  # `cnt2`: two first starts at once must not both bring their key into force


class ReceiptSigner:
    """The key with which a running process signs receipts and answers. `key`: to be read anew for each of them."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key
        self._complaint = ""  # what was logged last, so that it is not logged every second

    def follow(self, connection: psycopg.Connection, folder: Path, now: datetime) -> None:
        """Takes the key in force, where that is another one by now and the key at hand leads to it.

        The database has it before, so that whoever meets it can learn it. Where it is not to be had, the key at hand
        stays, and the reason is logged once.
        """
        in_force = self.key.public_key().public_bytes_raw()
        if [key.raw for key in read_receipt_keys(connection)[-1:]] == [in_force]:
            return
        try:
            newest = claim_receipt_key(connection, folder, now)
            follow_keys(read_receipt_keys(connection), in_force)
        except (KeyNotInForce, NotUnderstood, BrokenKeyChain, OSError) as error:
            if str(error) != self._complaint:
                logger.error("this process goes on signing with key %s: %s", fingerprint(in_force), error)  # noqa: TRY400
            self._complaint = str(error)
            return
        self.key, self._complaint = newest, ""
        logger.warning("receipts and answers are signed with key %s from here on",
                       fingerprint(newest.public_key().public_bytes_raw()))  # fmt: skip


def read_receipt_keys(connection: psycopg.Connection) -> tuple[ReceiptKey, ...]:
    """Returns the keys that the database knows, oldest first. The city's: one chain for all schools."""
    rows = connection.execute("SELECT public_key, since, signature FROM receipt_key ORDER BY number")
    return tuple(
        ReceiptKey(public_key=bytes(public_key).hex(), since=since, signature=bytes(signature).hex())
        for public_key, since, signature in rows
    )


def claim_receipt_key(connection: psycopg.Connection, folder: Path, now: datetime) -> Ed25519PrivateKey:
    """Returns the folder's key, once it is in force for this database; the first start draws it.

    Raises KeyNotInForce for another key, NotUnderstood for a file that cannot be read.
    """
    path = folder / RECEIPT_KEY_NAME
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        known = read_receipt_keys(connection)
        if known and not path.exists():
            raise _not_in_force(folder, "has none", known[-1])
        key = keys.load_or_create(path)
        public = key.public_key().public_bytes_raw()
        if not known or known[-1].raw != public:
            known = _extend(connection, folder, public, known, now)
    write_folder_chain(folder, known)
    return key


def rotate_receipt_key(connection: psycopg.Connection, folder: Path, now: datetime) -> tuple[ReceiptKey, ...]:
    """Draws a new key, lets the one in force vouch for it, and returns all keys, the new one last.

    A crash at any step leaves a folder that starts: with the former key until its file is replaced, with the new one
    from then on. Raises KeyNotInForce where the folder's key is not in force.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        former = claim_receipt_key(connection, folder, now)
        new = Ed25519PrivateKey.generate()
        chain = (
            *read_receipt_keys(connection), hand_over(former, new.public_key().public_bytes_raw(), wire.time_text(now))
        )  # fmt: skip
        write_folder_chain(folder, chain)
        replace_file(folder / RECEIPT_KEY_NAME, f"{new.private_bytes_raw().hex()}\n".encode(), 0o600)
        _insert(connection, len(chain), chain[-1])
    return chain


def _insert(connection: psycopg.Connection, number: int, key: ReceiptKey) -> None:
    connection.execute(
        "INSERT INTO receipt_key (number, public_key, since, signature) VALUES (%s, %s, %s, %s)",
        (number, key.raw, key.since, bytes.fromhex(key.signature)),
    )


def _extend(
    connection: psycopg.Connection, folder: Path, public: bytes, known: Sequence[ReceiptKey], now: datetime
) -> tuple[ReceiptKey, ...]:
    """Brings into force what the folder has behind the database's newest key. Raises KeyNotInForce."""
    folders = read_folder_chain(folder, public) or (ReceiptKey(public_key=public.hex(), since=wire.time_text(now)),)
    begin = known[-1] if known else folders[0]
    try:
        later = follow_keys(folders, begin.raw)
    except BrokenKeyChain as error:
        raise _not_in_force(folder, f"has {fingerprint(public)}", begin) from error
    added = later[1:] if known else later
    for number, key in enumerate(added, len(known) + 1):
        _insert(connection, number, key)
    return (*known, *added)


def _not_in_force(folder: Path, found: str, in_force: ReceiptKey) -> KeyNotInForce:
    return KeyNotInForce(
        f"this database's receipts are signed with key {fingerprint(in_force.raw)}, in force since {in_force.since}; "
        f"{folder} {found}: copy {RECEIPT_KEY_NAME} and {KEY_CHAIN_NAME} there from the folder of the process that "
        f"serves (or from its backup), then start again"
    )


def read_folder_chain(folder: Path, public: bytes) -> tuple[ReceiptKey, ...]:
    """Returns the folder's keys up to its own; none where it has no such file. Raises NotUnderstood.

    `public`: the folder's own key. What a cut-off rotation has put behind it is left out.
    """
    path = folder / KEY_CHAIN_NAME
    try:
        chain = msgspec.json.decode(path.read_bytes(), type=tuple[ReceiptKey, ...])
    except FileNotFoundError:
        return ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"{path}: damaged ({error}); restore it from a copy") from error
    names = [key.raw for key in chain]
    return chain[: names.index(public) + 1] if public in names else ()


def write_folder_chain(folder: Path, chain: Sequence[ReceiptKey]) -> None:
    """Writes the folder's keys whole or not at all, where they differ from what is there. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(chain)) + b"\n"
    path = folder / KEY_CHAIN_NAME
    if path.exists() and path.read_bytes() == content:
        return
    replace_file(path, content, 0o644)
