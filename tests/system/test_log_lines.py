"""The log of a kiosk that works: a line for each thing that matters, and none for what goes as it should."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from drivers.simulated.card_peer import CardPeer
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.server import LedgerServer
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader

CARDS = {f"u-{number}": ("em4100", f"01{0x77000000 + number:08X}") for number in range(1, 41)}
IDLE_HEARTBEATS = 15  # of half a second each in this test's settings, of a minute each at a school
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d) (\w+) +([\w.]+): (.*)")

# The whole log of such a day, its lines by level and kind, with # for numbers.
EXPECTED = {
    ("INFO", "daemon: ready"): 1,
    ("INFO", "upkeep: the whole journal holds"): 1,
    ("INFO", "roster_desk: roster version # is in force"): 1,
    ("INFO", "devices: light (simulated-light): it is there"): 1,
    ("INFO", "devices: door (em#): it is there"): 2,
    ("ERROR", "devices: door (em#): went away"): 1,
    ("INFO", "ledger_log: line to the ledger: reached"): 1,
    ("WARNING", "ledger_log: line to the ledger: Connection refused"): 1,
    ("INFO", "ledger_log: line to the ledger: reached again"): 1,
}


class Cable:
    """The line to the ledger, as a port of its own that can be unplugged."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def unplug(self) -> None:
        for end in (self._listener, *self._ends):
            for close in (lambda end: end.shutdown(socket.SHUT_RDWR), socket.socket.close):
                try:
                    close(end)
                except OSError:
                    continue  # the other side was faster
        self._ends.clear()

    def plug(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # unplugged
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # unplugged


@pytest.fixture
def cable(server: LedgerServer) -> Iterator[Cable]:
    cable = Cable(int(server.url.rsplit(":", 1)[1]))
    yield cable
    cable.unplug()


def lines(daemon: Daemon) -> list[tuple[str, str]]:
    """Returns level and text of each line of the log; a line of another form is a failure."""
    matches = [LINE.fullmatch(line) for line in daemon.log.splitlines()]
    assert all(matches), daemon.log
    return [(match[2], f"{match[3].rsplit('.', 1)[-1]}: {match[4]}") for match in matches if match]


def kind(text: str) -> str:
    """Returns the key of `EXPECTED` for a line of its kind, and else the line itself."""
    numberless = re.sub(r"\d+", "#", text)
    kinds = [words for _, words in EXPECTED if all(part in numberless for part in words.split(": "))]
    return max(kinds, key=len, default=numberless)


def wait_heartbeats(daemon: Daemon, db: psycopg.Connection, more: int) -> None:
    """Waits until that many more heartbeats have come; the ledger keeps the last one with its time."""
    seen: set[datetime] = set()

    def has_come(status: Mapping[str, object]) -> bool:
        row = db.execute("SELECT max(received_at) FROM heartbeat WHERE device = %s", (status["device"],)).fetchone()
        seen.update(row or ())
        return len(seen - {None}) > more

    daemon.until(has_come)


@pytest.mark.slow
def test_a_busy_and_an_idle_stretch_and_an_outage_are_few_lines(
    tmp_path: Path, cable: Cable, db: psycopg.Connection, school: str
) -> None:
    export = school_export(tmp_path / "export", school, CARDS)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    folder = tmp_path / "kiosk"
    folder.mkdir()
    with CardPeer(folder / "door") as peer, Daemon(folder, serial_reader("door", "em4100", folder / "door")) as daemon:
        code = schools.issue_code(db, school, "door", datetime.now(UTC))
        edge_agent("register", f"http://127.0.0.1:{cable.port}", code, "--config", str(daemon.config))
        daemon.start(TZ="Asia/Qyzylorda")
        daemon.until(lambda status: status["roster"]["people"] == len(CARDS) and status["journal"]["queue"] == 0)
        wait_heartbeats(daemon, db, 1)
        started = len(lines(daemon))
        for number, (_, card) in enumerate(CARDS.values(), 1):
            peer.present(bytes.fromhex(card))
            assert daemon.wait_lights(number)[-1] == "welcome"
        daemon.until(lambda status: status["journal"]["queue"] == 0)
        wait_heartbeats(daemon, db, IDLE_HEARTBEATS)
        assert lines(daemon)[started:] == [], "40 children, 15 heartbeats: nothing that anybody must read"

        cable.unplug()
        daemon.until(lambda _: "refused" in daemon.log)
        cable.plug()
        daemon.until(lambda _: "reached again" in daemon.log)
        wait_heartbeats(daemon, db, 2)
        peer.unplug()
        daemon.until(lambda status: not status["readers"][0]["there"])
        peer.replug()
        daemon.until(lambda status: status["readers"][0]["there"])
        assert daemon.stop() == 0
    kinds = Counter((level, kind(text)) for level, text in lines(daemon))
    assert kinds == EXPECTED
