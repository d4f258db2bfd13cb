"""A family's paper slip: the code of the child's page, and the keys that check proofs, in the family's language."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib.resources import files

import msgspec


class SlipLanguage(StrEnum):
    """The languages of a slip."""

    KK = "kk"
    RU = "ru"
    EN = "en"


@dataclass(frozen=True, slots=True)
class FamilySlip:
    """The content of a slip. `until`: the last day of the code; `witness_key`: empty where there is no witness."""

    person: str
    code: str
    until: date
    ledger_key: str
    witness_key: str


def print_slip(slip: FamilySlip, language: SlipLanguage) -> str:
    """Returns the slip as text. `verify-meal --slip` finds the keys in it: they alone are words with two plus signs."""
    catalogue = files("sync.ledger.family").joinpath("catalogue", f"{language.value}.json")
    words = msgspec.json.decode(catalogue.read_bytes(), type=dict[str, str])
    until = words["slip.until"].format(day=slip.until.isoformat())
    lines = (
        words["slip.title"],
        "",
        f"{words['slip.child']}: {slip.person}",
        f"{words['code']}: {slip.code} ({until})",
        words["slip.code_help"],
        "",
        f"{words['slip.ledger']}: {slip.ledger_key}",
        f"{words['slip.witness']}: {slip.witness_key or words['slip.no_witness']}",
        words["slip.keys_help"],
    )
    return "\n".join(lines)
