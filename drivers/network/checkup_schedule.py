"""The check-ups of one Hikvision terminal: when one is due, from when on events are asked for, and when not to ask."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.errors import NotSupported
from drivers.network.hikvision_settings import HikvisionSettings, HikvisionTerminal
from drivers.network.terminal_checkup import CheckupOutcome, CheckupPlan, TerminalCheckup, TerminalServer
from drivers.protocols.hikvision import EVENT_PATH, Meaning
from drivers.protocols.isapi import EventListener

RECHECK_S = 60.0  # a silent terminal is asked again after so long
LOCKED_OUT_S = 3600.0  # and one that refused the password, since it locks the account after a few
OVERLAP = timedelta(minutes=1)  # by which a search begins before the newest event that was taken
END_MARGIN = timedelta(days=1)  # by which a search ends after our time: a terminal's clock may be ahead


@dataclass(slots=True)
class CheckupSchedule:
    """One terminal's check-ups. Times are monotonic, in nanoseconds; `needs_checkup` makes one due at once."""

    terminal: HikvisionTerminal
    settings: HikvisionSettings
    connect: Callable[[str], TerminalServer]
    needs_checkup: bool = True
    newest_at: datetime | None = None  # of an event that was taken
    checkup: TerminalCheckup | None = None
    has_no_history: bool = False
    was_ours: bool = False  # a check-up has found or put our address in it
    _due_ns: int = 0
    _locked_until_ns: int = 0
    _was_silent: bool = False

    def note_event(self, at: datetime, now: datetime) -> None:
        """Notes an event that was taken."""
        if self.newest_at is None or at > self.newest_at:
            self.newest_at = min(at, now)

    def begin(self, now: datetime, now_ns: int, meaning: Meaning, *, is_silent: bool) -> None:
        """Begins a check-up where one is due: it is time, it is needed, or the terminal has fallen silent."""
        falls_silent, self._was_silent = is_silent and not self._was_silent, is_silent
        is_due = self.needs_checkup or falls_silent or now_ns >= self._due_ns
        if not self.terminal.address or self.checkup is not None or not is_due or now_ns < self._locked_until_ns:
            return
        self.needs_checkup = False
        since = until = None
        if self.settings.catch_up_h and not self.has_no_history:
            earliest = now - timedelta(hours=self.settings.catch_up_h)
            since = (self.newest_at - OVERLAP if self.newest_at else earliest).astimezone(meaning.zone)
            until = (now + END_MARGIN).astimezone(meaning.zone)
        plan = CheckupPlan(self.terminal.serial, self._listener(), meaning, since, until)
        self.checkup = TerminalCheckup(plan, lambda: self.connect(self.terminal.address))
        self.checkup.start()

    def end(self, now_ns: int) -> CheckupOutcome | None:
        """Returns the outcome of a check-up that is over, once, and plans the next; None while there is none."""
        outcome = self.checkup.outcome if self.checkup is not None else None
        if outcome is None:
            return None
        self.checkup = None
        wait_s = RECHECK_S if outcome.failure is not None or self._was_silent else self.settings.check_s
        self._due_ns = now_ns + int(wait_s * 1e9)
        if isinstance(outcome.failure, NotSupported):
            self._locked_until_ns = now_ns + int(LOCKED_OUT_S * 1e9)
        return outcome

    def cancel(self) -> None:
        """Gives up a check-up that lasts; the next `begin` makes another."""
        if self.checkup is not None:
            self.checkup.cancel()
        self.checkup, self.needs_checkup = None, True

    def _listener(self) -> EventListener:
        host, _, port = self.settings.listen.rpartition(":")
        path = EVENT_PATH + self.terminal.serial
        return EventListener(self.settings.host_id, path, host, int(port), self.settings.heartbeat_s)
