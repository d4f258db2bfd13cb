"""The screen's web application: its addresses and their responses.

GET  /              the child's page            GET /staff           the staff's page
GET  /events        its states, as SSE          GET /events/staff    theirs; names after signing in
GET  /enrol         the page of enrolment day   GET /status          the technician's page
GET  /health        the kiosk's health          GET /metrics         counters for Prometheus
GET  /speech/…      spoken messages
POST /staff/…       see `edge_agent.screen.staff`, `sign_in`, `operator_desk`, `enrolment`
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from edge_agent.domain.health import HealthLevel, HealthLine, worst_level
from edge_agent.screen.assets import PageFile, ScreenAssets, read_clip
from edge_agent.screen.guard import RequestGuard
from edge_agent.screen.hub import EventHub
from edge_agent.screen.staff import StaffApi
from edge_agent.screen.stage import ScreenStage


@dataclass(frozen=True, slots=True)
class _HealthBody:
    level: HealthLevel
    lines: tuple[HealthLine, ...]


@dataclass(frozen=True, slots=True)
class ScreenHandlers:
    """Responds to requests, from the stage, the event hub, the staff's requests, the page files and the metrics."""

    stage: ScreenStage
    hub: EventHub
    staff: StaffApi
    staff_routes: tuple[Route, ...]
    assets: ScreenAssets
    metrics: CollectorRegistry
    event_id: Callable[[], str]  # the id of the newest state event

    def child_page(self, _: Request) -> Response:
        return _asset(self.assets.pages["child.html"])

    def staff_page(self, _: Request) -> Response:
        return _asset(self.assets.pages["staff.html"])

    def pairing_page(self, _: Request) -> Response:
        return _asset(self.assets.pages["pair.html"])

    def enrolment_page(self, _: Request) -> Response:
        return _asset(self.assets.pages["enrol.html"])

    def status_page(self, _: Request) -> Response:
        return _asset(self.assets.pages["status.html"])

    def page_file(self, request: Request) -> Response:
        asset = self.assets.pages.get(request.path_params["name"])
        return PlainTextResponse("No such file.\n", 404) if asset is None else _asset(asset)

    def speech_clip(self, request: Request) -> Response:
        """Responds with a spoken message; it is read when it is asked for, since few kiosks speak."""
        clip = read_clip(request.path_params["language"], request.path_params["name"])
        return PlainTextResponse("No such file.\n", 404) if clip is None else Response(clip, media_type="audio/ogg")

    def catalogues(self, _: Request) -> Response:
        return Response(self.assets.catalogues, media_type="application/json")

    def child_catalogues(self, _: Request) -> Response:
        return Response(self.assets.child_catalogues, media_type="application/json")

    def health(self, _: Request) -> Response:
        """Responds with the health lines: status 503 while nothing can be recorded, else 200."""
        lines = self.stage.health_lines()
        recording = all(line.level is not HealthLevel.ACT for line in lines if line.subject == "recording")
        body = msgspec.json.encode(_HealthBody(worst_level(lines), lines))
        return Response(body, 200 if recording else 503, media_type="application/json")

    def prometheus(self, _: Request) -> Response:
        return Response(generate_latest(self.metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def child_events(self, _: Request) -> Response:
        return self._stream(self.stage.encode_child_view)

    async def staff_events(self, request: Request) -> Response:
        in_hall = self.staff.is_in_hall(request)
        return self._stream(
            lambda: self.stage.encode_staff_view(named=self.staff.is_signed_in(request), in_hall=in_hall)
        )

    def _stream(self, state: Callable[[], bytes]) -> Response:
        if self.hub.is_full:
            return PlainTextResponse("Too many screens: close one.\n", 503, headers={"Retry-After": "10"})
        return StreamingResponse(self.hub.stream(self.event_id, state), media_type="text/event-stream")


def build_app(parts: ScreenHandlers, hosts: frozenset[str]) -> Starlette:
    """Returns the application. `hosts` are the names with port that a request may name: `localhost:8080`."""
    routes = [
        Route("/", parts.child_page),
        Route("/staff", parts.staff_page),
        Route("/enrol", parts.enrolment_page),
        Route("/status", parts.status_page),
        Route("/page/{name}", parts.page_file),
        Route("/speech/{language}/{name}.ogg", parts.speech_clip),
        Route("/catalogues.json", parts.catalogues),
        Route("/catalogues/child.json", parts.child_catalogues),
        Route("/events", parts.child_events),
        Route("/events/staff", parts.staff_events),
        Route("/health", parts.health),
        Route("/metrics", parts.prometheus),
        *parts.staff_routes,
    ]
    return Starlette(routes=routes, middleware=[Middleware(RequestGuard, hosts=hosts)])


def _asset(asset: PageFile) -> Response:
    return Response(asset.body, media_type=asset.type)
