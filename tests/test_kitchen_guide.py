"""The kitchen's guide names buttons by the words that the pages show, in each language."""

import re
from pathlib import Path

import pytest

from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.state import Language

GUIDE = Path(__file__).parents[1] / "docs" / "kitchen.md"
TITLES = {Language.KK: "## Қазақша", Language.RU: "## По-русски", Language.EN: "## In English"}
NAMED = (
    "staff.hall.leave", "staff.search.look", "staff.card.give", "staff.by_class", "staff.today.title",
    "staff.take_back", "staff.paper.title",
)  # fmt: skip


@pytest.mark.parametrize("language", Language)
def test_the_guide_says_what_the_page_says(language: Language) -> None:
    part = GUIDE.read_text("utf-8").split(TITLES[language])[1].split("\n## ")[0]
    bold = [" ".join(found.split()) for found in re.findall(r"\*\*(.+?)\*\*", part, re.DOTALL)]
    buttons = [words for words in bold if not words.endswith(".") and words != "+"]
    assert buttons == [read_catalogue(language)[key] for key in NAMED]
    assert len(re.findall(r"^\d\.", part, re.MULTILINE)) == 8
