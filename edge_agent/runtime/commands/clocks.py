"""The commands about terminals' clocks: what is held, and a person's word about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    DEVICES_CLOCKS,
    DEVICES_CONFIRM_CLOCK,
    ClockConfirmArguments,
    ConfirmedClock,
    HeldClockRow,
    NoArguments,
)
from edge_agent.domain.operators import OperatorRight
from edge_agent.errors import RequestRefused
from edge_agent.journal.terminal_runs import TerminalRuns
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.commands.named_operator import choose_operator
from edge_agent.runtime.staff import StaffDesk
from edge_agent.screen.ports import ActionDone, ActionFailed, FailureReason, OperatorDirectory

_STEPS = {
    FailureReason.UNKNOWN_RUN: "list them again: edge-agent devices clocks",
    FailureReason.CLOCK_UNCERTAIN: "wait until this kiosk's own clock is synchronised: edge-agent doctor",
    FailureReason.NOT_RECORDED: "the journal cannot be written: edge-agent doctor",
}


@dataclass(frozen=True, slots=True)
class ClockCommands:
    """Lists the runs of wrong clocks, and confirms one for a named operator."""

    runs: TerminalRuns
    desk: StaffDesk
    operators: OperatorDirectory

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict([bind_handler(DEVICES_CLOCKS, self.list_held), bind_handler(DEVICES_CONFIRM_CLOCK, self.confirm)])

    def list_held(self, _: NoArguments, requester: Requester) -> Iterator[HeldClockRow]:
        """Yields the runs whose rows are held, the newest first."""
        for run in self.runs.held():
            yield HeldClockRow(
                run=run.name, terminal=run.terminal, offset_s=run.offset_s, rows=run.rows, first_at=run.first_at,
                last_at=run.last_at,
            )  # fmt: skip

    def confirm(self, arguments: ClockConfirmArguments, requester: Requester) -> Iterator[ConfirmedClock]:
        """Records the operator's word; yields how many rows count from now on."""
        require_owner(requester)
        if not arguments.note.strip():
            raise RequestRefused("a note is needed", "--note says by what the clock was compared")
        operator = choose_operator(self.operators, arguments.operator, OperatorRight.CLOCKS)
        outcome = self.desk.confirm_clock(arguments.run, arguments.offset_s, operator.id, arguments.note)
        if not isinstance(outcome, ActionDone):
            reason = outcome.reason if isinstance(outcome, ActionFailed) else FailureReason.NOT_RECORDED
            raise RequestRefused(f"not confirmed: {reason.value}", _STEPS.get(reason, "try it again"))
        yield ConfirmedClock(rows=outcome.rows)
