"""The bare loop: no more than the same input and output as a scan through the agent, with nothing decided.

pty → thread → two facts queries, one hash, one WAL/FULL commit → thread. It works on a copy of the agent's own journal,
with the same statements, so that both touch as many pages. What the agent takes beyond it is what its rules, its
checks and its supervision cost.
"""

import os
import queue
import select
import sqlite3
import threading
import time
import tty
from collections import deque
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from edge_agent.journal import sightings

TODAY = "2026-11-22"


class BareLoop:
    """Runs from the constructor on. `people`: whose card a frame is. `line`: where its frames are written.
    `shown`: when each feedback was given, in ns."""

    def __init__(self, journal: Path, people: Mapping[bytes, str]) -> None:
        self._database = sqlite3.connect(journal, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        last = self._database.execute("SELECT epoch, seq, payload FROM event ORDER BY epoch DESC, seq DESC").fetchone()
        self._epoch, self._seq, self._payload = last
        self._people = people
        self._size = len(next(iter(people)))
        self.line, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._frames: queue.Queue[bytes | None] = queue.Queue(64)
        self._feedback: queue.Queue[int | None] = queue.Queue(64)
        self.shown: deque[int] = deque()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=body) for body in (self._device, self._station, self._light)]
        for thread in self._threads:
            thread.start()

    def commit(self, person: str) -> int:
        """One row and its commit and nothing else, in nanoseconds. Not while a scan is under way."""
        started = time.monotonic_ns()
        self._keep(person)
        return time.monotonic_ns() - started

    def close(self) -> None:
        self._stopping.set()
        self._frames.put(None)
        self._feedback.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self.line)
        os.close(self._slave)
        self._database.close()

    def _device(self) -> None:
        buffer = b""
        while not self._stopping.is_set():
            if select.select([self._slave], [], [], 0.2)[0]:
                buffer += os.read(self._slave, 256)
                while len(buffer) >= self._size:
                    self._frames.put(buffer[: self._size])
                    buffer = buffer[self._size :]

    def _station(self) -> None:
        while (frame := self._frames.get()) is not None:
            person = self._people[frame]
            self._database.execute(sightings.SELECT_VISITS_SINCE, (person, TODAY)).fetchall()
            self._database.execute(sightings.SELECT_LAST_SIGHTINGS, (person, sightings.LAST_SIGHTINGS_MAX)).fetchall()
            self._keep(person)
            self._feedback.put(self._seq)

    def _keep(self, person: str) -> None:
        digest = sha256(self._payload).digest()
        self._seq += 1
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO event VALUES (?, ?, ?, ?)", (self._epoch, self._seq, self._payload, digest))
        execute("INSERT INTO sighting VALUES (?, ?, ?, 'day', ?, 1, 0)", (person, self._epoch, self._seq, TODAY))
        execute("UPDATE epoch SET head_seq = ?, head_hash = ? WHERE ordinal = ?", (self._seq, digest, self._epoch))
        execute("COMMIT")

    def _light(self) -> None:
        while self._feedback.get() is not None:
            self.shown.append(time.monotonic_ns())
