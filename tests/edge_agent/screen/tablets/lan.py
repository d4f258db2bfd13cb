"""A running screen with the tablets' door on loopback addresses, which stand for the school's network."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx

from edge_agent.domain.operators import OperatorRole
from edge_agent.domain.tablets import LanAddress
from edge_agent.runtime.kiosk_authority import FileAuthority
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.runtime.tablet_book import TabletBook
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.tablets.door import DoorState
from edge_agent.screen.tablets.ports import TabletLan, TabletParts
from tests.edge_agent.screen.desk import FakeStaffDesk, open_client, run_screen

KIOSK = "kiosk.local"
HEAD, HEAD_PIN = "Гүлнар Ахметова", "407815"
FIRST, SECOND = ip_address("127.0.0.1"), ip_address("127.0.0.2")


@dataclass(slots=True)
class SchoolLan:
    """The kiosk's addresses and clock, which a test may change."""

    addresses: tuple[LanAddress, ...] = (FIRST,)
    wall: datetime = field(default_factory=lambda: datetime.now(UTC))
    looks: int = 0

    def look(self) -> tuple[LanAddress, ...]:
        self.looks += 1
        return self.addresses

    def ahead(self, **time: float) -> None:
        self.wall += timedelta(**time)


@dataclass(frozen=True, slots=True)
class TabletKiosk:
    """A kiosk with a head, whose door is open."""

    screen: ScreenServer
    lan: SchoolLan
    authority: FileAuthority
    station: FakeStaffDesk

    @property
    def door(self) -> DoorState:
        assert self.screen.tablets is not None
        return self.screen.tablets.state

    def until(self, holds: Callable[[DoorState], bool]) -> DoorState:
        """Returns the door's state once `holds` says yes; the limit only tells a hang from slowness."""
        for _ in range(2000):
            if holds(self.door):
                return self.door
            time.sleep(0.01)
        raise AssertionError(self.door)

    @contextmanager
    def open_head(self) -> Iterator[httpx.Client]:
        """Yields a client at the kiosk's own screen, where the head has signed in."""
        with open_client(self.screen) as client:
            assert sign_in(client).status_code == 200
            yield client

    def open_pairing(self, name: str = "3 «Б»") -> dict[str, object]:
        with self.open_head() as head:
            opened: dict[str, object] = head.post("/staff/tablets/pair", json={"name": name}).json()
        return opened

    def open_tablet(self, host: str = str(FIRST), *, trusts: bool = True) -> httpx.Client:
        """Returns a client in the network, which trusts the kiosk's authority or only those of the world."""
        context = ssl.create_default_context()
        if trusts:
            context.load_verify_locations(cadata=self.authority.certificate)
        return httpx.Client(base_url=f"https://{host}:{self.door.port}", verify=context, timeout=10)

    def pair(self, client: httpx.Client, name: str = "3 «Б»") -> None:
        code = self.open_pairing(name)["code"]
        assert client.post("/pair", json={"code": code}).json() == {"name": name}


def sign_in(client: httpx.Client, pin: str = HEAD_PIN) -> httpx.Response:
    (choice,) = client.get("/staff/session").json()["choices"]
    return client.post("/staff/sign-in", json={"operator": choice["id"], "pin": pin})


def make_head(folder: Path) -> OperatorBook:
    book = OperatorBook(folder, CommonPin(None, ()))
    if not book.choices():
        head, given = book.add(HEAD, (OperatorRole.HEAD,))
        book.change_pin(head.id, given, HEAD_PIN)
    return book


@contextmanager
def run_kiosk(
    folder: Path, lan: SchoolLan | None = None, *, ports: tuple[int, int] = (0, 0), hall: bool = False
) -> Iterator[TabletKiosk]:
    """Runs a kiosk whose state is in `folder`: a second run is its restart."""
    lan, station = lan or SchoolLan(), FakeStaffDesk()
    authority = FileAuthority(folder, "left door")
    parts = TabletParts(
        TabletBook(folder, lambda: lan.wall), authority, TabletLan(KIOSK, *ports, lan.look, look_s=0.05)
    )
    with run_screen(
        station, operators=make_head(folder), tablets=parts, heartbeat_s=0.2, wall=lambda: lan.wall, hall=hall
    ) as screen:
        kiosk = TabletKiosk(screen, lan, authority, station)
        kiosk.until(lambda door: door.addresses == lan.addresses)
        yield kiosk
