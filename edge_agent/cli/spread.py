"""Independent pieces of work over processes: Python lets threads of one process work one after the other."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_works: list[Callable[[int], Any]] = []  # a forked process finds the work here: closures cannot be sent to one


def jobs_default() -> int:
    return len(os.sched_getaffinity(0))


def over_processes(jobs: int) -> Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]:
    """A `map` over so many processes, made anew for each call, so that they know all that was known then."""

    def spread(work: Callable[[int], Any], items: Iterable[int]) -> Iterator[Any]:
        _works.append(work)
        try:
            with multiprocessing.get_context("fork").Pool(jobs) as pool:
                yield from pool.imap(_do, items)
        finally:
            _works.remove(work)

    return spread


def _do(item: int) -> Any:
    return _works[-1](item)
