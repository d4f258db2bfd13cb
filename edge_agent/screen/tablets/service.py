"""Everything about tablets put together for the screen's server: requests, door, and the application behind it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edge_agent.domain.tablets import PairingCodes
from edge_agent.screen.app import ScreenHandlers
from edge_agent.screen.guard import RequestGuard
from edge_agent.screen.hub import EventHub
from edge_agent.screen.sign_in import SignInApi
from edge_agent.screen.tablets.certificate_page import build_certificate_app
from edge_agent.screen.tablets.desk import OpenAddresses, TabletApi
from edge_agent.screen.tablets.door import DoorState, TabletDoor
from edge_agent.screen.tablets.gate import PAIRING_PATH, TabletGate
from edge_agent.screen.tablets.ports import TabletParts


class TabletService:
    """The tablets' part of the screen's server. `monotonic` returns seconds."""

    def __init__(
        self, parts: TabletParts, sign_in: SignInApi, monotonic: Callable[[], float], wall: Callable[[], datetime]
    ) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._wall = wall
        self._codes = PairingCodes()
        self._door: TabletDoor | None = None
        self._hub: EventHub | None = None
        self._api = TabletApi(sign_in, parts, self._codes, monotonic, self._where, self._changed)

    @property
    def state(self) -> DoorState:
        """How the door is at this moment."""
        return self._door.state if self._door is not None else DoorState()

    @property
    def parts(self) -> TabletParts:
        """The runtime's part of it: what is kept of tablets, and where the kiosk is."""
        return self._parts

    def routes(self) -> list[Route]:
        """Returns the addresses of the staff's requests about tablets."""
        return self._api.routes()

    def build_door(self, handlers: ScreenHandlers, hub: EventHub) -> TabletDoor:
        """Returns the door for one run of the server. The tablets' streams have a hub of their own, so that they take
        none of the child's screen.
        """
        shown = replace(handlers, hub=hub)
        authority = self._parts.authority
        self._hub = hub
        self._door = TabletDoor(
            self._parts.lan,
            authority,
            lambda hosts: self._build_app(shown, hosts),
            build_certificate_app(authority.certificate, handlers.assets.pages["pair.css"]),
            lambda: self._codes.current(self._monotonic()) is not None,
            self._wall,
        )
        return self._door

    def _where(self) -> OpenAddresses:
        state = self.state
        return OpenAddresses(state.addresses, state.port, state.certificate_port)

    def _changed(self) -> None:
        if self._door is not None and self._hub is not None:
            self._door.wake()
            self._hub.wake_all()

    def _build_app(self, handlers: ScreenHandlers, hosts: frozenset[str]) -> Starlette:
        """Returns the tablets' application: the staff's page and requests, and nothing of the child's page."""
        routes = [
            Route("/", lambda _: RedirectResponse("/staff", 303)),
            Route(PAIRING_PATH, handlers.pairing_page),
            Route(PAIRING_PATH, self._pair, methods=["POST"]),
            Route("/staff", handlers.staff_page),
            Route("/enrol", handlers.enrolment_page),
            Route("/status", handlers.status_page),
            Route("/page/{name}", handlers.page_file),
            Route("/catalogues.json", handlers.catalogues),
            Route("/events/staff", handlers.staff_events),
            *handlers.staff_routes,
        ]
        return Starlette(
            routes=routes,
            middleware=[
                Middleware(RequestGuard, hosts=hosts, scheme="https"),
                Middleware(TabletGate, directory=self._parts.directory),
            ],
        )

    async def _pair(self, request: Request) -> Response:
        return await self._api.pair(request)
