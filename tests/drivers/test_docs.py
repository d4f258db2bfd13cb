"""A driver that the table of devices does not name, or a setting that its page does not, fails here."""

import re
from pathlib import Path

import pytest

from drivers.errors import NotSupported
from drivers.registry import DRIVERS, DriverKind, indicator_class, reader_class

DOCS = Path(__file__).parents[2] / "docs" / "drivers"
TABLE = (DOCS / "README.md").read_text("utf-8")
PAGES = dict(re.findall(r"\[`([a-z0-9-]+)`\]\(([a-z0-9-]+\.md)", TABLE))


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_table_says_what_was_tried_with_it(driver: str) -> None:
    rows = [line for line in TABLE.splitlines() if re.search(rf"\| \[?`{driver}`", line)]
    assert len(rows) == 1
    assert rows[0].count("|") >= 6


@pytest.mark.parametrize("driver", PAGES)
def test_its_page_names_every_setting(driver: str) -> None:
    page = (DOCS / PAGES[driver]).read_text("utf-8")
    try:
        cls = reader_class(driver) if DRIVERS[driver].kind is DriverKind.READER else indicator_class(driver)
    except NotSupported as missing:
        pytest.skip(str(missing))
    assert not [name for name in cls.Settings.__struct_fields__ if not re.search(rf"\b{name}\b", page)]


def test_every_page_is_linked() -> None:
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([a-z0-9-]+\.md)", TABLE))
