"""Prices: whole tiyn, one price a meal, the most precise tariff first."""

from datetime import date

import msgspec
import pytest

from sync.money.errors import TermsMissing, TermsWrong
from sync.money.tariffs import DailyMark, PayerKind, Tariff, TariffBook, check_tariffs, read_tariffs
from tests.sync.money.conftest import MONEY

DAY = date(2025, 11, 3)


def test_the_example_has_every_payer_and_daily_marks(tariffs: TariffBook) -> None:
    assert {terms.payer for terms in tariffs.programmes} == set(PayerKind)
    assert tariffs.find_programme("camp").mark is DailyMark.DAY
    assert tariffs.find_programme("camp").calendar == "camp"


def test_a_tariff_that_names_the_category_goes_first(tariffs: TariffBook) -> None:
    assert tariffs.find_tariff("state", DAY, "lunch", "05", "").billed_tiyn == 90100
    assert tariffs.find_tariff("state", DAY, "lunch", "05", "c2").billed_tiyn == 105000
    assert tariffs.find_tariff("state", DAY, "lunch", "05", "c9").billed_tiyn == 90100
    assert tariffs.find_tariff("reduced", DAY, "lunch", "05", "").billed_tiyn == 45050


def test_a_meal_without_a_price_or_a_programme_is_refused(tariffs: TariffBook) -> None:
    with pytest.raises(TermsMissing, match="no price for camp lunch on 2025-11-03; add it"):
        tariffs.find_tariff("camp", DAY, "lunch", "", "")
    with pytest.raises(TermsMissing, match="no programme 'milk' but state, reduced"):
        tariffs.find_programme("milk")


def test_a_meal_never_has_two_prices(tariffs: TariffBook) -> None:
    def added(**fields: object) -> TariffBook:
        tariff = msgspec.convert({"id": "x", "programme": "state", "tiyn": 1, "first": "2026-01-01"} | fields, Tariff)
        return msgspec.structs.replace(tariffs, tariffs=(*tariffs.tariffs, tariff))

    with pytest.raises(TermsWrong, match="state-2025 and x give one meal two prices"):
        check_tariffs(added())
    with pytest.raises(TermsWrong, match="state-2025-c2 and x give"):
        check_tariffs(added(sessions=["lunch"]))  # neither is the more precise one
    assert check_tariffs(added(first="2025-01-01", last="2025-08-31"))
    assert check_tariffs(added(category="c2", grades=["1"]))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (("tiyn = 90100", "tiyn = 901.00"), "Expected `int`, got `float`"),
        (("tiyn = 90100", "tiyn = -1"), ">= 0"),
        (('programme = "state"', 'programme = "milk"'), "of no programme"),
        (("family_tiyn = 45050", "family_tiyn = 90101"), "the family pays more"),
        (('id = "reduced"', 'id = "state"'), "programme state is there twice"),
    ],
)
def test_a_wrong_book_says_what_to_correct(edit: tuple[str, str], fault: str) -> None:
    text = (MONEY / "tariffs.example.toml").read_text("utf-8")
    assert edit[0] in text
    with pytest.raises(TermsWrong, match=fault):
        read_tariffs(text.replace(*edit, 1))
