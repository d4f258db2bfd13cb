"""Signed requests to one ledger, and the meaning of its answers.

2xx                    the message
401, 403               Unauthorised
408, 425, 429, 5xx     Unreachable, with Retry-After where the ledger said when
3xx                    Unreachable: nobody of ours redirects; it is a captive portal, or a wrong address
other 4xx              RequestRejected with the problem document
2xx without a message  Unreachable: a portal, or an answer cut off on the way

A ledger answers a question only if it is dated by its own clock, within five minutes. A kiosk whose clock is wrong
learns the ledger's from the signature on the refusal, asks once more, and goes on dating its requests by it.

A ledger signs its answers. Once one of them was good, a 401 or 403 without a signature is somebody else's on the way
and counts as Unreachable, and a RequestRejected says if it is the ledger's own word. Until then the ledger may be an
older one, which signs none: `signs` is False, and its 401 and 403 are taken as they are.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol, TypeVar

import msgspec

from sync.client.keys import DeviceKey
from sync.client.pinned_key import PinnedKey, pin_key
from sync.contract import batch, signature, wire
from sync.contract.wire import ProblemDocument
from sync.errors import RequestRejected, Unauthorised, Unreachable

log = logging.getLogger(__name__)

RESPONSE_BYTES_MAX: Final = 256 * 1024
_ACCEPTED: Final = {"accept": f"{wire.JSON}, {wire.PROBLEM_JSON}", "accept-encoding": "zstd, gzip"}
_TRANSIENT: Final = frozenset({408, 425, 429})

_MessageT = TypeVar("_MessageT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response, read to its end. `headers` with lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpTransport(Protocol):
    """Makes HTTP requests. Raises `Unreachable` when no whole answer came, `Untrusted` when TLS does not hold."""

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse: ...


class LedgerChannel:
    """Signs requests and reads the answers. `keyid`: the device id, or before there is one the key's fingerprint."""

    def __init__(
        self,
        transport: HttpTransport,
        key: DeviceKey,
        keyid: str,
        clock: Callable[[], datetime],
        server_key: bytes | PinnedKey = b"",
    ) -> None:
        """`server_key`: the ledger's 32 raw bytes; without them no answer counts as signed."""
        self.clock_lag_s = 0  # whole seconds that the ledger's clock is ahead of ours, as far as that mattered
        self.signs = False  # an answer with a good signature has come
        self.last_was_signed = False  # the last answer had one
        self._server_key = pin_key(server_key)
        self._transport = transport
        self._key = key
        self._keyid = keyid
        self._clock = clock
        self._signed_at: int | None = None  # when the last answer was signed

    def get(self, kind: type[_MessageT], path: str, query: str = "", bytes_max: int = RESPONSE_BYTES_MAX) -> _MessageT:
        return self._request(kind, "GET", path, query, {}, b"", bytes_max)

    def post(
        self, kind: type[_MessageT], path: str, body: bytes, content_type: str = wire.JSON, encoding: str = ""
    ) -> _MessageT:
        headers = {"content-type": content_type} | ({"content-encoding": encoding} if encoding else {})
        return self._request(kind, "POST", path, "", headers, body, RESPONSE_BYTES_MAX)

    def _request(
        self,
        kind: type[_MessageT],
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        bytes_max: int,
    ) -> _MessageT:
        request = signature.SignableRequest(method, path, query, headers | _ACCEPTED, body)
        response = self._exchange(request, bytes_max)
        if self._learns_time(response):
            response = self._exchange(request, bytes_max)
        self._raise_unless_good(response, self._clock(), self.last_was_signed)
        try:
            return wire.read_json(kind, self._plain(response, bytes_max))
        except wire.InvalidMessage as error:
            raise Unreachable(
                f"{path}: an answer that is not the ledger's ({error}); is there a portal between?"
            ) from error

    def _exchange(self, request: signature.SignableRequest, bytes_max: int) -> HttpResponse:
        """Signs and sends a request, and notes whose word the answer is and when it was signed."""
        created = int(self._clock().timestamp()) + self.clock_lag_s
        signed = replace(request, headers={
            **request.headers, **signature.sign(request, self._key.private, self._keyid, created),
        })  # fmt: skip
        response = self._transport.request(
            signed.method, signed.path, signed.query, dict(signed.headers), signed.body, bytes_max
        )
        self._signed_at = self._read_signed_at(response, signed)
        self.last_was_signed = self._signed_at is not None
        self.signs = self.signs or self.last_was_signed
        return response

    def _learns_time(self, response: HttpResponse) -> bool:
        """Returns if the ledger refused by its own word since our clock is another; its time is then known."""
        if response.status != 401 or self._signed_at is None:
            return False
        if self._problem(response).type != wire.ProblemType.CLOCK:
            return False
        lag_s = self._signed_at - int(self._clock().timestamp())
        log.warning("this kiosk's clock is %d s %s the ledger's: set it; requests are dated by the ledger's",
                    abs(lag_s), "behind" if lag_s > 0 else "ahead of")  # fmt: skip
        self.clock_lag_s = lag_s
        return True

    def _read_signed_at(self, response: HttpResponse, request: signature.SignableRequest) -> int | None:
        """Returns when the ledger signed this answer to this request, in Unix seconds; None if it is not its word."""
        if not self._server_key.raw or "signature" not in response.headers:
            return None
        answer = signature.SignableAnswer(response.status, response.headers, response.body)
        try:
            self._server_key.meet(signature.read_answer_keyid(answer))
            return signature.verify_answer(answer, request, self._server_key.raw).created
        except signature.BadSignature as error:
            log.debug("%s: %s; it counts as unsigned", request.path, error)
            return None

    def _raise_unless_good(self, response: HttpResponse, now: datetime, is_signed: bool) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        problem = self._problem(response)
        account = f"{status} {problem.title or problem.type} {problem.detail}".strip()
        if status in {401, 403} and self.signs and not is_signed:
            raise Unreachable(f"{account}; the ledger has not signed this: is there a proxy or a portal between?")
        if status in {401, 403}:
            step = "the ledger does not take this kiosk's key: ask its operator, or register again"
            raise Unauthorised(account, step, problem=problem)
        if status in _TRANSIENT or status >= 500:
            raise Unreachable(account, retry_after_s=retry_after_s(response.headers.get("retry-after", ""), now))
        if status < 400:
            raise Unreachable(f"{account}; redirected: check the ledger's address, or sign in to the network's portal")
        raise RequestRejected(status, problem, is_signed=is_signed)

    def _problem(self, response: HttpResponse) -> ProblemDocument:
        try:
            return wire.read_json(ProblemDocument, self._plain(response, RESPONSE_BYTES_MAX))
        except (wire.InvalidMessage, Unreachable):
            return ProblemDocument(status=response.status, detail="no problem document")

    def _plain(self, response: HttpResponse, bytes_max: int) -> bytes:
        try:
            return batch.decompress(response.body, response.headers.get("content-encoding", ""), bytes_max)
        except (batch.MalformedBatch, batch.BodyTooLarge, batch.UnknownEncoding) as error:
            raise Unreachable(f"an answer that cannot be read: {error}") from error


def retry_after_s(text: str, now: datetime) -> float | None:
    """Returns the seconds to wait by a Retry-After header: a number or an HTTP date. None when it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())
