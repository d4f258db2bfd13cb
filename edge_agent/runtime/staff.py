"""Acts of the staff: carried to the station's thread, and waited for, but not for long."""

import secrets
from collections.abc import Callable, Sequence

from edge_agent.domain import people_search
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.name_order import order_key
from edge_agent.domain.operators import Operator
from edge_agent.domain.record import StaffAct
from edge_agent.journal.errors import JournalError
from edge_agent.journal.terminal_runs import TerminalRuns
from edge_agent.runtime.inbox import Inbox, StationBusy
from edge_agent.runtime.outage import CountClosed, OutageDesk
from edge_agent.runtime.paper_list import PaperRefused, check_paper, read_paper_list
from edge_agent.runtime.staff_day import EntrySource, describe_people, list_ticks, read_day
from edge_agent.screen.ports import (
    ActionDone,
    ActionFailed,
    ActionHeld,
    ActionResult,
    CountedByHand,
    DayBoard,
    EnteredPaper,
    FailureReason,
    PaperList,
    PaperWanted,
    RosterPerson,
    TickPerson,
    WaitingPerson,
    WrongClock,
)
from edge_agent.station.ports import (
    EntryAlreadyVoid,
    HeldInMemory,
    NoMealNow,
    NoSuchEntry,
    NoSuchRun,
    UncertainMoment,
)
from edge_agent.station.station import Station
from sync.contract.chain import Epoch
from sync.contract.event import TERMINAL_BOOT, PersonId
from sync.contract.free_text import names_somebody


class StaffDesk:
    """Implements `screen.ports.StaffActions` over the station."""

    def __init__(
        self,
        station: Station,
        inbox: Inbox,
        now: MomentSource,
        runs: TerminalRuns,
        entries: EntrySource,
        outage: OutageDesk,
        payers: Sequence[str] = (),
    ) -> None:
        self._payers = tuple(payers)
        self._entries = entries
        self._outage = outage
        self._runs = runs
        self._station = station
        self._inbox = inbox
        self._now = now

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        """Returns everybody whom `text` may mean, the likeliest first; a namesake with the last digits of a card."""
        roster = self._station.roster
        return describe_people(people_search.find_people(text, roster.people.values()), roster)

    def read_day(self) -> DayBoard:
        """Returns everybody of the present service date, from the journal."""
        return read_day(self._station.roster, self._now().utc, self._entries)

    def list_groups(self) -> Sequence[str]:
        """Returns the classes of the roster, numbers as numbers and letters as the Kazakh alphabet has them."""
        groups = {person.group for person in self._station.roster.people.values() if person.group}
        return sorted(groups, key=lambda group: (order_key(group), group))

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
        """Enters a person for a named operator and a stated reason."""
        if person not in self._station.roster.people:
            return ActionFailed(FailureReason.UNKNOWN_PERSON)
        act = StaffAct(operator, reason)
        return self._run_unless_named(act, lambda: self._station.enter_by_hand(person, self._now(), act))

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult:
        """Enters everybody of a class, all of them or none."""
        if group not in self.list_groups():
            return ActionFailed(FailureReason.UNKNOWN_GROUP)
        act = StaffAct(operator, reason, group=secrets.token_hex(8))
        return self._run_unless_named(act, lambda: self._station.enter_class(group, self._now(), act))

    def list_ticks(self, group: str) -> Sequence[TickPerson]:
        """Returns everybody of a class in the order of names, with their entries of the present meal."""
        return list_ticks(self._station.roster, group, self._now().utc, self._entries)

    def enter_people(self, people: Sequence[PersonId], operator: str, reason: str) -> ActionResult:
        """Enters these people, all of them or nobody, and leaves alone whoever is in already."""
        if any(person not in self._station.roster.people for person in people):
            return ActionFailed(FailureReason.UNKNOWN_PERSON)
        act = StaffAct(operator, reason, group=secrets.token_hex(8))
        return self._run_unless_named(act, lambda: self._station.enter_people(people, self._now(), act))

    def list_paper(self, wanted: PaperWanted) -> PaperList:
        """Returns the people of a printed list, with the entries that they have of that meal."""
        return read_paper_list(self._station.roster, self._now().utc, wanted, self._entries)

    def enter_paper(self, entered: EnteredPaper, operator: Operator, reason: str) -> ActionResult:
        """Enters people of a printed list, and leaves alone whoever has an entry of that meal."""
        moment = self._now()
        try:
            slot, act = check_paper(self._station.roster, moment, entered, operator, reason)
        except PaperRefused as refused:
            return ActionFailed(refused.reason)
        return self._run_unless_named(act, lambda: self._station.enter_paper(entered.people, slot, moment, act))

    def list_payers(self) -> Sequence[str]:
        """Returns the codes of those who may pay for guests, as the settings name them."""
        return self._payers

    def enter_guests(self, counted: int, payer: str, operator: str, reason: str) -> ActionResult:
        """Enters meals of guests whom nobody knows, in the present session."""
        if payer not in self._payers:
            return ActionFailed(FailureReason.UNKNOWN_PAYER)
        act = StaffAct(operator, reason)
        return self._run_unless_named(act, lambda: self._station.enter_guests(counted, payer, self._now(), act))

    def void_entry(self, epoch: Epoch, seq: int, operator: str, reason: str) -> ActionResult:
        """Takes an entry back; the entry itself stays in the journal."""
        act = StaffAct(operator, reason)

        def work() -> int:
            self._station.void_entry(epoch, seq, self._now(), act)
            return 1

        return self._run_unless_named(act, work)

    def list_clocks(self) -> Sequence[WrongClock]:
        """Returns the terminals' clocks for which rows are held, the newest first."""
        return [WrongClock(run.name, run.terminal, run.offset_s, run.rows, run.first_at) for run in self._runs.held()]

    def confirm_clock(self, run: str, offset_s: int | None, operator: str, reason: str) -> ActionResult:
        """Confirms how far a terminal's clock was ahead in a run: its rows are no longer held."""
        act, boot = StaffAct(operator, reason), TERMINAL_BOOT + run
        return self._run_unless_named(act, lambda: self._station.confirm_clock(boot, offset_s, self._now(), act))

    def list_waiting(self) -> Sequence[WaitingPerson]:
        """Returns the people who wait until the journal can be written, in their order."""
        return self._outage.list_waiting()

    def change_count(self, step: int, operator: str) -> ActionResult:
        """Adds to the count by hand, or takes away from it, while the journal cannot be written."""
        result = self._run_in_station(lambda: self._outage.change_count(step, operator))
        return CountedByHand(result.rows) if isinstance(result, ActionDone) else result

    def _run_unless_named(self, act: StaffAct, work: Callable[[], Feedback | int]) -> ActionResult:
        """Does an act whose reason names nobody: its event stays when a person is erased."""
        if names_somebody(act.note, self._station.roster.people.values()):
            return ActionFailed(FailureReason.NAMES_SOMEBODY)
        return self._run_in_station(work)

    def _run_in_station(self, work: Callable[[], Feedback | int]) -> ActionResult:
        try:
            outcome = self._inbox.run_work(work)
        except StationBusy:
            return ActionFailed(FailureReason.BUSY)
        except HeldInMemory as held:
            return ActionHeld(held.people)
        except CountClosed:
            return ActionFailed(FailureReason.COUNT_CLOSED)
        except NoSuchEntry:
            return ActionFailed(FailureReason.UNKNOWN_ENTRY)
        except NoMealNow:
            return ActionFailed(FailureReason.NO_SESSION)
        except NoSuchRun:
            return ActionFailed(FailureReason.UNKNOWN_RUN)
        except UncertainMoment:
            return ActionFailed(FailureReason.CLOCK_UNCERTAIN)
        except EntryAlreadyVoid:
            return ActionFailed(FailureReason.ALREADY_VOID)
        except JournalError:
            return ActionFailed(FailureReason.NOT_RECORDED)
        return _report_feedback(outcome) if isinstance(outcome, Feedback) else ActionDone(outcome)


def _report_feedback(feedback: Feedback) -> ActionResult:
    match feedback.kind:
        case FeedbackKind.WELCOME:
            return ActionDone(1)
        case FeedbackKind.WAITING:
            return ActionHeld(1)
        case FeedbackKind.NOTED:
            return ActionFailed(FailureReason.ALREADY_IN)
        case FeedbackKind.NOT_RECORDED:
            return ActionFailed(FailureReason.NOT_RECORDED)
        case _:
            return ActionFailed(FailureReason.NO_SESSION)
