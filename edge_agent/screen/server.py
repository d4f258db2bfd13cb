"""The screen's server: starlette on uvicorn, in a thread of its own, on loopback, and with TLS for paired tablets.

The station's thread calls `show`, which replaces a frozen board under a lock and wakes the event loop. It never waits.
"""

import ipaddress
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CollectorRegistry

from edge_agent.domain.feedback import Feedback
from edge_agent.domain.health import KioskHealth
from edge_agent.domain.tablets import TABLETS_MAX
from edge_agent.screen import app, assets
from edge_agent.screen.card_desk import CardApi
from edge_agent.screen.card_ports import CardActions
from edge_agent.screen.enrolment import EnrolmentApi
from edge_agent.screen.enrolment_ports import EnrolmentActions
from edge_agent.screen.gate import StaffGate
from edge_agent.screen.hub import CLIENTS_MAX, HEARTBEAT_S, EventHub
from edge_agent.screen.operator_desk import OperatorApi
from edge_agent.screen.paper import PaperApi
from edge_agent.screen.ports import OperatorDirectory, StaffActions
from edge_agent.screen.server_run import ServerRun
from edge_agent.screen.sign_in import SignInApi
from edge_agent.screen.staff import StaffApi
from edge_agent.screen.stage import ScreenStage
from edge_agent.screen.state import Language, SoundLevel
from edge_agent.screen.status_api import StatusApi, StatusSource
from edge_agent.screen.technician_api import TechnicianActions, TechnicianApi

if TYPE_CHECKING:
    from edge_agent.screen.tablets.ports import TabletParts
    from edge_agent.screen.tablets.service import TabletService

TABLET_CLIENTS_MAX = 2 * TABLETS_MAX  # a tablet may have the page open twice


class ScreenUnavailable(Exception):
    """The screen cannot be served; the message says what to change. Recording goes on without it."""


def wall_clock() -> datetime:
    """Returns the time of the machine in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


@dataclass(frozen=True, slots=True)
class _HeartbeatBody:
    run: str  # when it changes, the agent has started anew, and numbers begin again
    version: str  # when it changes, the page loads its files anew
    sound: SoundLevel  # how loud the page is
    speech: bool  # the page speaks
    utc_offset_min: int  # of the school's time zone, from the agent's own zone data


class ScreenServer:
    """The screen's server. The runtime may start and stop it any number of times.

    Any thread may call `show`, `show_health` and `is_alive`. With `port` 0 the system chooses a free port: read `port`
    after `start`. `hall`: children see the kiosk's own screen. `metrics` is the registry of the runtime's counters; it
    must hold neither names nor card numbers.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timezone: tzinfo,
        language: Language = Language.KK,
        sound: SoundLevel = SoundLevel.ON,
        speech: bool = False,
        hall: bool = True,
        actions: StaffActions | None = None,
        cards: CardActions | None = None,
        technician: TechnicianActions | None = None,
        operators: OperatorDirectory,
        tablets: "TabletParts | None" = None,
        metrics: CollectorRegistry | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = wall_clock,
        token: Callable[[], str] = secrets.token_urlsafe,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.host = _check_loopback(host)
        self.port = port
        self._requested_port = port
        self._timezone = timezone
        self._wall = wall
        self._heartbeat_s = heartbeat_s
        self._metrics = metrics or CollectorRegistry()
        self._assets = assets.load_assets()
        self._stage = ScreenStage(language, monotonic)
        sign_in = SignInApi(StaffGate(operators, token), operators, monotonic, hall=hall)
        self._sign_in = sign_in
        self.status: StatusSource | None = None  # set before `start`
        self.enrolment: EnrolmentActions | None = None  # set before `start` where the kiosk has enrolment days
        self._staff = StaffApi(sign_in, actions)
        self.tablets = _build_tablets(tablets, sign_in, monotonic, wall)
        self._staff_routes = (
            *sign_in.routes(),
            *OperatorApi(sign_in, operators).routes(),
            *self._staff.routes(),
            *PaperApi(self._staff).routes(),
            *(CardApi(sign_in, cards).routes() if cards is not None else ()),
            *(TechnicianApi(sign_in, technician).routes() if technician is not None else ()),
            *(self.tablets.routes() if self.tablets is not None else ()),
        )
        self._token = token
        self._sound = sound
        self._speech = speech
        self._server_run: ServerRun | None = None

    def start(self) -> None:
        """Listens and serves in a thread. Raises ScreenUnavailable."""
        self.stop()
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listener = socket.create_server((self.host, self._requested_port), family=family)
        except OSError as error:
            raise ScreenUnavailable(
                f"cannot listen on {self.host} port {self._requested_port} ({error.strerror}):"
                " stop the program that holds it, or set another port for the screen"
            ) from error
        self.port = listener.getsockname()[1]
        run = self._token()[:8]
        hub, tablet_hub = (
            EventHub(lambda: self._heartbeat(run), self._heartbeat_s, clients_max)
            for clients_max in (CLIENTS_MAX, TABLET_CLIENTS_MAX)
        )
        self._server_run = ServerRun(run, (hub, tablet_hub), listener, self._stage.seconds_until_change)
        routes = self._staff_routes
        if self.enrolment is not None:
            routes = (*routes, *EnrolmentApi(self._sign_in, self.enrolment).routes())
        if self.status is not None:
            routes = (*routes, *StatusApi(self._sign_in, self.status).routes())
        handlers = app.ScreenHandlers(
            self._stage, hub, self._staff, routes, self._assets, self._metrics, self._server_run.event_id
        )
        door = self.tablets.build_door(handlers, tablet_hub) if self.tablets is not None else None
        self._server_run.start(app.build_app(handlers, _host_names(self.host, self.port)), door)

    def stop(self) -> None:
        """Ends every stream and the thread. A server that is stopped already stays so."""
        server_run, self._server_run = self._server_run, None
        if server_run is not None:
            server_run.stop()

    def show(self, feedback: Feedback) -> None:
        """Shows this feedback. Never blocks and never raises: a dead screen must not stop a scan."""
        self._stage.show(feedback)
        self._changed()

    def show_health(self, health: KioskHealth) -> None:
        """Shows the health of the kiosk. A call without a change sends nothing."""
        if self._stage.set_health(health):
            self._changed()

    def is_alive(self) -> bool:
        """Returns True when the thread runs, and its event loop has turned within the last ten seconds."""
        server_run = self._server_run
        return server_run is not None and server_run.is_alive()

    def _changed(self) -> None:
        server_run = self._server_run
        if server_run is not None:
            server_run.wake()

    def _heartbeat(self, run: str) -> bytes:
        offset = self._wall().astimezone(self._timezone).utcoffset()
        minutes = int(offset.total_seconds() // 60) if offset else 0
        return msgspec.json.encode(_HeartbeatBody(run, self._assets.version, self._sound, self._speech, minutes))


def _build_tablets(
    parts: "TabletParts | None",
    sign_in: SignInApi,
    monotonic: Callable[[], float],
    wall: Callable[[], datetime],
) -> "TabletService | None":
    """Returns None where tablets are switched off: nothing of theirs is loaded then."""
    if parts is None:
        return None
    from edge_agent.screen.tablets.service import TabletService

    sign_in.has_tablets = True
    return TabletService(parts, sign_in, monotonic, wall)


def _check_loopback(host: str) -> str:
    """Returns `host` as a loopback address. Raises ScreenUnavailable for any other: only this kiosk may ask."""
    try:
        loopback = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise ScreenUnavailable(f"the screen's host {host!r} is no address: set it to 127.0.0.1") from error
    if not loopback.is_loopback:
        raise ScreenUnavailable(f"the screen listens on loopback only, not on {host}: set its host to 127.0.0.1")
    return str(loopback)


def _host_names(host: str, port: int) -> frozenset[str]:
    return frozenset({f"[{host}]:{port}" if ":" in host else f"{host}:{port}", f"localhost:{port}"})
