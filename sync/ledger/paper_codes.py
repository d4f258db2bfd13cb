"""Codes that people read from paper, and the hashes under which the ledger keeps them and other secrets.

A code begins with its school's id, so that the school's shard alone can answer.
"""

import hashlib
import secrets
from typing import Final

_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without the pairs that are misread from paper
_GROUP: Final = 4


def draw_code(school: str, groups: int) -> str:
    """Returns a new code: the school's id and so many groups of four letters, of 31 each."""
    drawn = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(groups))
    return "-".join([school, *drawn])


def parse_code_school(code: str, groups: int) -> str:
    """Returns the school in a code of so many groups."""
    return code.rsplit("-", groups)[0]


def hash_code(code: str, groups: int) -> bytes:
    """Returns the hash of a code: plain, for it has 79 random bits or more. Case and stray spaces are forgiven."""
    code = "".join(code.split())
    school = parse_code_school(code, groups)
    return hash_secret(f"{school}-{code[len(school) + 1 :].upper()}")


def hash_secret(secret: str) -> bytes:
    """Returns the hash of a secret with at least 64 random bits; it needs no slow function."""
    return hashlib.sha256(secret.encode()).digest()
