"""Splits the people of the palm sets into those whom numbers may be chosen on, and those who only show what came of it.

By a hash of the person: both hands of one, and all lights of one set, lie in the same part. Nobody moves when pictures
or sets are added.
"""

import hashlib
import re
from enum import StrEnum


class Part(StrEnum):
    TUNED = "tuned"  # numbers are chosen on them
    SHOWN = "shown"  # figures are stated for them; no number was chosen looking at them


def part_of(name: str) -> Part:
    """Returns the part of a palm, `SET/IDENTITY`: tongji/017, iitd/036_L, casia_940/001_l."""
    folder, _, identity = name.partition("/")
    person = re.sub(r"_[lr]$", "", identity, flags=re.IGNORECASE)
    family = folder.partition("_")[0]
    return Part.TUNED if hashlib.sha256(f"{family}/{person}".encode()).digest()[0] % 2 else Part.SHOWN
