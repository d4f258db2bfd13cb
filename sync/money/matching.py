"""From a payer's file to a count that can be compared: each line to its person, or to the list of what cannot be."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime

from sync.money.differences import TheirCount, TheirMeal, UnmatchedLine, UnreadableCell
from sync.money.payer_file import PayerChild, PayerSheet
from sync.money.payer_people import ChildMatcher, MatchedChild


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
    unmatched: dict[int, list[tuple[MatchedChild, date, int]]] = defaultdict(list)
    faults = [
        UnmatchedLine(fault.line, 0, None, fault.what)
        for fault in payer.faults
        if fault.child is None or not match(fault.child).person
    ]
    unreadable = [
        UnreadableCell(fault.line, match(fault.child).person, fault.day, fault.what)
        for fault in payer.faults
        if fault.child is not None and match(fault.child).person
    ]
    for meal in payer.meals:
        matched = match(meal.child)
        at_school = meal.school if names_schools else ""
        if meal.session and meal.session not in sessions:
            what = f"session {meal.session!r} is none of this school's: add it to the map's sessions"
            if matched.person:
                unreadable.append(UnreadableCell(meal.line, matched.person, meal.day, what))
            else:
                faults.append(UnmatchedLine(meal.line, 0, matched.fault, what, matched.candidates))
        elif matched.person:
            meals.append(TheirMeal(meal.line, matched.person, meal.day, meal.count, meal.session, at_school))
        elif at_school in ("", school):
            unmatched[meal.line].append((matched, meal.day, meal.count))
    for line, parts in unmatched.items():
        matched = parts[0][0]
        days = tuple(day for _, day, _ in parts)
        total = sum(count for _, _, count in parts)
        faults.append(UnmatchedLine(line, total, matched.fault, "", matched.candidates, days))
    withdrawn = {
        match(withdrawal.child).person: (withdrawal.first, withdrawal.line)
        for withdrawal in sorted(payer.withdrawals, key=lambda each: each.first, reverse=True)
        if match(withdrawal.child).person
    }
    return TheirCount(
        meals=meals, unreadable=unreadable, unmatched=sorted(faults, key=lambda line: line.line),
        withdrawn=withdrawn, made_at=made_at,
    )  # fmt: skip
