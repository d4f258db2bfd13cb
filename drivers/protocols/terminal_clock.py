"""A terminal's clock as its own calls show it: right, doubted, or wrong by a measured offset.

A terminal keeps what it saw while nobody answered, and tells it later. A row of three hours ago is then late, or it is
of this moment and the clock is three hours slow. What tells the two apart:

    ahead of us                                     → wrong: nothing comes before it happens
    of this moment                                  → right
    the terminal was in contact and had nothing to
    tell, and the row is older than that            → wrong: it would have told it then
    older than the last contact before its absence  → wrong, likewise
    as far behind as another row a minute before    → wrong: what is late catches up
    anything else                                   → late, and its time is believed

A refused command to set the clock, and a clock that was changed at the terminal, make a doubt: then no row behind us is
believed before one of this moment has come. A wrong clock begins a *run*, which lasts until the clock is right again,
or wrong by something else: all rows of a run are off by the same.

All of it needs a clock of ours that is synchronised: without one nothing is measured, and nothing doubted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

AHEAD_MAX = timedelta(minutes=5)  # what two good clocks may differ by
LATE_MAX = timedelta(minutes=2)  # a row on its way
BEHIND_MAX = timedelta(minutes=10)  # a row whose call failed and was made again
PAST_MAX = timedelta(days=366)  # no terminal keeps rows for longer
SAME_LAG_MAX = timedelta(seconds=45)
ZONE_MAX = timedelta(hours=14)  # a clock in another zone is no further off
QUIET_NS = 60 * 1_000_000_000  # in contact for so long without rows: everything has been told
LAG_AGE_NS = 60 * 1_000_000_000  # two rows of the same lag, so far apart


@dataclass(frozen=True, slots=True)
class RowClock:
    """The clock of one row. `run` names the run of a wrong clock; `offset`: how far it is ahead, as measured."""

    suspect: bool = False
    run: str = ""
    offset: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class _Lag:
    heard_ns: int
    lag: timedelta


class TerminalClock:
    """One terminal's clock. `doubt` says in words why its rows are not believed; empty: they are."""

    def __init__(self) -> None:
        self.doubt = ""
        self.is_unsure = False  # the last rows are believed, and nobody knows that the terminal was away then
        self._run = RowClock()
        self._run_at: datetime | None = None  # when the newest run began; runs are named after their second
        self._heard_ns: int | None = None
        self._heard_at: datetime | None = None  # by our clock, while it was synchronised
        self._absent_since: datetime | None = None  # the last contact before the present one; None: there was none
        self._quiet_since_ns = 0
        self._told_all_at: datetime | None = None  # when it was in contact and had nothing more to tell
        self._lag: _Lag | None = None

    @property
    def offset(self) -> timedelta | None:
        """How far a wrong clock is ahead of ours; None where it is not wrong, or not measured yet."""
        return self._run.offset if self._run.run else None

    @property
    def run(self) -> str:
        """The name of the run of a wrong clock; empty without one."""
        return self._run.run

    def hear(self, now: datetime | None, now_ns: int, silence_ns: int, *, with_rows: bool) -> None:
        """Notes a call. `now`: our time, or None while it is not synchronised. `silence_ns`: after that it was away."""
        if self._heard_ns is None or now_ns - self._heard_ns > silence_ns:
            self._absent_since, self._told_all_at = self._heard_at, None
            self._quiet_since_ns, self._lag = now_ns, None
        elif not with_rows and now is not None and now_ns - self._quiet_since_ns >= QUIET_NS:
            self._told_all_at = now
        if with_rows:
            self._quiet_since_ns = now_ns
        self._heard_ns, self._heard_at = now_ns, now or self._heard_at

    def refuse_setting(self, answer: str) -> None:
        """Notes that the terminal did not take our time."""
        self.doubt = f"it refuses our time (answer {answer})"

    def note_change(self) -> None:
        """Notes that somebody set the clock at the terminal."""
        self.doubt = "its clock was set at the terminal"

    def judge(self, times: Sequence[datetime], now: datetime | None, now_ns: int) -> RowClock:
        """Returns the clock of the rows of one call, of these times. `now`: None while ours is not synchronised."""
        if now is None or not times:
            return self._run
        newest = max(times)
        lag = now - newest
        self.is_unsure = False
        if -AHEAD_MAX <= lag <= LATE_MAX:
            self.doubt, self._run, self._lag = "", RowClock(), None
            return self._run
        if self._is_wrong(newest, lag, now_ns):
            if not self._run.run or not self._fits_run(lag):
                self._begin_run(now, lag)
        else:
            self.is_unsure = self._absent_since is None and BEHIND_MAX < lag <= ZONE_MAX
        if self._lag is None or now_ns - self._lag.heard_ns >= LAG_AGE_NS:
            self._lag = _Lag(now_ns, lag)
        return self._run

    def _is_wrong(self, newest: datetime, lag: timedelta, now_ns: int) -> bool:
        if lag < -AHEAD_MAX or lag > PAST_MAX or self.doubt:
            return True
        if lag <= BEHIND_MAX:
            return False
        if self._told_all_at is not None and newest < self._told_all_at - LATE_MAX:
            return True
        if self._absent_since is not None and newest < self._absent_since - BEHIND_MAX:
            return True
        earlier = self._lag
        return earlier is not None and now_ns - earlier.heard_ns >= LAG_AGE_NS and abs(lag - earlier.lag) < SAME_LAG_MAX

    def _fits_run(self, lag: timedelta) -> bool:
        """Returns True for a row that can be of the run: it may be late on top of that, and never early."""
        return lag > -self._run.offset - LATE_MAX

    def _begin_run(self, now: datetime, lag: timedelta) -> None:
        offset = timedelta(seconds=round(-lag.total_seconds()))
        at = now.replace(microsecond=0)
        if self._run_at is not None:
            at = max(at, self._run_at + timedelta(seconds=1))
        self._run_at = at
        self._run = RowClock(suspect=True, run=at.strftime("%Y-%m-%dT%H:%M:%SZ"), offset=offset)
        self.doubt = f"its rows are {say_offset(offset.total_seconds())}"


def say_offset(offset_s: float) -> str:
    """Returns an offset in words, as `3 h 0 min behind this machine's clock`."""
    hours, minutes = divmod(round(abs(offset_s) / 60), 60)
    return f"{hours} h {minutes} min {'ahead of' if offset_s > 0 else 'behind'} this machine's clock"
