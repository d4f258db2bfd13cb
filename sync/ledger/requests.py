"""From a signed request to an answer: what each call of the contract means, without HTTP.

`Refusal` is raised for everything that is answered with a problem document. These functions block on the database;
the service calls them from its worker threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import batch, receipt, signature, wire
from sync.contract.palms import SealedPalmMessage, SealedPalmPage, SealedPalmReply
from sync.contract.roster import RosterPage
from sync.contract.signature import SignableRequest, VerifiedSignature
from sync.contract.wire import (
    BatchReply,
    Cursor,
    Heartbeat,
    HeartbeatReply,
    ProblemDocument,
    ProblemType,
    RegistrationReply,
)
from sync.ledger import palms, rosters, schools
from sync.ledger.ingest import Arrival, Signature, ingest
from sync.ledger.people import People

COMPRESSED_BYTES_MAX = batch.BODY_BYTES_MAX + 64 * 1024  # random bytes grow a little when they are compressed
MESSAGE_BYTES_MAX = 64 * 1024

_T = TypeVar("_T")
_M = TypeVar("_M", bound=msgspec.Struct)


class Refusal(Exception):
    """The answer is this problem. `retry_after_s` goes out as Retry-After where it is not 0."""

    def __init__(self, problem: ProblemDocument, retry_after_s: int = 0) -> None:
        super().__init__(problem.title)
        self.problem = problem
        self.retry_after_s = retry_after_s


def refusal(kind: ProblemType, status: int, title: str, detail: str = "", retry_after_s: int = 0) -> Refusal:
    return Refusal(ProblemDocument(type=kind, status=status, title=title, detail=detail[:500]), retry_after_s)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What every call needs: the receipts' key, the clock, and what is remembered between calls."""

    key: Ed25519PrivateKey
    clock: Callable[[], datetime]
    people: People = field(default_factory=People, repr=False)

    def take_batch(
        self, connection: psycopg.Connection, request: SignableRequest, device: str, epoch: str
    ) -> BatchReply:
        """POST /v1/devices/{device}/epochs/{epoch}/batches"""
        known, public_key, signed = _authenticate(connection, request, device)
        named = _named(wire.parse_epoch, epoch)
        encoding = request.headers.get("content-encoding", "")
        try:
            content = batch.decode(batch.decompress(request.body, encoding))
        except batch.BodyTooLarge as error:
            raise refusal(ProblemType.TOO_LARGE, 413, "too many bytes", str(error)) from error
        except batch.UnknownEncoding as error:
            raise refusal(ProblemType.ENCODING, 415, "unknown content coding", str(error)) from error
        except batch.MalformedBatch as error:
            raise refusal(ProblemType.MALFORMED, 400, "no batch", str(error)) from error
        evidence = Signature(
            content_digest=signature.content_digest(request.body),
            signature_input=request.headers["signature-input"],
            signature=request.headers["signature"],
            base=signed.base.encode(),
            public_key=public_key,
            content_encoding=encoding,
            body=request.body,
        )
        arrival = Arrival(known.school, known.device, named, content, evidence)
        try:
            answer = ingest(connection, arrival, self.key, self.clock(), self.people)
        except batch.MalformedBatch as error:
            raise refusal(ProblemType.MALFORMED, 422, "a batch that contradicts itself", str(error)) from error
        match answer:
            case ProblemDocument() as problem:
                raise Refusal(problem)
            case BatchReply() as accepted:
                return accepted

    def tell_cursor(self, connection: psycopg.Connection, request: SignableRequest, device: str) -> Cursor:
        """GET /v1/devices/{device}/cursor"""
        known, _, _ = _authenticate(connection, request, device)
        now = wire.time_text(self.clock())
        standing = schools.cursor(connection, known)
        if standing is None:
            return Cursor(time=now)
        epoch, head = standing
        issued = receipt.issue(self.key, known.device, epoch, head, now)
        return Cursor(time=now, epoch=epoch, accepted_through=head.seq, head=head.hash.hex(), receipt=issued)

    def hear(self, connection: psycopg.Connection, request: SignableRequest, device: str) -> HeartbeatReply:
        """POST /v1/devices/{device}/heartbeats"""
        known, _, _ = _authenticate(connection, request, device)
        beat = _message(Heartbeat, request.body)
        if "\0" in beat.instance or len(beat.instance) > 200:
            raise refusal(ProblemType.MALFORMED, 400, "no heartbeat", "instance is no name")
        schools.hear(connection, known, beat.instance, request.body)
        return HeartbeatReply(time=wire.time_text(self.clock()), roster=rosters.version(connection, known.school))

    def tell_roster(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str, cursor: str
    ) -> RosterPage:
        """GET /v1/schools/{school}/roster: of a device's own school, and of no other."""
        known = self._of_school(connection, request, school)
        version = _number(since)
        try:
            page = rosters.page(connection, known.school, version, cursor)
        except rosters.Restart as error:
            raise refusal(ProblemType.ROSTER_RESTART, 410, "begin the pull again", str(error)) from error
        assert page is not None, "a device has a school"
        return page

    def keep_palm(self, connection: psycopg.Connection, request: SignableRequest, school: str) -> SealedPalmReply:
        """POST /v1/schools/{school}/palms: into a device's own school, and no other."""
        known = self._of_school(connection, request, school)
        return palms.keep(connection, known.school, known.device, _message(SealedPalmMessage, request.body))

    def tell_palms(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str
    ) -> SealedPalmPage:
        """GET /v1/schools/{school}/palms"""
        known = self._of_school(connection, request, school)
        return palms.page(connection, known.school, _number(since))

    def _of_school(self, connection: psycopg.Connection, request: SignableRequest, school: str) -> schools.Device:
        known, _, _ = _authenticate(connection, request, _keyid(request))
        if known.school != school:
            raise refusal(ProblemType.NOT_FOUND, 404, "no such school", "a device gets what is of its own school")
        return known

    def enrol(self, connection: psycopg.Connection, request: SignableRequest) -> tuple[RegistrationReply, bool]:
        """POST /v1/enrolments; the identity, and whether it is new."""
        asked = _message(wire.RegistrationRequest, request.body)
        public_key = bytes.fromhex(asked.public_key)
        if _keyid(request) != receipt.fingerprint(public_key):
            raise refusal(ProblemType.UNAUTHORISED, 401, "signed with another key", "sign with the key you show")
        _verify(request, (public_key,))
        now = self.clock()
        match schools.enrol(connection, asked.code, public_key, asked.name, now):
            case schools.Refused(why=why):
                raise refusal(
                    ProblemType.CODE_REFUSED, 403, "this code gives no identity",
                    f"{why}: ask for a new one (`edge-agent ledger enrol-code SCHOOL`)",
                )  # fmt: skip
            case (device, new):
                server_key = self.key.public_key().public_bytes_raw().hex()
                return RegistrationReply(
                    device=device.device, school=device.school, server_key=server_key, time=wire.time_text(now)
                ), new  # fmt: skip


def _authenticate(
    connection: psycopg.Connection, request: SignableRequest, device: str
) -> tuple[schools.Device, bytes, VerifiedSignature]:
    """The device that signed this request, and with which key. Its clock may be wrong: `created` is not judged."""
    if _keyid(request) != device:
        raise refusal(ProblemType.UNAUTHORISED, 401, "signed by somebody else", "a device signs with its id as keyid")
    known = schools.find(connection, _named(wire.parse_device_id, device))
    if known is None:
        raise refusal(ProblemType.UNAUTHORISED, 401, "unknown device", "register it with a new code")
    public_key, signed = _verify(request, known.public_keys)
    if known.status != "active":
        raise refusal(ProblemType.SUSPENDED, 403, "this device is suspended", "ask the ledger's operator")
    return known, public_key, signed


def _keyid(request: SignableRequest) -> str:
    try:
        return signature.read_keyid(request)
    except signature.BadSignature as error:
        raise refusal(ProblemType.UNAUTHORISED, 401, "no good signature", str(error)) from error


def _verify(request: SignableRequest, public_keys: tuple[bytes, ...]) -> tuple[bytes, VerifiedSignature]:
    """The first of the keys that made the signature."""
    why = signature.BadSignature("the device has no key in force")
    for public_key in public_keys:
        try:
            return public_key, signature.verify(request, public_key)
        except signature.BadSignature as error:
            why = error
    raise refusal(ProblemType.UNAUTHORISED, 401, "no good signature", str(why)) from why


def _number(since: str) -> int:
    if not (since.isascii() and since.isdigit() and len(since) < 16):
        raise refusal(ProblemType.MALFORMED, 400, "no version", "`since` is a whole number; 0 asks for everything")
    return int(since)


def _named(check: Callable[[str], _T], text: str) -> _T:
    """A name out of the path, in the contract's form."""
    try:
        return check(text)
    except wire.InvalidMessage as error:
        raise refusal(ProblemType.NOT_FOUND, 404, "no such name", str(error)) from error


def _message(kind: type[_M], body: bytes) -> _M:
    try:
        return wire.read_json(kind, body)
    except wire.InvalidMessage as error:
        raise refusal(ProblemType.MALFORMED, 400, "not understood", str(error)) from error
