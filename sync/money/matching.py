"""From a payer's file to a count that can be compared: each line to its person, or to the list of what cannot be."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from sync.money.cell_faults import FOUND_CHARS_MAX, CellFault, CellFaultKind
from sync.money.differences import TheirCount, TheirMeal, UnmatchedLine, UnreadableCell
from sync.money.payer_file import PayerChild, PayerMeal, PayerSheet
from sync.money.payer_people import ChildMatcher, MatchedChild, NameKey, name_key


def match_sheet(
    payer: PayerSheet, matcher: ChildMatcher, school: str, sessions: Collection[str], made_at: datetime | None = None
) -> TheirCount:
    """Returns the payer's count of one school. `sessions`: the school's own; a line of another one cannot be read.

    Lines of other schools count only where they are of a child of this one. In a file whose every line is of a school
    that the map does not translate, the names of schools are passed over.
    """
    matches: dict[PayerChild, MatchedChild] = {}

    def match(child: PayerChild) -> MatchedChild:
        if child not in matches:
            matches[child] = matcher.match(child)
        return matches[child]

    names_schools = any(meal.school in ("", school) for meal in payer.meals)
    meals = []
    unmatched: dict[int, list[PayerMeal]] = defaultdict(list)
    faults = [
        UnmatchedLine(fault.line, 0, None, fault.cell)
        for fault in payer.faults
        if fault.child is None or not match(fault.child).person
    ]
    unreadable = [
        UnreadableCell(fault.line, match(fault.child).person, fault.day, fault.cell)
        for fault in payer.faults
        if fault.child is not None and match(fault.child).person
    ]
    for meal in payer.meals:
        matched = match(meal.child)
        at_school = meal.school if names_schools else ""
        if meal.session and meal.session not in sessions:
            cell = CellFault(CellFaultKind.STRANGE_SESSION, meal.session[:FOUND_CHARS_MAX])
            if matched.person:
                unreadable.append(UnreadableCell(meal.line, matched.person, meal.day, cell))
            else:
                faults.append(UnmatchedLine(meal.line, 0, matched.fault, cell, matched.candidates))
        elif matched.person:
            meals.append(TheirMeal(meal.line, matched.person, meal.day, meal.count, meal.session, at_school))
        elif at_school in ("", school):
            unmatched[meal.line].append(meal)
    for line, meals_of_line in unmatched.items():
        child = meals_of_line[0].child
        days, total = tuple(meal.day for meal in meals_of_line), sum(meal.count for meal in meals_of_line)
        matched = match(child)
        faults.append(UnmatchedLine(line, total, matched.fault, None, matched.candidates, days, name_key(child)))
    withdrawn = {
        match(withdrawal.child).person: (withdrawal.first, withdrawal.line)
        for withdrawal in sorted(payer.withdrawals, key=lambda each: each.first, reverse=True)
        if match(withdrawal.child).person
    }
    return TheirCount(
        meals=meals, unreadable=unreadable, unmatched=sorted(faults, key=lambda line: line.line),
        withdrawn=withdrawn, made_at=made_at,
    )  # fmt: skip


def drop_numbers(payer: PayerSheet, matcher: ChildMatcher) -> PayerSheet:
    """Returns the same sheet without any number and without the names of those whom a number names.

    What is left of a child is the people whom its number names; where it names none, name and class, folded.
    """

    def reduce(child: PayerChild) -> PayerChild:
        people = matcher.find_people(child)
        return PayerChild("", "", "", people) if people else PayerChild("", *name_key(child))

    return _replace_children(payer, reduce)


def drop_child(payer: PayerSheet, matcher: ChildMatcher, person: str) -> tuple[PayerSheet, frozenset[NameKey]]:
    """Returns the same sheet with nothing but the people themselves wherever a line may be of this person.

    Beside it the names and classes that were in these lines.
    """
    names: set[NameKey] = set()

    def reduce(child: PayerChild) -> PayerChild:
        matched = matcher.match(child)
        people = (matched.person,) if matched.person else tuple(dict.fromkeys(matched.candidates))
        if person not in people or not (child.name or child.group):
            return child
        names.add(name_key(child))
        return PayerChild("", "", "", people)

    return _replace_children(payer, reduce), frozenset(names)


def _replace_children(payer: PayerSheet, reduce: Callable[[PayerChild], PayerChild]) -> PayerSheet:
    return PayerSheet(
        tuple(replace(meal, child=reduce(meal.child)) for meal in payer.meals),
        tuple(replace(withdrawal, child=reduce(withdrawal.child)) for withdrawal in payer.withdrawals),
        tuple(
            replace(fault, child=None if fault.child is None else reduce(fault.child)) for fault in payer.faults
        ),
    )  # fmt: skip
