"""The tablets' door: it listens with TLS at the kiosk's addresses, follows their changes, and renews the certificate.

It runs in the event loop of the screen's server and never ends it: whatever goes wrong here is told, and tried again.
"""

import asyncio
import logging
import ssl
from asyncio import sslproto
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import uvicorn
from starlette.types import ASGIApp

from edge_agent.domain.tablets import DoorFault, LanAddress
from edge_agent.screen.serving import build_config, listen
from edge_agent.screen.tablets.ports import KioskAuthority, TabletLan, host_in_url

log = logging.getLogger(__name__)

RENEWED_BEFORE = timedelta(days=30)
CONNECTIONS_MAX = 64
# asyncio reads each connection through a buffer of 256 KiB of its own: 18 MiB for 64. A record of TLS has at most 16.
TLS_BUFFER_BYTES = 32 * 1024
ADDRESS_CONNECTIONS_MAX = 16  # a browser opens six


@dataclass(frozen=True, slots=True)
class DoorState:
    """How the door is: where it listens, until when its certificate holds, and what is wrong."""

    addresses: tuple[LanAddress, ...] = ()
    port: int = 0
    certificate_port: int = 0
    until: datetime | None = None
    fault: DoorFault = DoorFault.NONE
    why: str = ""  # what the system said, for the log and the technician


class TabletDoor:
    """Keeps the door open at the addresses that the kiosk has. `build_app` gets the hosts that a request may name."""

    def __init__(
        self,
        lan: TabletLan,
        authority: KioskAuthority,
        build_app: Callable[[frozenset[str]], ASGIApp],
        certificate_app: ASGIApp,
        is_pairing: Callable[[], bool],
        wall: Callable[[], datetime],
    ) -> None:
        self._lan = lan
        self._authority = authority
        self._build_app = build_app
        self._certificate_app = certificate_app
        self._is_pairing = is_pairing
        self._wall = wall
        self._context = _make_context()
        self._since: datetime | None = None
        self._named: tuple[LanAddress, ...] = ()  # in the certificate
        self._staff: dict[LanAddress, _Listening] = {}
        self._certificates: dict[LanAddress, _Listening] = {}
        self._wake = asyncio.Event()
        self.state = DoorState(port=lan.port, certificate_port=lan.certificate_port)

    def wake(self) -> None:
        """Has the door look at once. Call it in the event loop."""
        self._wake.set()

    async def run(self) -> None:
        """Keeps the door open until it is cancelled. Any other error ends the door alone: the screen goes on."""
        try:
            while True:
                self._wake.clear()
                await self._look_and_tell()
                try:
                    await asyncio.wait_for(self._wake.wait(), self._lan.look_s)
                except TimeoutError:
                    continue
        except Exception:
            log.exception("the staff's tablets are shut out until the agent is started anew")
            self.state = replace(self.state, fault=DoorFault.STOPPED)
        finally:
            await _close([*self._staff.values(), *self._certificates.values()])

    async def _look_and_tell(self) -> None:
        try:
            fault, why = await self._look()
        except (OSError, ValueError) as error:
            fault, why = DoorFault.NO_AUTHORITY, str(error)
        if (fault, why) != (self.state.fault, self.state.why):
            if fault is not DoorFault.NONE:
                log.warning("the staff's tablets: %s: %s", fault, why)
            self.state = replace(self.state, fault=fault, why=why)

    async def _look(self) -> tuple[DoorFault, str]:
        """Brings the door in line with addresses, time and pairing. Returns what is wrong. Raises as the parts do."""
        try:
            addresses = self._lan.addresses()
        except OSError as error:
            return DoorFault.NO_ADDRESS, str(error)
        if addresses != self._named or self._is_due():
            self._since, until = self._authority.renew(self._context, self._lan.name, addresses, self._wall())
            self._named = addresses
            self.state = replace(self.state, until=until)
        port = await _follow(self._staff, addresses, self.state.port, self._build_staff_app, self._context)
        heard = tuple(address for address in addresses if address in self._staff)
        self.state = replace(self.state, addresses=heard, port=port)
        offered = heard if self._is_pairing() else ()
        port = await _follow(
            self._certificates, offered, self.state.certificate_port, lambda *_: self._certificate_app, None
        )
        self.state = replace(self.state, certificate_port=port)
        if not addresses:
            return DoorFault.NO_ADDRESS, "the kiosk has no private address"
        missing = [host_in_url(address) for address in addresses if address not in heard]
        if missing:
            return DoorFault.NOT_LISTENING, ", ".join(f"{host}:{self.state.port}" for host in missing)
        return DoorFault.NONE, ""

    def _is_due(self) -> bool:
        """Returns True when the certificate is near its end, or the clock went back to before its beginning."""
        wall, until = self._wall(), self.state.until
        return self._since is None or until is None or wall < self._since or wall > until - RENEWED_BEFORE

    def _build_staff_app(self, address: LanAddress, port: int) -> ASGIApp:
        return self._build_app(frozenset({f"{self._lan.name}:{port}", f"{host_in_url(address)}:{port}"}))


@dataclass(frozen=True, slots=True)
class _Listening:
    """A server at one address, and its task."""

    server: uvicorn.Server
    task: "asyncio.Task[None]"


async def _follow(
    open_now: dict[LanAddress, _Listening],
    addresses: Sequence[LanAddress],
    port: int,
    build_app: Callable[[LanAddress, int], ASGIApp],
    context: ssl.SSLContext | None,
) -> int:
    """Closes what is open at other addresses and opens what is missing; whoever stays is not disturbed.

    Returns the port, which the system chooses for all where it is 0.
    """
    ended = [address for address, one in open_now.items() if address not in addresses or one.task.done()]
    gone = [open_now.pop(address) for address in ended]
    await _close(gone)
    for address in addresses:
        if address in open_now:
            continue
        try:
            listener = listen(str(address), port, CONNECTIONS_MAX, ADDRESS_CONNECTIONS_MAX)
        except OSError:
            continue  # an address that is new, or gone again, or taken: the state says so, and the next look tries anew
        port = listener.getsockname()[1]
        config = build_config(build_app(address, port), CONNECTIONS_MAX)
        config.load()
        config.ssl = context
        server = uvicorn.Server(config)
        open_now[address] = _Listening(server, asyncio.create_task(server.serve(sockets=[listener])))
    return port


async def _close(listening: Sequence[_Listening]) -> None:
    """Ends servers and their connections at once: after a change of address nobody is there to say farewell to."""
    for one in listening:
        one.server.should_exit = True
        for connection in list(one.server.server_state.connections):
            connection.transport.abort()
    for one in listening:
        await one.task


def _make_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    return context
