"""Who may come in: a request is believed by its headers before its body is read.

1. Headers that hold no signature of our form are a stranger's: nothing is asked of the database for them.
2. The key must be known. Keys are remembered, so that a device needs no question to the database here; an unknown one
   costs a stranger one question, and the strangers of one address have only so many a second.
3. The signature must be that key's. What comes from here on is the device's own: its own limit, then the ledger's.
4. The body is read, within its size and its time, and held against the signature.

A whole city may sit behind one address, so no limit by address touches a request that a known device has signed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from starlette.requests import ClientDisconnect, Request

from sync.contract import signature
from sync.contract.signature import BadSignature, SignableRequest, VerifiedSignature
from sync.contract.wire import ProblemType
from sync.ledger.door.admission import NamedBuckets, TokenBucket
from sync.ledger.door.heads import announces_body, read_head
from sync.ledger.door.limits import DoorLimits
from sync.ledger.door.lobby import note_device
from sync.ledger.requests import ProblemReply, problem_reply

CLOCKS_APART_MAX_S = 300  # of a request that only asks: an old one may not be sent again

_KEYS_MAX = 20_000  # devices whose keys are remembered

KeyFinder = Callable[[str], Awaitable[Sequence[bytes]]]
"""Returns the keys in force of the device of this id, out of the database; none for an unknown one."""


class Doorkeeper:
    """Admits requests. All calls come from the event loop. `strangers`: the buckets of addresses."""

    def __init__(
        self, find_keys: KeyFinder, clock: Callable[[], datetime], monotonic: Callable[[], float], limits: DoorLimits
    ) -> None:
        self._find_keys = find_keys
        self._clock = clock
        self._body_s = limits.body_s
        self._keys: dict[str, Sequence[bytes]] = {}
        self._ledger = TokenBucket(limits.rate_per_s, limits.burst, monotonic)
        self._devices = NamedBuckets(limits.device_rate_per_s, limits.device_burst, monotonic)
        self.strangers = NamedBuckets(limits.stranger_rate_per_s, limits.stranger_burst, monotonic)

    async def admit(self, request: Request, bytes_max: int, *, is_urgent: bool = False) -> SignableRequest:
        """Returns the request as its signature covers it, once a known device is found to have sent it.

        `bytes_max`: of its body; 0 for a request that only asks, whose age is judged. `is_urgent`: small, and let in
        whatever the ledger's own limit says. Raises ProblemReply.
        """
        head = read_head(request.scope)
        signed = await self._identify(request, head)
        note_device(request.scope["state"])
        self._limit(self._devices.admit(signed.keyid))
        if not is_urgent:
            self._limit(self._ledger.admit())
        if not bytes_max:
            self._check_age(signed)
        whole = await _read_body(request, head, bytes_max, self._body_s)
        try:
            signature.check_body(whole, signed)
        except BadSignature as error:
            raise _unsigned(request, str(error)) from error
        return whole

    async def admit_newcomer(self, request: Request, bytes_max: int) -> SignableRequest:
        """Returns the request of somebody who wants to become a device; whose it is, is found later.

        Raises ProblemReply.
        """
        head = read_head(request.scope)
        self.greet(request)
        return await _read_body(request, head, bytes_max, self._body_s)

    async def _identify(self, request: Request, head: SignableRequest) -> VerifiedSignature:
        try:
            device = signature.read_keyid(head)
            remembered = _verify_by(self._keys.get(device, ()), head)
        except BadSignature as error:
            self.greet(request)
            raise _unsigned(request, str(error)) from error
        if remembered is not None:
            return remembered
        self.greet(request)
        keys = await self._find_keys(device)
        if not keys:
            title, detail = "unknown device", "register it with a new code"
            raise _final(request, problem_reply(ProblemType.UNAUTHORISED, 401, title, detail))
        if len(self._keys) >= _KEYS_MAX:
            self._keys.clear()
        self._keys[device] = keys
        signed = _verify_by(keys, head)
        if signed is None:
            raise _unsigned(request, "the signature is not this device's over this request")
        return signed

    def greet(self, request: Request) -> None:
        """Counts a stranger. Raises ProblemReply where there are too many of this address."""
        wait_s = self.strangers.admit(request.client.host if request.client else "")
        if wait_s:
            title, detail = "too many requests without a known key", f"come again in {wait_s} s"
            raise _final(request, problem_reply(ProblemType.BUSY, 429, title, detail, wait_s))

    def _limit(self, wait_s: int) -> None:
        if wait_s:
            raise problem_reply(ProblemType.BUSY, 503, "many requests at once", f"come again in {wait_s} s", wait_s)

    def _check_age(self, signed: VerifiedSignature) -> None:
        apart_s = round(signed.created - self._clock().timestamp())
        if abs(apart_s) > CLOCKS_APART_MAX_S:
            side = "ahead of" if apart_s > 0 else "behind"
            raise problem_reply(
                ProblemType.CLOCK, 401, "the clocks differ",
                f"the request is dated {abs(apart_s)} s {side} the ledger: sign it with the ledger's time",
            )  # fmt: skip


def _verify_by(keys: Sequence[bytes], head: SignableRequest) -> VerifiedSignature | None:
    for key in keys:
        try:
            return signature.verify_head(head, key)
        except BadSignature:
            continue
    return None


def _unsigned(request: Request, why: str) -> ProblemReply:
    return _final(request, problem_reply(ProblemType.UNAUTHORISED, 401, "no good signature", why))


def _final(request: Request, refused: ProblemReply) -> ProblemReply:
    """Returns the refusal of a request whose body, where it has one, is not read: then the connection ends with it."""
    return ProblemReply(refused.problem, refused.retry_after_s, closes=announces_body(request.scope["headers"]))


async def _read_body(request: Request, head: SignableRequest, bytes_max: int, seconds: float) -> SignableRequest:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise problem_reply(
                        ProblemType.TOO_LARGE, 413, "too many bytes", f"at most {bytes_max} are taken here"
                    )
    except ClientDisconnect as error:
        raise problem_reply(ProblemType.MALFORMED, 400, "the connection broke off", "nothing was stored") from error
    except TimeoutError as error:
        problem = problem_reply(ProblemType.BUSY, 408, "the body took too long", f"it has {seconds:.0f} s").problem
        raise ProblemReply(problem, closes=True) from error
    return SignableRequest(head.method, head.path, head.query, head.headers, bytes(body))
