"""Who pays how much for which meal: programmes and tariffs of one region, in tiyn, with their validity and source."""

from datetime import date
from enum import StrEnum
from itertools import combinations
from typing import Annotated

import msgspec

from sync.errors import Wording
from sync.money.calendars import plain_grade
from sync.money.errors import TermsMissing, TermsWrong
from sync.money.terms_file import TermsBase, read_toml

Tiyn = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class PayerKind(StrEnum):
    """The one who pays for a programme."""

    STATE = "state"
    REDUCED = "reduced"  # the state and the family
    PAID = "paid"  # the family
    VOUCHER = "voucher"
    STAFF = "staff"
    GUEST = "guest"  # the home school's programme


class DailyMark(StrEnum):
    """The unit that is counted."""

    MEAL = "meal"  # one a person, session and day
    DAY = "day"  # one a person and day, in whichever session: kindergarten, club, summer camp


class ProgrammeTerms(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The terms of one programme: who pays, what is counted, and the kind of calendar it follows."""

    id: str
    payer: PayerKind
    mark: DailyMark = DailyMark.MEAL
    calendar: str = "school"
    sessions: tuple[str, ...] = ()  # empty: every one
    name_kk: str = ""
    name_ru: str = ""


class Tariff(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The price of one meal (or day) of a programme. Of several that fit, the one that names most is taken."""

    id: str
    programme: str
    tiyn: Tiyn  # the whole price
    first: date
    last: date | None = None
    family_tiyn: Tiyn = 0  # the part of it that the family pays
    sessions: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    category: str = ""  # an opaque code; empty: everybody
    source: str = ""  # the official paper, where it is not the book's

    @property
    def billed_tiyn(self) -> int:
        """Returns the part that the sheet's payer is billed."""
        return self.tiyn - self.family_tiyn

    def fits(self, programme: str, day: date, session: str, grade: str, category: str) -> bool:
        """Returns True if this is a price of such a meal."""
        return (
            self.programme == programme
            and self.first <= day <= (self.last or date.max)
            and (not self.sessions or session in self.sessions)
            and (not self.grades or plain_grade(grade) in map(plain_grade, self.grades))
            and self.category in ("", category)
        )

    @property
    def precision(self) -> int:
        """Returns how many properties of a meal the tariff names."""
        return bool(self.category) + bool(self.grades) + bool(self.sessions)


class TariffBook(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The programmes and tariffs of one region."""

    id: str
    region: str
    source: str
    programmes: tuple[ProgrammeTerms, ...]
    tariffs: tuple[Tariff, ...]

    def find_programme(self, programme: str) -> ProgrammeTerms:
        """Returns the terms of a programme. Raises TermsMissing."""
        for terms in self.programmes:
            if terms.id == programme:
                return terms
        present = ", ".join(terms.id for terms in self.programmes)
        raise TermsMissing(
            f"tariff book {self.id} has no programme {programme!r} but {present}",
            "add it to the file and import it with `edge-agent ledger tariff import FILE`",
            Wording("refusal.no_programme", programme=programme),
        )

    def find_tariff(self, programme: str, day: date, session: str, grade: str, category: str) -> Tariff:
        """Returns the price of a meal. Raises TermsMissing."""
        fitting = [tariff for tariff in self.tariffs if tariff.fits(programme, day, session, grade, category)]
        if not fitting:
            meal = " ".join(filter(None, (programme, session, f"grade {grade}" if grade else "", category)))
            raise TermsMissing(
                f"tariff book {self.id} has no price for {meal} on {day}",
                "add it to the file and import it with `edge-agent ledger tariff import FILE`",
                Wording("refusal.no_price", programme=programme, session=session, grade=grade or "-", day=day),
            )
        return max(fitting, key=lambda tariff: tariff.precision)


def read_tariffs(text: str) -> TariffBook:
    """Returns the tariff book in a TOML text. Raises TermsWrong."""
    return check_tariffs(read_toml(text, TariffBook))


def check_tariffs(book: TariffBook) -> TariffBook:
    """Returns the book itself. Raises TermsWrong where it contradicts itself: a meal never has two prices."""
    programmes = [terms.id for terms in book.programmes]
    ids = [tariff.id for tariff in book.tariffs]
    faults = [
        *([] if book.id.strip() and book.source.strip() else ["`id` or `source` is empty"]),
        *(f"programme {name} is there twice" for name in sorted({n for n in programmes if programmes.count(n) > 1})),
        *(f"tariff {name} is there twice" for name in sorted({n for n in ids if ids.count(n) > 1})),
        *(fault for tariff in book.tariffs for fault in _tariff_faults(tariff, programmes)),
        *(
            f"tariffs {a.id} and {b.id} give one meal two prices"
            for a, b in combinations(book.tariffs, 2)
            if _clash(a, b)
        ),
    ]
    if faults:
        raise TermsWrong(f"tariff book {book.id!r}: {'; '.join(faults)}", "correct the file and import it again")
    return book


def _tariff_faults(tariff: Tariff, programmes: list[str]) -> list[str]:
    return [
        *([] if tariff.programme in programmes else [f"tariff {tariff.id} is of no programme of this book"]),
        *([f"tariff {tariff.id} ends before it begins"] if tariff.last and tariff.last < tariff.first else []),
        *([f"tariff {tariff.id}: the family pays more than the price"] if tariff.family_tiyn > tariff.tiyn else []),
    ]


def _clash(a: Tariff, b: Tariff) -> bool:
    """Returns True if some meal fits both and neither names more of it."""
    return (
        a.programme == b.programme
        and a.precision == b.precision
        and a.first <= (b.last or date.max)
        and b.first <= (a.last or date.max)
        and (not a.category or not b.category or a.category == b.category)
        and _overlap(a.sessions, b.sessions)
        and _overlap(tuple(map(plain_grade, a.grades)), tuple(map(plain_grade, b.grades)))
    )


def _overlap(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    return not a or not b or not set(a).isdisjoint(b)
