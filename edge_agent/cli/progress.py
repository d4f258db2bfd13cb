"""How far long work is: a bar in a terminal, plain lines elsewhere. On standard error, so that output can be piped.

Work that is done within seconds shows a bar for as long as it takes, and no plain line. The bar is drawn when the work
tells how far it is, by no thread of its own: work that forks processes must not fork one that draws.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ProgressNote = Callable[[int, int], None]  # done and total of one unit of the work; a total of 0 is not known

LINE_S: Final = 10.0  # between two plain lines
_REDRAWN_S: Final = 0.1


@contextmanager
def show_progress(
    what: str, unit: str, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[ProgressNote]:
    """Yields the function by which work tells how far it is. `what` names the work, `unit` what is counted."""
    console = console or Console(stderr=True, highlight=False)
    if not console.is_terminal:
        lines = _PlainLines(what, unit, console, clock)
        yield lines.note
        lines.end()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn(),
    )  # fmt: skip
    # What the work prints meanwhile stands above the bar, unless it goes to a file.
    is_shared = sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, auto_refresh=False, redirect_stdout=is_shared) as bar:
        task = bar.add_task(what, total=None)
        drawn_s: float | None = None

        def note(done: int, total: int) -> None:
            nonlocal drawn_s
            now_s = clock()
            is_due = drawn_s is None or now_s - drawn_s >= _REDRAWN_S or done == total
            bar.update(task, completed=done, total=total or None, refresh=is_due)
            drawn_s = now_s if is_due else drawn_s

        yield note


class _PlainLines:
    """One line now and then, for logs and pipes."""

    def __init__(self, what: str, unit: str, console: Console, clock: Callable[[], float]) -> None:
        self._what = what
        self._unit = unit
        self._console = console
        self._clock = clock
        self._began_s = self._said_s = clock()
        self._is_long = False
        self._done = 0

    def note(self, done: int, total: int) -> None:
        self._done = done
        now_s = self._clock()
        if now_s - self._said_s < LINE_S:
            return
        self._said_s, self._is_long = now_s, True
        if total and done:
            left_s = (now_s - self._began_s) * (total - done) / done
            share = f"{done} of {total} {self._unit} ({100 * done // total} %), about {left_s:.0f} s left"
            self._print(share)
        else:
            self._print(f"{done} {self._unit}")

    def end(self) -> None:
        """Says that long work is done; of short work nothing was said, and nothing is."""
        if self._is_long:
            self._print(f"{self._done} {self._unit}, done in {self._clock() - self._began_s:.0f} s")

    def _print(self, text: str) -> None:
        self._console.print(f"{self._what}: {text}", markup=False, soft_wrap=True)


def count_mapped(
    mapper: Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]], what: str, unit: str
) -> Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]:
    """Returns the `map` of independent pieces of work that shows how many of them are done."""

    def spread(work: Callable[[int], Any], items: Iterable[int]) -> Iterator[Any]:
        numbers = list(items)
        with show_progress(what, unit) as note:
            note(0, len(numbers))
            for done, result in enumerate(mapper(work, numbers), 1):
                note(done, len(numbers))
                yield result

    return spread
