"""Comparing the two counts, person by person and day by day."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from sync.contract.event import Claim
from sync.contract.visit import ClaimReason, EventId, Visit, VisitClosing
from sync.money.differences import (
    LATE_AFTER,
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
_ANY = ""  # the session of a count that knows none


def compare_counts(ours: OurCount, theirs: TheirCount) -> CountComparison:
    """Returns every difference between a sheet and a payer's count of the same school, programme and month."""
    return _Comparison(ours, theirs).run()


@dataclass(slots=True)
class _Cell:
    """Both counts of one person and day, with our visits."""

    billed: Counter[str] = field(default_factory=Counter)  # by session
    meals: list[TheirMeal] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    elsewhere: list[Visit] = field(default_factory=list)


class _Comparison:
    def __init__(self, ours: OurCount, theirs: TheirCount) -> None:
        self._ours, self._theirs = ours, theirs
        self._month = Month.parse(ours.sheet.subject.month)
        self._school = ours.sheet.subject.school
        self._daily = ours.sheet.mark == DailyMark.DAY
        self._cells: dict[PersonDay, _Cell] = defaultdict(_Cell)
        self._unreadable: dict[str, list[UnreadableCell]] = defaultdict(list)
        self._maybe: dict[PersonDay, list[UnmatchedLine]] = defaultdict(list)
        self._outages: dict[tuple[int, str], list[SheetOutage]] = defaultdict(list)
        self._lines: list[CountDifference] = []
        self._last_counted: datetime | None = None

    def run(self) -> CountComparison:
        self._fill()
        self._last_counted = self._find_last_counted()
        for person, day in sorted(self._cells):
            self._compare(person, day, self._cells[person, day])
        counted = [meal.count for meal in self._theirs.meals if meal.school in ("", self._school)]
        theirs_total = sum(counted) + sum(line.count for line in self._theirs.unmatched)
        return CountComparison(
            tuple(sorted(self._lines)), tuple(sorted(self._theirs.unmatched, key=lambda line: line.line)),
            self._ours.sheet.meals, theirs_total,
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

    def _compare(self, person: str, day: date, cell: _Cell) -> None:
        """Cancels what both count, then explains what one of them has more."""
        meals = self._unfold(meal for meal in cell.meals if meal.school in ("", self._school))
        elsewhere = [meal for meal in cell.meals if meal.school not in ("", self._school)]
        # A meal of theirs without a session is the one of ours that nothing keeps them from having.
        billed = sorted(cell.billed.elements(), key=lambda session: (self._is_explained(cell, session, day), session))
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
            TheirMeal(meal.line, meal.person, meal.day, 1, _ANY if self._daily else meal.session, meal.school)
            for meal in meals
            for _ in range(meal.count)
        ]
        return sorted(single, key=lambda meal: (meal.session, meal.line))

    def _report_unreadable(self, person: str, day: date, cell: _Cell, billed: list[str]) -> list[str]:
        """Names the payer's cell that cannot be read, for what we bill on its day."""
        cells = [cell for cell in self._unreadable.get(person, ()) if cell.day in (None, day)]
        if not cells:
            return billed
        for session in billed:
            lines = tuple(unread.line for unread in cells)
            visits = self._visits(cell, session)
            self._lines.append(
                CountDifference(
                    person, day, session, DifferenceKind.UNREADABLE, 1, 0, lines, tuple(visit.id for visit in visits)
                )
            )
        return []

    def _visits(self, cell: _Cell, session: str) -> list[Visit]:
        """Returns the visits that are billed in this session."""
        return [
            visit for visit in cell.visits
            if visit.claim is Claim.CLAIMABLE and self._is_ours(visit) and (self._daily or visit.session == session)
        ]  # fmt: skip

    def _is_ours(self, visit: Visit) -> bool:
        return visit.programme == self._ours.sheet.subject.programme

    def _explain_by_visits(self, person: str, day: date, cell: _Cell, meals: Sequence[TheirMeal]) -> list[TheirMeal]:
        """Explains meals that the payer has and we do not bill by our own visits, one each. Returns the others."""
        used: set[EventId] = set()
        rest = []
        for meal in meals:
            fitting = [
                visit for visit in cell.visits
                if (_ANY in (meal.session, visit.session) or visit.session == meal.session) and visit.id not in used
            ]  # fmt: skip
            judged = [(kind, visit) for visit in fitting if (kind := self._judge(visit, cell)) is not None]
            if not judged:
                rest.append(meal)
                continue
            kind, visit = min(judged, key=lambda pair: (_RANK[pair[0]], pair[1].id))
            used.add(visit.id)
            events = [visit.id, *filter(None, (self._ours.voids.get(visit.id), visit.first))]
            self._add_events(person, day, meal.session, kind, 0, 1, [meal], events, visit.why.value)
        return rest

    def _pair_sessions(
        self, person: str, day: date, cell: _Cell, meals: list[TheirMeal], billed: list[str]
    ) -> tuple[list[TheirMeal], list[str]]:
        """Pairs meals of theirs with ours in another session; what came too late for them pairs with nothing."""
        late = [session for session in billed if self._judge_ours(cell, session, day)[0] is DifferenceKind.LATE]
        others = [session for session in billed if session not in late]
        for meal, session in zip(meals, others, strict=False):
            visits = self._visits(cell, session)
            self._add(person, day, session, DifferenceKind.OTHER_SESSION, 1, 1, [meal], visits, meal.session)
        pairs = min(len(meals), len(others))
        return meals[pairs:], sorted([*others[pairs:], *late])

    def _explain_without_visit(self, person: str, day: date, cell: _Cell, meal: TheirMeal) -> None:
        """Explains a meal of theirs of which the school has no entry."""
        elsewhere = [visit for visit in cell.elsewhere if visit.claim is Claim.CLAIMABLE]
        if elsewhere:
            self._add(person, day, meal.session, DifferenceKind.OTHER_SCHOOL, 0, 1, [meal], elsewhere, "")
            return
        if not cell.billed and self._was_withdrawn(person, day):
            self._add_events(person, day, meal.session, DifferenceKind.WITHDRAWN_VOUCHER, 0, 1, [meal], [], "")
            return
        away = [
            outage.id for (number, session), outages in sorted(self._outages.items())
            if number == day.day and meal.session in (_ANY, session) for outage in outages
        ]  # fmt: skip
        # They count it twice: the entry that both have is named. Else nobody was seen, and a kiosk may have been away.
        events = [visit.id for visit in cell.visits if visit.claim is Claim.CLAIMABLE] if cell.billed else away
        note = "counted twice" if cell.billed else "a kiosk was away then" if away else ""
        self._add_events(person, day, meal.session, DifferenceKind.THEIRS_WITHOUT_OURS, 0, 1, [meal], events, note)

    def _judge(self, visit: Visit, cell: _Cell) -> DifferenceKind | None:
        """Returns why a visit that is not on our sheet is not; None for one that is."""
        if visit.closing is VisitClosing.VOID or visit.why is ClaimReason.VOIDED:
            return DifferenceKind.VOID
        if visit.claim in _KINDS:
            return _KINDS[visit.claim]
        day = date.fromisoformat(visit.day)
        if visit.claim is Claim.NONE:
            if visit.why is ClaimReason.REVERSED:
                return DifferenceKind.REVERSED
            withdrawn = self._was_withdrawn(visit.person, day)
            return DifferenceKind.WITHDRAWN_VOUCHER if withdrawn else DifferenceKind.ROSTER_VERSION
        if not self._is_ours(visit):
            return DifferenceKind.OTHER_PROGRAMME
        if cell.billed[_ANY if self._daily else visit.session]:
            return None
        outside = any(
            row.person == visit.person and day.day in row.outside and row.session in (_ANY, visit.session)
            for row in self._ours.sheet.rows
        )
        return DifferenceKind.NO_SCHOOL if outside else DifferenceKind.LATE

    def _was_withdrawn(self, person: str, day: date) -> bool:
        """Returns True if an entitlement of this programme had ended before the day, and none holds on it."""
        newest, date_text = self._ours.entitlements.get(person, ()), day.isoformat()
        every = [*newest, *self._ours.former.get(person, ())]
        programme = self._ours.sheet.subject.programme
        ended = any(right.programme == programme and right.last and right.last < date_text for right in every)
        holds = any(
            right.programme == programme and right.first <= date_text and (not right.last or date_text <= right.last)
            for right in newest
        )
        return ended and not holds

    def _explain_ours(self, person: str, day: date, cell: _Cell, session: str, elsewhere: Sequence[TheirMeal]) -> None:
        """Explains a meal that we bill and the payer has not."""
        visits = self._visits(cell, session)
        if elsewhere:
            self._add(person, day, session, DifferenceKind.OTHER_SCHOOL, 1, 0, elsewhere, visits, elsewhere[0].school)
            return
        maybe = self._maybe.get((person, day))
        if maybe:
            lines = tuple(line.line for line in maybe)
            events = tuple(visit.id for visit in visits)
            self._lines.append(CountDifference(person, day, session, DifferenceKind.NOT_MATCHED, 1, 0, lines, events))
            return
        withdrawn = self._theirs.withdrawn.get(person)
        if withdrawn is not None and withdrawn[0] <= day:
            events = tuple(visit.id for visit in visits)
            kind = DifferenceKind.WITHDRAWN_VOUCHER
            self._lines.append(CountDifference(person, day, session, kind, 1, 0, (withdrawn[1],), events))
            return
        kind, events = self._judge_ours(cell, session, day)
        self._lines.append(CountDifference(person, day, session, kind, 1, 0, (), events))

    def _judge_ours(self, cell: _Cell, session: str, day: date) -> tuple[DifferenceKind, tuple[EventId, ...]]:
        """Returns why the payer may lack a meal that we bill, and the events that show it."""
        visits = self._visits(cell, session)
        events = tuple(visit.id for visit in visits)
        if not visits:
            return self._judge_gone(cell, session)
        if all(self._is_late(visit, day) for visit in visits):
            return DifferenceKind.LATE, events
        if any(visit.why is ClaimReason.MOVED_UP for visit in visits):
            voided = [visit.id for visit in cell.visits if visit.closing is VisitClosing.VOID]
            voids = [self._ours.voids[entry] for entry in voided if entry in self._ours.voids]
            return DifferenceKind.VOID, (*events, *voided, *voids)
        if any(visit.why is ClaimReason.REVERSED for visit in visits):
            return DifferenceKind.REVERSED, events
        if any(visit.recorded_claim is Claim.HELD or visit.why is ClaimReason.JUDGED_AGAIN for visit in visits):
            return DifferenceKind.HELD, events
        if any(self._is_newly_entitled(visit) for visit in visits):
            return DifferenceKind.ROSTER_VERSION, events
        return DifferenceKind.OURS_WITHOUT_THEIRS, events

    def _is_explained(self, cell: _Cell, session: str, day: date) -> bool:
        return self._judge_ours(cell, session, day)[0] is not DifferenceKind.OURS_WITHOUT_THEIRS

    def _judge_gone(self, cell: _Cell, session: str) -> tuple[DifferenceKind, tuple[EventId, ...]]:
        """Returns why nothing claimable is behind a meal on our sheet any more."""
        judged = [
            (kind, visit) for visit in cell.visits
            if (self._daily or visit.session == session) and (kind := self._judge(visit, cell)) is not None
        ]  # fmt: skip
        if not judged:
            return DifferenceKind.OURS_WITHOUT_THEIRS, ()
        kind, visit = min(judged, key=lambda pair: (_RANK[pair[0]], pair[1].id))
        return kind, tuple(filter(None, (visit.id, self._ours.voids.get(visit.id), visit.first)))

    def _is_late(self, visit: Visit, day: date) -> bool:
        received = self._ours.received.get(visit.id)
        if received is None:
            return False
        if self._theirs.made_at is not None:
            return received > self._theirs.made_at
        midnight = datetime.combine(day, time(), UTC)
        counted = self._last_counted
        return counted is not None and received > max(counted, midnight + 2 * LATE_AFTER)

    def _find_last_counted(self) -> datetime | None:
        """Returns when the last of our events came that the payer has counted: the payer counted after that."""
        arrivals = [
            self._ours.received[visit.id]
            for cell in self._cells.values() if cell.meals
            for visit in cell.visits if visit.id in self._ours.received
        ]  # fmt: skip
        return max(arrivals, default=None)

    def _is_newly_entitled(self, visit: Visit) -> bool:
        """Returns True if the kiosk did not know of the entitlement by which the ledger bills."""
        return visit.why is ClaimReason.ENTITLED or visit.recorded_programme not in ("", visit.programme)

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


_KINDS = {
    Claim.SECOND: DifferenceKind.SECOND_MEAL, Claim.HELD: DifferenceKind.HELD, Claim.PENDING: DifferenceKind.GUEST
}  # fmt: skip
# Of several visits that could explain one meal of theirs, the one of the first kind does.
_RANK = {
    kind: place
    for place, kind in enumerate([
        DifferenceKind.VOID, DifferenceKind.SECOND_MEAL, DifferenceKind.HELD, DifferenceKind.REVERSED,
        DifferenceKind.GUEST, DifferenceKind.WITHDRAWN_VOUCHER, DifferenceKind.ROSTER_VERSION,
        DifferenceKind.OTHER_PROGRAMME, DifferenceKind.NO_SCHOOL, DifferenceKind.LATE,
    ])
}  # fmt: skip


def _person_day(visit: Visit) -> PersonDay:
    return visit.person, date.fromisoformat(visit.day)


def _cancel_same(meals: list[TheirMeal], billed: list[str]) -> tuple[list[TheirMeal], list[str]]:
    """Returns what is left of both counts once the same sessions are taken away; an unnamed session fits any."""
    unnamed = []
    for meal in meals:
        if meal.session != _ANY and meal.session in billed:
            billed.remove(meal.session)
        else:
            unnamed.append(meal)
    rest = []
    for meal in unnamed:
        if billed and (meal.session == _ANY or _ANY in billed):
            billed.remove(_ANY if _ANY in billed else billed[0])
        else:
            rest.append(meal)
    return rest, billed
