"""Names and docstrings are read alone: limits on what `tests/measure_names.py` counts in the packages."""

import pytest

from tests.measure_names import PACKAGES, ROOT, Measures, measure

EMPTY_PERCENT_MAX = 1.0
SHARED_CLASSES_MAX = 20  # definitions, those of the allow-list included

# One class for each protocol, used behind its module's name: `em4100.Decoder`.
ALLOWED_CLASSES = {"Decoder"}


@pytest.fixture(scope="module")
def measures() -> Measures:
    return measure(ROOT / package for package in PACKAGES)


def test_few_names_are_a_word_that_says_nothing_alone(measures: Measures) -> None:
    most = f"{measures.empty_percent:.2f} % of the bound names; see `python -m tests.measure_names --list`"
    assert measures.empty_percent <= EMPTY_PERCENT_MAX, most


def test_a_class_name_stands_for_one_class(measures: Measures) -> None:
    shared = measures.shared_classes()
    doubles = {name: [str(place) for place in places] for name, places in shared.items() if name not in ALLOWED_CLASSES}
    assert doubles == {}
    assert sum(map(len, shared.values())) <= SHARED_CLASSES_MAX


def test_a_constant_name_has_one_value(measures: Measures) -> None:
    assert sorted(measures.shared_constants()) == []


def test_a_docstring_is_a_sentence_of_its_own(measures: Measures) -> None:
    assert [str(place) for place in measures.fragments] == []
