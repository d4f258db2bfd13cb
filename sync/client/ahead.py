"""The next batch, made while the ledger is still storing this one.

To make a batch takes the kiosk about as long as the ledger takes to store one, and each waits for the other. Where a
backlog is so long that batches are full, a thread of its own makes the next one meanwhile, in the hope that this one
is taken whole; where it is not, what was made is thrown away.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sync.client.ports import Line
from sync.contract.chain import Epoch, Head


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch ready to be posted: its events, and the compressed body."""

    after: Head  # what it follows on
    epoch: Epoch
    encoding: str
    lines: Sequence[Line] = field(repr=False)
    body: bytes = field(repr=False)


class Ahead:
    """`make(after, events)` gives the parcel behind `after`, or None where there is none to be made."""

    def __init__(self, make: Callable[[Head, int], Parcel | None]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sync-ahead")  # its thread starts with the first use
        self._coming: Future[Parcel | None] | None = None

    def begin(self, after: Head, events: int) -> None:
        """Make it now, on the side. The caller touches nothing that `make` uses until it has asked for the parcel."""
        self._coming = self._thread.submit(self._make, after, events)

    def take(self, after: Head, epoch: Epoch, encoding: str) -> Parcel | None:
        """The parcel that was begun, if it is the one that follows here. What `make` raised is raised here."""
        coming, self._coming = self._coming, None
        parcel = coming.result() if coming is not None else None
        if parcel is None or (parcel.after, parcel.epoch, parcel.encoding) != (after, epoch, encoding):
            return None
        return parcel

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
