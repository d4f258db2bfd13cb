"""A name is found in a reason in whatever case it stands, and ordinary words are none."""

import pytest

from sync.contract.free_text import names_somebody
from sync.contract.roster import Person

PEOPLE = [
    Person(id="1", given_name="Айгүл", family_name="Алиева"), Person(id="2", given_name="Нұрлан", family_name="Ким"),
    Person(id="3", given_name="Ли", family_name="Омаров-Цой"),
]  # fmt: skip


@pytest.mark.parametrize("text", [
    "карта Алиевой не читается", "Айгүлдің картасы жоқ", "КИМ забыл карту", "нет карты (омаровым взята)",
    "Нұрланға берілді",
])  # fmt: skip
def test_a_name_is_found(text: str) -> None:
    assert names_somebody(text, PEOPLE)


@pytest.mark.parametrize("text", [
    "forgot_card", "была ли карта, неизвестно", "карта сломана", "кимоно", "картасы жоқ", "", "алебастр", "12 «А»",
])  # fmt: skip
def test_an_ordinary_word_is_no_name(text: str) -> None:
    assert not names_somebody(text, PEOPLE)
