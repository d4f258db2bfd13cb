"""Comparing the two counts, person by person and day by day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from sync.contract.event import Claim
from sync.contract.visit import EventId, Visit
from sync.money.causes import ANY_SESSION, RANK, CauseFinder, CountCell
from sync.money.differences import (
    CountComparison,
    CountDifference,
    DifferenceKind,
    OurCount,
    TheirCount,
    TheirMeal,
    UnmatchedLine,
    UnreadableCell,
)
from sync.money.months import Month
from sync.money.sheet import SheetOutage
from sync.money.tariffs import DailyMark

PersonDay = tuple[str, date]
COUNTED_TWICE = "counted twice"  # the note of a meal that only the payer has, where both have one of that day


def compare_counts(ours: OurCount, theirs: TheirCount) -> CountComparison:
    """Returns every difference between a sheet and a payer's count of the same school, programme and month."""
    return _Comparison(ours, theirs).run()


class _Comparison:
    def __init__(self, ours: OurCount, theirs: TheirCount) -> None:
        self._ours, self._theirs = ours, theirs
        self._causes = CauseFinder(ours, theirs.made_at)
        self._month = Month.parse(ours.sheet.subject.month)
        self._school = ours.sheet.subject.school
        self._daily = ours.sheet.mark == DailyMark.DAY
        self._cells: dict[PersonDay, CountCell] = defaultdict(CountCell)
        self._unreadable: dict[str, list[UnreadableCell]] = defaultdict(list)
        self._maybe: dict[PersonDay, list[UnmatchedLine]] = defaultdict(list)
        self._outages: dict[tuple[int, str], list[SheetOutage]] = defaultdict(list)
        self._lines: list[CountDifference] = []

    def run(self) -> CountComparison:
        self._fill()
        self._causes.note_counted(self._cells.values())
        for person, day in sorted(self._cells):
            self._compare(person, day, self._cells[person, day])
        counted = [meal.count for meal in self._theirs.meals if meal.school in ("", self._school)]
        theirs_total = sum(counted) + sum(line.count for line in self._theirs.unmatched)
        return CountComparison(
            tuple(sorted(self._lines)), tuple(sorted(self._theirs.unmatched, key=lambda line: line.line)),
            self._ours.sheet.meals, theirs_total, tuple(self._theirs.unreadable),
        )  # fmt: skip

    def _fill(self) -> None:
        days = {day.day: day for day in self._month.days}
        for row in self._ours.sheet.rows:
            for number in row.days:
                self._cells[row.person, days[number]].billed[row.session] += 1
        for meal in self._theirs.meals:
            self._cells[meal.person, meal.day].meals.append(meal)
        for visit in self._ours.visits:
            key = _person_day(visit)
            if key in self._cells:
                self._cells[key].visits.append(visit)
        for visit in self._ours.elsewhere:
            key = _person_day(visit)
            if key in self._cells:
                self._cells[key].elsewhere.append(visit)
        for cell in self._theirs.unreadable:
            self._unreadable[cell.person].append(cell)
        for line in self._theirs.unmatched:
            for person in line.candidates:
                for day in line.days:
                    self._maybe[person, day].append(line)
        for outage in self._ours.sheet.outages:
            self._outages[outage.day, outage.session].append(outage)

    def _compare(self, person: str, day: date, cell: CountCell) -> None:
        """Cancels what both count, then explains what one of them has more."""
        meals = self._unfold(meal for meal in cell.meals if meal.school in ("", self._school))
        elsewhere = [meal for meal in cell.meals if meal.school not in ("", self._school)]
        # A meal of theirs without a session is the one of ours that nothing keeps them from having.
        billed = sorted(
            cell.billed.elements(), key=lambda session: (self._causes.explains(cell, session, day), session)
        )
        meals, billed = _cancel_same(meals, billed)
        billed = self._report_unreadable(person, day, cell, billed)
        meals = self._explain_by_visits(person, day, cell, meals)
        meals, billed = self._pair_sessions(person, day, cell, meals, billed)
        for meal in meals:
            self._explain_without_visit(person, day, cell, meal)
        for session in billed:
            self._explain_ours(person, day, cell, session, elsewhere)

    def _unfold(self, meals: Iterable[TheirMeal]) -> list[TheirMeal]:
        """Returns one meal for each that a line counts, by session and line; a daily mark has no session."""
        single = [
            TheirMeal(meal.line, meal.person, meal.day, 1, ANY_SESSION if self._daily else meal.session, meal.school)
            for meal in meals
            for _ in range(meal.count)
        ]
        return sorted(single, key=lambda meal: (meal.session, meal.line))

    def _report_unreadable(self, person: str, day: date, cell: CountCell, billed: list[str]) -> list[str]:
        """Names the payer's cell that cannot be read, for what we bill on its day."""
        cells = [cell for cell in self._unreadable.get(person, ()) if cell.day == day]
        if not cells:
            return billed
        for session in billed:
            lines = tuple(unread.line for unread in cells)
            visits = self._causes.find_billed(cell, session)
            self._lines.append(
                CountDifference(
                    person, day, session, DifferenceKind.UNREADABLE, 1, 0, lines, tuple(visit.id for visit in visits)
                )
            )
        return []

    def _explain_by_visits(
        self, person: str, day: date, cell: CountCell, meals: Sequence[TheirMeal]
    ) -> list[TheirMeal]:
        """Explains meals that the payer has and we do not bill by our own visits, one each. Returns the others."""
        used: set[EventId] = set()
        rest = []
        for meal in meals:
            fitting = [
                visit for visit in cell.visits
                if visit.id not in used and meal.session in (ANY_SESSION, visit.session or meal.session)
            ]  # fmt: skip
            judged = [
                (kind, visit) for visit in fitting if (kind := self._causes.judge_unbilled(visit, cell)) is not None
            ]
            if not judged:
                rest.append(meal)
                continue
            kind, visit = min(judged, key=lambda pair: (RANK[pair[0]], pair[1].id))
            used.add(visit.id)
            events = [visit.id, *filter(None, (self._ours.voids.get(visit.id), visit.first))]
            self._add_events(person, day, meal.session, kind, 0, 1, [meal], events, visit.why.value)
        return rest

    def _pair_sessions(
        self, person: str, day: date, cell: CountCell, meals: list[TheirMeal], billed: list[str]
    ) -> tuple[list[TheirMeal], list[str]]:
        """Pairs meals of theirs with ours in another session; what came too late for them pairs with nothing."""
        late = [
            session for session in billed if self._causes.judge_billed(cell, session, day)[0] is DifferenceKind.LATE
        ]
        others = [session for session in billed if session not in late]
        for meal, session in zip(meals, others, strict=False):
            visits = self._causes.find_billed(cell, session)
            self._add(person, day, session, DifferenceKind.OTHER_SESSION, 1, 1, [meal], visits, meal.session)
        pairs = min(len(meals), len(others))
        return meals[pairs:], sorted([*others[pairs:], *late])

    def _explain_without_visit(self, person: str, day: date, cell: CountCell, meal: TheirMeal) -> None:
        """Explains a meal of theirs of which the school has no entry."""
        elsewhere = [visit for visit in cell.elsewhere if visit.claim is Claim.CLAIMABLE]
        if elsewhere:
            self._add(person, day, meal.session, DifferenceKind.OTHER_SCHOOL, 0, 1, [meal], elsewhere, "")
            return
        if not cell.billed and self._causes.was_withdrawn(person, day):
            self._add_events(person, day, meal.session, DifferenceKind.WITHDRAWN_VOUCHER, 0, 1, [meal], [], "")
            return
        away = [
            outage.id for (number, session), outages in sorted(self._outages.items())
            if number == day.day and meal.session in (ANY_SESSION, session) for outage in outages
        ]  # fmt: skip
        # They count it twice: the entry that both have is named. Else nobody was seen, and a kiosk may have been away.
        events = [visit.id for visit in cell.visits if visit.claim is Claim.CLAIMABLE] if cell.billed else away
        note = COUNTED_TWICE if cell.billed else "a kiosk was away then" if away else ""
        self._add_events(person, day, meal.session, DifferenceKind.THEIRS_WITHOUT_OURS, 0, 1, [meal], events, note)

    def _explain_ours(
        self, person: str, day: date, cell: CountCell, session: str, elsewhere: Sequence[TheirMeal]
    ) -> None:
        """Explains a meal that we bill and the payer has not."""
        visits = self._causes.find_billed(cell, session)
        places: tuple[int, ...] = ()
        if elsewhere:
            self._add(person, day, session, DifferenceKind.OTHER_SCHOOL, 1, 0, elsewhere, visits, elsewhere[0].school)
            return
        maybe = self._maybe.get((person, day))
        if maybe:
            places = tuple(line.line for line in maybe)
            events = tuple(visit.id for visit in visits)
            self._lines.append(CountDifference(person, day, session, DifferenceKind.NOT_MATCHED, 1, 0, places, events))
            return
        withdrawn = self._theirs.withdrawn.get(person)
        if withdrawn is not None and withdrawn[0] <= day:
            events = tuple(visit.id for visit in visits)
            kind = DifferenceKind.WITHDRAWN_VOUCHER
            self._lines.append(CountDifference(person, day, session, kind, 1, 0, (withdrawn[1],), events))
            return
        kind, events = self._causes.judge_billed(cell, session, day)
        if kind is DifferenceKind.OURS_WITHOUT_THEIRS:
            # A line of theirs without a day that can be read may be of any day that nothing else explains.
            places = tuple(unread.line for unread in self._unreadable.get(person, ()) if unread.day is None)
            kind = DifferenceKind.UNREADABLE if places else kind
        self._lines.append(CountDifference(person, day, session, kind, 1, 0, places, events))

    def _add(
        self, person: str, day: date, session: str, kind: DifferenceKind, ours: int, theirs: int,
        meals: Sequence[TheirMeal], visits: Sequence[Visit], note: str,
    ) -> None:  # fmt: skip
        self._add_events(person, day, session, kind, ours, theirs, meals, [visit.id for visit in visits], note)

    def _add_events(
        self, person: str, day: date, session: str, kind: DifferenceKind, ours: int, theirs: int,
        meals: Sequence[TheirMeal], events: Sequence[EventId], note: str,
    ) -> None:  # fmt: skip
        lines = tuple(sorted({meal.line for meal in meals}))
        self._lines.append(CountDifference(person, day, session, kind, ours, theirs, lines, tuple(events), note))


def _person_day(visit: Visit) -> PersonDay:
    return visit.person, date.fromisoformat(visit.day)


def _cancel_same(meals: list[TheirMeal], billed: list[str]) -> tuple[list[TheirMeal], list[str]]:
    """Returns what is left of both counts once the same sessions are taken away; an unnamed session fits any."""
    unnamed = []
    for meal in meals:
        if meal.session != ANY_SESSION and meal.session in billed:
            billed.remove(meal.session)
        else:
            unnamed.append(meal)
    rest = []
    for meal in unnamed:
        if billed and (meal.session == ANY_SESSION or ANY_SESSION in billed):
            billed.remove(ANY_SESSION if ANY_SESSION in billed else billed[0])
        else:
            rest.append(meal)
    return rest, billed
