"""A kiosk whose power was cut: its journal with the WAL as it stood, to be damaged and opened again."""

import shutil
from pathlib import Path

from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.journal import Journal
from edge_agent.journal.store import connect_read_only
from edge_agent.runtime.opening import JOURNAL_NAME, JournalOpener
from edge_agent.runtime.upkeep import JournalUpkeep
from sync.contract.chain import Head
from sync.contract.event import Carried, EventsLost, decode, encode
from tests.edge_agent.journal.samples import KIOSK, StandingClock, build_entry, open_journal


class QuietPulse:
    """A pulse of a part that is never stopped, and waits for nothing."""

    def beat(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        pass

    def is_stopping(self) -> bool:
        return False


def crash_after(folder: Path, rows: int, *, acked: int = 0, at_once: int = 1) -> dict[int, bytes]:
    """Leaves in `folder` what a power cut leaves of a journal with so many rows; returns their payloads by number."""
    folder.mkdir()
    made = folder.parent / (folder.name + ".made")
    made.mkdir()
    journal = open_journal(made / JOURNAL_NAME)
    events = [build_entry(number, f"p{number}") for number in range(1, rows + 1)]
    for start in range(0, rows, at_once):
        appended = journal.append_all(events[start : start + at_once])
        if start < acked <= start + at_once:
            row = appended[acked - start - 1]
            journal.outbox.acknowledge(Head(row.seq, row.hash), b"receipt")
    for file in made.glob("journal.db*"):
        if not file.name.endswith((".lock", "-shm")):
            shutil.copy(file, folder)
    journal.close()
    return {number: encode(event) for number, event in enumerate(events, 1)}


def open_kiosk(folder: Path) -> Journal:
    """Opens the journal as the agent does at its start."""
    return JournalOpener(folder, KIOSK, StandingClock(), 0).open_journal()


def finish_salvage(journal: Journal) -> None:
    """Does what the upkeep does in the background."""
    upkeep = JournalUpkeep(journal, StandingClock(), 30, lambda check: None)
    upkeep._salvage(QuietPulse())  # type: ignore[arg-type]  # as much of a pulse as it uses


def read_known(journal: Journal) -> tuple[dict[tuple[str, int], bytes], list[EventsLost]]:
    """Returns every event that the journal has, by the name it was recorded under, and the holes that it names."""
    known: dict[tuple[str, int], bytes] = {}
    holes = []
    for row in journal.recent(100_000):
        event = decode(row.payload)
        if isinstance(event, Carried):
            known[event.old_epoch, event.old_seq] = event.payload.encode()
        else:
            known[row.epoch, row.seq] = row.payload
        if isinstance(event, EventsLost):
            holes.append(event)
    return known, holes


def read_epoch(folder: Path) -> str:
    """Returns the epoch of a journal before it is damaged."""
    connection = connect_read_only(folder / JOURNAL_NAME)
    try:
        return read_epochs(connection)[-1].id
    finally:
        connection.close()
