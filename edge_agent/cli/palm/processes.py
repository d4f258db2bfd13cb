"""Independent pieces of work over several processes: the threads of one Python process work one after the other."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_works: list[Callable[[int], Any]] = []  # a forked process reads its work here: closures cannot be sent to it


def count_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def map_over_processes(jobs: int) -> Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]:
    """Returns a `map` over so many processes.

    Each call of that `map` forks them anew, so they have everything that this process had at the call.
    """

    def spread(work: Callable[[int], Any], numbers: Iterable[int]) -> Iterator[Any]:
        _works.append(work)
        try:
            with multiprocessing.get_context("fork").Pool(jobs) as pool:
                yield from pool.imap(_do_work, numbers)
        finally:
            _works.remove(work)

    return spread


def _do_work(number: int) -> Any:
    return _works[-1](number)
