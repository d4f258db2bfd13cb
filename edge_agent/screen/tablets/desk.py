"""Pairing a tablet and ending it: the head's and technician's requests at the kiosk, and the tablet's own.

    at the kiosk                                   at the tablet
POST /staff/tablets/pair   two drawings   ──▶   the first one: get the authority, compare its fingerprint
                           of addresses         the second one: POST /pair with the code
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
import segno
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import OperatorRight
from edge_agent.domain.tablets import (
    PAIRING_CODE_DIGITS,
    TABLET_NAME_CHARS_MAX,
    LanAddress,
    PairedTablet,
    PairingCodes,
    TabletFault,
    TabletRefused,
)
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, json_reply, refuse
from edge_agent.screen.sign_in import KIOSK_CLIENT, SignInApi, read_client
from edge_agent.screen.tablets.gate import TABLET_COOKIE, client_of, tablet_cookie
from edge_agent.screen.tablets.ports import TabletParts, host_in_url


class _OpenPairing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=TABLET_NAME_CHARS_MAX, pattern=r"\S")]


class _ChooseTablet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tablet: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class _SendCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


@dataclass(frozen=True, slots=True)
class _DrawnAddress:
    """An address for a tablet's camera: `path` draws its QR code in a square of `side` fields, one unit each."""

    host: str
    url: str
    side: int
    path: str


@dataclass(frozen=True, slots=True)
class _PairingBody:
    name: str
    code: str
    seconds: int  # for which the code holds
    fingerprint: str
    certificate: tuple[_DrawnAddress, ...]
    pairing: tuple[_DrawnAddress, ...]


@dataclass(frozen=True, slots=True)
class _TabletsBody:
    tablets: tuple[PairedTablet, ...]
    is_pairing: bool
    may_pair: bool  # here, at the kiosk's own screen


@dataclass(frozen=True, slots=True)
class OpenAddresses:
    """Where the door listens at this moment."""

    addresses: tuple[LanAddress, ...]
    port: int
    certificate_port: int


class TabletApi:
    """Responds to requests about tablets. `changed` is called when a pairing opens or ends, or a tablet goes."""

    def __init__(
        self,
        sign_in: SignInApi,
        parts: TabletParts,
        codes: PairingCodes,
        now_s: Callable[[], float],
        where: Callable[[], OpenAddresses],
        changed: Callable[[], None],
    ) -> None:
        self._sign_in = sign_in
        self._parts = parts
        self._codes = codes
        self._now_s = now_s
        self._where = where
        self._changed = changed
        self._lock = threading.Lock()  # of the codes

    def routes(self) -> list[Route]:
        """Returns the addresses of the staff's requests."""
        return [
            Route("/staff/tablets", self._list_all),
            Route("/staff/tablets/pair", self._open, methods=["POST"]),
            Route("/staff/tablets/close", self._close, methods=["POST"]),
            Route("/staff/tablets/revoke", self._revoke, methods=["POST"]),
        ]

    async def pair(self, request: Request) -> Response:
        """Pairs the tablet that sends the right code. The only request that a stranger may make."""
        body = await decode_body(request, _SendCode)
        if body is None:
            return refuse("malformed", 400)
        directory = self._parts.directory
        code = "".join(body.code.split())
        try:
            with self._lock:
                name = self._codes.use(code, request.client.host if request.client else "", self._now_s())
            former = directory.find(request.cookies.get(TABLET_COOKIE, ""))
            secret = await run_in_threadpool(directory.add, name)
            if former is not None:
                await run_in_threadpool(directory.revoke, former)  # one tablet, one row
        except TabletRefused as refused:
            return refuse(refused.fault, 409)
        self._changed()
        response = json_reply({"name": name})
        response.headers.append("Set-Cookie", tablet_cookie(secret))
        return response

    async def _list_all(self, request: Request) -> Response:
        def read(_: NoBody) -> _TabletsBody:
            return _TabletsBody(
                tuple(self._parts.directory.list_all()),
                self._codes.current(self._now_s()) is not None,
                read_client(request) == KIOSK_CLIENT,
            )

        return await self._act(request, NoBody(), read)

    async def _open(self, request: Request) -> Response:
        def open_pairing(body: _OpenPairing) -> _PairingBody:
            # A tablet that was taken away must not bring in others.
            if read_client(request) != KIOSK_CLIENT:
                raise TabletRefused(TabletFault.ONLY_AT_KIOSK)
            where = self._where()
            if not where.addresses:
                raise TabletRefused(TabletFault.NO_LAN)
            code = f"{secrets.randbelow(10**PAIRING_CODE_DIGITS):0{PAIRING_CODE_DIGITS}d}"
            now_s = self._now_s()
            with self._lock:
                pairing = self._codes.open(" ".join(body.name.split()), code, now_s)
            hosts = [host_in_url(address) for address in where.addresses]
            return _PairingBody(
                pairing.name,
                code,
                int(pairing.until_s - now_s),
                self._parts.authority.fingerprint,
                tuple(_draw(host, f"http://{host}:{where.certificate_port}/") for host in hosts),
                tuple(
                    _draw(host, f"https://{host}:{where.port}/pair#{code}") for host in (self._parts.lan.name, *hosts)
                ),
            )

        response = await self._act(request, await decode_body(request, _OpenPairing), open_pairing)
        self._changed()
        return response

    async def _close(self, request: Request) -> Response:
        response = await self._act(request, NoBody(), lambda _: self._codes.close())
        self._changed()
        return response

    async def _revoke(self, request: Request) -> Response:
        body = await decode_body(request, _ChooseTablet)
        response = await self._act(request, body, lambda body: self._parts.directory.revoke(body.tablet))
        if body is not None and not self._parts.directory.is_paired(body.tablet):
            self._sign_in.end_client(client_of(body.tablet))
        self._changed()
        return response

    async def _act(self, request: Request, body: RequestBody | None, act: Callable[[RequestBody], object]) -> Response:
        try:
            return await self._sign_in.reply_act(request, OperatorRight.TABLETS, body, lambda _, body: act(body))
        except TabletRefused as refused:
            return refuse(refused.fault, 409)


def _draw(host: str, url: str) -> _DrawnAddress:
    matrix = segno.make(url, error="m", micro=False).matrix
    dark = "".join(
        f"M{column} {row}h1v1h-1z" for row, fields in enumerate(matrix) for column, field in enumerate(fields) if field
    )
    return _DrawnAddress(host, url, len(matrix), dark)
