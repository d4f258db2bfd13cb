"""Why one count has a meal that the other has not: what a visit, a roster and the times of arrival say of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from sync.contract.event import Claim
from sync.contract.visit import ClaimReason, EventId, Visit, VisitClosing
from sync.money.differences import LATE_AFTER, DifferenceKind, OurCount, TheirMeal
from sync.money.tariffs import DailyMark

ANY_SESSION = ""  # the session of a count that knows none

_KINDS = {
    Claim.SECOND: DifferenceKind.SECOND_MEAL, Claim.HELD: DifferenceKind.HELD, Claim.PENDING: DifferenceKind.GUEST
}  # fmt: skip
# Of several visits that could explain one meal of theirs, the one of the first kind does.
RANK = {
    kind: place
    for place, kind in enumerate([
        DifferenceKind.VOID, DifferenceKind.SECOND_MEAL, DifferenceKind.HELD, DifferenceKind.REVERSED,
        DifferenceKind.GUEST, DifferenceKind.WITHDRAWN_VOUCHER, DifferenceKind.ROSTER_VERSION,
        DifferenceKind.OTHER_PROGRAMME, DifferenceKind.NO_SCHOOL, DifferenceKind.LATE,
    ])
}  # fmt: skip


@dataclass(slots=True)
class CountCell:
    """Both counts of one person and day, with our visits."""

    billed: Counter[str] = field(default_factory=Counter)  # by session
    meals: list[TheirMeal] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    elsewhere: list[Visit] = field(default_factory=list)


class CauseFinder:
    """The causes of differences, as our side's facts show them. `made_at`: when the payer counted, if anybody says."""

    def __init__(self, ours: OurCount, made_at: datetime | None) -> None:
        self._ours = ours
        self._made_at = made_at
        self._daily = ours.sheet.mark == DailyMark.DAY
        self._last_counted: datetime | None = None

    def find_billed(self, cell: CountCell, session: str) -> list[Visit]:
        """Returns the visits that are billed in this session."""
        return [
            visit for visit in cell.visits
            if visit.claim is Claim.CLAIMABLE and self._is_ours(visit) and (self._daily or visit.session == session)
        ]  # fmt: skip

    def _is_ours(self, visit: Visit) -> bool:
        return visit.programme == self._ours.sheet.subject.programme

    def judge_unbilled(self, visit: Visit, cell: CountCell) -> DifferenceKind | None:
        """Returns why a visit that is not on our sheet is not; None for one that is."""
        if visit.closing is VisitClosing.VOID or visit.why is ClaimReason.VOIDED:
            return DifferenceKind.VOID
        if visit.claim in _KINDS:
            return _KINDS[visit.claim]
        day = date.fromisoformat(visit.day)
        if visit.claim is Claim.NONE:
            if visit.why in (ClaimReason.REVERSED, ClaimReason.CONTESTED):  # a named person has said so in both
                return DifferenceKind.REVERSED
            withdrawn = self.was_withdrawn(visit.person, day)
            return DifferenceKind.WITHDRAWN_VOUCHER if withdrawn else DifferenceKind.ROSTER_VERSION
        if not self._is_ours(visit):
            return DifferenceKind.OTHER_PROGRAMME
        if cell.billed[ANY_SESSION if self._daily else visit.session]:
            return None
        outside = any(
            row.person == visit.person and day.day in row.outside and row.session in (ANY_SESSION, visit.session)
            for row in self._ours.sheet.rows
        )
        return DifferenceKind.NO_SCHOOL if outside else DifferenceKind.LATE

    def was_withdrawn(self, person: str, day: date) -> bool:
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

    def judge_billed(self, cell: CountCell, session: str, day: date) -> tuple[DifferenceKind, tuple[EventId, ...]]:
        """Returns why the payer may lack a meal that we bill, and the events that show it."""
        visits = self.find_billed(cell, session)
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

    def explains(self, cell: CountCell, session: str, day: date) -> bool:
        """Returns True if something may have kept the payer from having this meal of ours."""
        return self.judge_billed(cell, session, day)[0] is not DifferenceKind.OURS_WITHOUT_THEIRS

    def _judge_gone(self, cell: CountCell, session: str) -> tuple[DifferenceKind, tuple[EventId, ...]]:
        """Returns why nothing claimable is behind a meal on our sheet any more."""
        judged = [
            (kind, visit) for visit in cell.visits
            if (self._daily or visit.session == session) and (kind := self.judge_unbilled(visit, cell)) is not None
        ]  # fmt: skip
        if not judged:
            return DifferenceKind.OURS_WITHOUT_THEIRS, ()
        kind, visit = min(judged, key=lambda pair: (RANK[pair[0]], pair[1].id))
        return kind, tuple(filter(None, (visit.id, self._ours.voids.get(visit.id), visit.first)))

    def _is_late(self, visit: Visit, day: date) -> bool:
        received = self._ours.received.get(visit.id)
        if received is None:
            return False
        if self._made_at is not None:
            return received > self._made_at
        midnight = datetime.combine(day, time(), UTC)
        counted = self._last_counted
        return counted is not None and received > max(counted, midnight + 2 * LATE_AFTER)

    def note_counted(self, cells: Iterable[CountCell]) -> None:
        """Notes when the last of our events came that the payer has counted: the payer counted after that."""
        arrivals = [
            self._ours.received[visit.id]
            for cell in cells if cell.meals
            for visit in cell.visits if visit.id in self._ours.received
        ]  # fmt: skip
        self._last_counted = max(arrivals, default=None)

    def _is_newly_entitled(self, visit: Visit) -> bool:
        """Returns True if the kiosk did not know of the entitlement by which the ledger bills."""
        return visit.why is ClaimReason.ENTITLED or visit.recorded_programme not in ("", visit.programme)
