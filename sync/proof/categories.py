"""One version of a school's categories, as the log of events keeps it: a digest that names nobody.

    row      SHA-256(0x00 ‖ "canteen category v1\\n" ‖ salt (16 bytes) ‖ person ‖ category), as in statements
    rows     SHA-256 of the hashes of all rows, one behind the other, ascending
    version  SHA-256("canteen categories v1\\n" number\\n first day\\n how many rows\\n rows in hex\\n)

The version's digest is in its leaf. A category says something of a family, and there are few of them, so each row has a
salt. Two versions without rows may have one first day, so the number tells them apart; only version 0, what was in
force before there were versions, is without one. When a person is erased, row and salt go and the hash stays: the
digest holds, and nobody can guess the row.
"""

from collections.abc import Collection
from datetime import date
from hashlib import sha256
from typing import Final

from sync.proof.notes import join_lines
from sync.proof.statements import SALT_BYTES, prefix_field
from sync.proof.tree import hash_leaf

_ROW_TAG: Final = b"canteen category v1\n"
_VERSION_TAG: Final = "canteen categories v1"


def hash_category(person: str, category: str, salt: bytes) -> bytes:
    """Returns the hash of one person's category. `salt`: 16 bytes, drawn for this row. Raises ValueError."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt of {len(salt)} bytes, expected {SALT_BYTES}")
    return hash_leaf(_ROW_TAG + salt + prefix_field(person) + prefix_field(category))


def digest_rows(hashes: Collection[bytes]) -> bytes:
    """Returns the digest of all rows of a version, in whichever order their hashes come."""
    return sha256(b"".join(sorted(hashes))).digest()


def digest_categories(number: int, first: date, count: int, rows: bytes) -> bytes:
    """Returns the digest of a version in force from `first` on, with `count` rows whose own digest is `rows`."""
    numbered = [str(number)] if number else []
    return sha256(join_lines([_VERSION_TAG, *numbered, first.isoformat(), str(count), rows.hex()]).encode()).digest()
