"""Judges from outside whether the agent that runs is healthy: it is asked for a self-test, and its row looked up.

The agent's word alone counts for nothing: the row is read from the journal's file.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, UPDATE_SELF_TEST, SelfTestRow
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.update_plan import FIRST_ANSWER_S, SELF_TESTS, UpdateCause, UpdateFault
from edge_agent.errors import AgentNotRunning, DaemonVersionDiffers, RequestRefused
from edge_agent.journal.offline import read_payload_beside
from sync.contract.event import Refusal, UnreadableEvent, decode

ASK_S = 6.0
NO_ANSWER = (AgentNotRunning, RequestRefused, DaemonVersionDiffers, OSError, ValueError)
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class AgentProbe:
    """Asks the agent on the control socket in `run_dir`, and reads the journal that it writes."""

    run_dir: Path
    journal: Path
    answer_s: float = FIRST_ANSWER_S

    def find_obstacle(self) -> str:
        """Returns why the agent must not be restarted now; empty also where none answers."""
        try:
            (status,) = ask(self.run_dir, STATUS, NO_ARGUMENTS, ASK_S)
        except NO_ANSWER:
            return ""
        if not status.waiting:
            return ""
        return f"{status.waiting} scans wait in memory for the journal, and a restart would lose them"

    def judge(self, version: str, read_crash: Callable[[], str]) -> UpdateFault | None:
        """Returns why this version is not healthy, once it is clear; None as soon as its self-test has passed.

        `read_crash` says how the agent ended by itself meanwhile; empty while it has not.
        """
        until, failures = time.monotonic() + self.answer_s, 0
        why = "no agent answered"
        while time.monotonic() < until:
            crash = read_crash()
            if crash:
                return UpdateFault(UpdateCause.NO_START, crash)
            try:
                (row,) = ask(self.run_dir, UPDATE_SELF_TEST, NO_ARGUMENTS, ASK_S)
            except NO_ANSWER as error:
                why = f"no agent answered: {error}"
            else:
                if row.version == version and self._has_row(row):
                    return None
                failures += row.version == version
                why = f"the agent that answers is version {row.version}"
            if failures == SELF_TESTS:
                why = "the agent answers, and its self-test is not in the journal"
                return UpdateFault(UpdateCause.NO_RECORD, why)
            time.sleep(_POLL_S)
        return UpdateFault(UpdateCause.NO_START, f"{why} ({self.answer_s:.0f} s)")

    def _has_row(self, row: SelfTestRow) -> bool:
        try:
            payload = read_payload_beside(self.journal, row.epoch, row.seq)
            event = decode(payload) if payload is not None else None
        except (sqlite3.Error, UnreadableEvent):
            return False
        return isinstance(event, Refusal) and event.reason == DecisionReason.TEST_SCAN.value
