"""Pictures of real palms: the one thing that tests want and a clone does not hold.

They are of research sets with terms of their own, and of 78 MB. `CANTEEN_PALMS` names the folder that holds the sets;
without it `../shared/data/palms` beside the repository is meant. A test gets its folder here, or is skipped with a
reason that the last line of the run counts.
"""

import os
from pathlib import Path
from typing import NoReturn

import pytest

PALMS = Path(os.environ.get("CANTEEN_PALMS") or Path(__file__).parents[2] / "shared" / "data" / "palms")
SKIPPED = "palm pictures: "  # each reason begins so, and nothing else does


def find_palms(name: str) -> Path:
    """Return the folder of one set of pictures. Skips the test where it is absent."""
    folder = PALMS / name
    return folder if folder.is_dir() else skip_without_palms(name)


def skip_without_palms(*names: str) -> NoReturn:
    pytest.skip(_reason(*names))


def needs_palms(name: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test before its fixtures are built, where they take long."""
    return pytest.mark.skipif(not (PALMS / name).is_dir(), reason=_reason(name))


def count_skipped(reasons: list[str]) -> int:
    return sum(SKIPPED in reason for reason in reasons)


def summarise(skipped: int) -> str:
    """Return the line that ends a run."""
    if not PALMS.is_dir():
        return f"{SKIPPED}absent at {PALMS}, {skipped} tests not run (CANTEEN_PALMS names another folder)"
    if skipped:
        return f"{SKIPPED}incomplete at {PALMS}, {skipped} tests not run"
    return f"{SKIPPED}present at {PALMS}, no test was left out for want of them"


def _reason(*names: str) -> str:
    return f"{SKIPPED}no {' or '.join(names)} in {PALMS}"
