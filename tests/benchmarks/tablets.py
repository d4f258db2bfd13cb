"""What the staff's tablets cost a kiosk: memory with the door open, and with all the connections that it takes."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

from edge_agent.screen.tablets.door import ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX
from tests.benchmarks.figures import Figure, Result, Run
from tests.benchmarks.kiosk import BenchKiosk
from tests.system.test_tablets import TABLETS, free_ports

CONNECTION_KIB_MAX = 100.0  # asyncio's own buffers would take 285
PEOPLE = 1_000
IDLE_MEASURES = 40
SETTLED_KIB = 64


def run(run: Run) -> Result:
    port, certificate_port = free_ports()
    figures = []
    idle: dict[str, int] = {}
    for label, tables in (("off", ""), ("on", TABLETS.format(port=port, certificate_port=certificate_port))):
        folder = run.folder / f"tablets-{label}"
        folder.mkdir()
        with BenchKiosk(folder, [], people=PEOPLE, rows=0, tables=tables) as kiosk:
            kiosk.start()
            if tables:
                kiosk.until(lambda status: status["tablets"]["addresses"])
            idle[label] = _settled_kib(kiosk)
            figures.append(Figure(f"resident, tablets {label}", idle[label] / 1024, "MiB"))
            if tables:
                with _connections(port):
                    grown = _settled_kib(kiosk) - idle[label]
                each = grown / CONNECTIONS_MAX
                figures.append(Figure("more for each connection", each, "KiB", at_most=CONNECTION_KIB_MAX))
            kiosk.stop()
    figures.append(Figure("more with tablets on", (idle["on"] - idle["off"]) / 1024, "MiB"))
    return Result("tablets", f"{PEOPLE:,} people, {CONNECTIONS_MAX} connections after their handshake", figures)


@contextlib.contextmanager
def _connections(port: int) -> Iterator[None]:
    """Holds as many connections as the door takes, from as few addresses as it takes them from."""
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE  # nothing is said over them
    with contextlib.ExitStack() as held:
        for number in range(CONNECTIONS_MAX):
            source = (f"127.0.0.{1 + number // ADDRESS_CONNECTIONS_MAX}", 0)
            connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=source)
            held.enter_context(stranger.wrap_socket(connection, server_hostname="kiosk.local"))
        yield


def _settled_kib(kiosk: BenchKiosk) -> int:
    """Returns VmRSS once two measures half a second apart agree within 64 KiB."""
    before = kiosk.memory_kib()["VmRSS"]
    for _ in range(IDLE_MEASURES):
        time.sleep(0.5)
        after = kiosk.memory_kib()["VmRSS"]
        if abs(after - before) <= SETTLED_KIB:
            return after
        before = after
    raise AssertionError(f"memory never settles: {before} KiB")
