"""Terms as files: TOML for people, canonical JSON for the digest that a sheet names.

Sums are integers of tiyn (100 tiyn are one tenge): a number with a point is refused, since it could not be exact.
"""

import hashlib
from typing import TypeVar

import msgspec

from sync.money.errors import TermsWrong

Terms = TypeVar("Terms", bound=msgspec.Struct)


class TermsBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of everything that is read from a file of terms: an unknown field is an error, not a silence."""


def read_toml(text: str, kind: type[Terms]) -> Terms:
    """Returns the terms in a TOML text. Raises TermsWrong that names the field."""
    try:
        return msgspec.toml.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise TermsWrong(
            f"this file is no {kind.__name__.lower()}: {error}", "correct it and import it again"
        ) from error


def read_json(text: bytes, kind: type[Terms]) -> Terms:
    """Returns the terms in their canonical JSON. Raises TermsWrong."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise TermsWrong(
            f"these bytes are no {kind.__name__.lower()}: {error}", "import the TOML file again"
        ) from error


def to_bytes(terms: msgspec.Struct) -> bytes:
    """Returns the canonical JSON: sorted keys, no spaces, defaults left out."""
    return msgspec.json.encode(terms, order="sorted")


def digest(terms: msgspec.Struct) -> str:
    """Returns the SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(to_bytes(terms)).hexdigest()
