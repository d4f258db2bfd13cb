"""From a signed request to its answer: the meaning of each call of the contract, without HTTP.

`ProblemReply` is raised for everything that is answered with a problem document. These functions block on the database;
the service calls them from its worker threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import psycopg

from sync.contract import batch, receipt, signature, wire
from sync.contract.device_keys import DeviceKeyReply, DeviceKeyRequest, UnprovenKey, check_key_proof
from sync.contract.dynamic_codes import CodeUsePage
from sync.contract.log_view import LogView
from sync.contract.palms import SealedPalmMessage, SealedPalmPage, SealedPalmReply
from sync.contract.receipt_keys import ReceiptKeyPage
from sync.contract.replacement_cards import ReplacementCardMessage, ReplacementCardPage, ReplacementCardReply
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
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.arrivals import ArrivedBatch, SignatureEvidence
from sync.ledger.intake.ingest import ingest_batch
from sync.ledger.receipt_keys import ReceiptSigner, read_receipt_keys
from sync.ledger.registry import code_uses, desk_words, device_keys, palms, replacement_cards, rosters, schools, twins
from sync.ledger.registry.people import RosterMembers
from sync.ledger.transparency import log_views
from sync.ledger.transparency.webhooks import CardNews, enqueue_card
from sync.proof.leaves import LogName
from sync.proof.signer import LogSigner

COMPRESSED_BYTES_MAX = batch.BODY_BYTES_MAX + 64 * 1024  # random bytes grow a little when they are compressed
MESSAGE_BYTES_MAX = 64 * 1024

_NameT = TypeVar("_NameT")
_MessageT = TypeVar("_MessageT", bound=msgspec.Struct)


class ProblemReply(Exception):
    """The request is answered with this problem. `retry_after_s` goes out as Retry-After where it is not 0.

    `closes`: the connection ends with the answer, since the rest of the request is not read.
    """

    def __init__(self, problem: ProblemDocument, retry_after_s: int = 0, *, closes: bool = False) -> None:
        super().__init__(problem.title)
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.closes = closes


def problem_reply(kind: ProblemType, status: int, title: str, detail: str = "", retry_after_s: int = 0) -> ProblemReply:
    """Returns the exception to raise, with at most 500 characters of `detail`."""
    return ProblemReply(ProblemDocument(type=kind, status=status, title=title, detail=detail[:500]), retry_after_s)


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """The parts that every call needs: both keys, the clock, and the people remembered between calls."""

    receipts: ReceiptSigner
    clock: Callable[[], datetime]
    signer: LogSigner
    members: RosterMembers = field(default_factory=RosterMembers, repr=False)

    def store_batch(
        self, connection: psycopg.Connection, request: SignableRequest, device: str, epoch: str
    ) -> BatchReply:
        """Answers POST /v1/devices/{device}/epochs/{epoch}/batches."""
        sender, public_key, signed = _authenticate(connection, request, device)
        open_epoch = _path_name(wire.parse_epoch, epoch)
        encoding = request.headers.get("content-encoding", "")
        try:
            content = batch.decode(batch.decompress(request.body, encoding))
        except batch.BodyTooLarge as error:
            raise problem_reply(ProblemType.TOO_LARGE, 413, "too many bytes", str(error)) from error
        except batch.UnknownEncoding as error:
            raise problem_reply(ProblemType.ENCODING, 415, "unknown content coding", str(error)) from error
        except batch.MalformedBatch as error:
            raise problem_reply(ProblemType.MALFORMED, 400, "no batch", str(error)) from error
        evidence = SignatureEvidence(
            content_digest=signature.content_digest(request.body),
            signature_input=request.headers["signature-input"],
            signature=request.headers["signature"],
            base=signed.base.encode(),
            public_key=public_key,
            content_encoding=encoding,
            body=request.body,
        )
        arrival = ArrivedBatch(sender.school, sender.device, open_epoch, content, evidence)
        try:
            outcome = ingest_batch(connection, arrival, self.receipts.key, self.clock(), self.members)
        except batch.MalformedBatch as error:
            raise problem_reply(ProblemType.MALFORMED, 422, "a batch that contradicts itself", str(error)) from error
        match outcome:
            case ProblemDocument() as problem:
                raise ProblemReply(problem)
            case BatchReply() as accepted:
                return accepted

    def read_cursor(self, connection: psycopg.Connection, request: SignableRequest, device: str) -> Cursor:
        """Answers GET /v1/devices/{device}/cursor."""
        sender, _, _ = _authenticate(connection, request, device)
        now = wire.time_text(self.clock())
        position = schools.read_head(connection, sender)
        if position is None:
            return Cursor(time=now)
        epoch, head = position
        schools.await_replication(connection, sender)
        issued = receipt.issue(self.receipts.key, sender.device, epoch, head, now)
        return Cursor(
            time=now, epoch=epoch, accepted_through=head.seq, head=head.hash.hex(), receipt=issued,
            wanted=schools.read_wanted(connection, sender, epoch),
        )  # fmt: skip

    def read_log_view(
        self, connection: psycopg.Connection, request: SignableRequest, device: str, since: str
    ) -> LogView:
        """Answers GET /v1/devices/{device}/log."""
        sender, _, _ = _authenticate(connection, request, device)
        log_key = self.signer.log_key(sender.school, LogName.EVENTS)
        now = wire.time_text(self.clock())
        view = log_views.read_log_view(connection, sender, _number(since), log_key, self.receipts.key, now)
        schools.await_replication(connection, sender)
        return view

    def record_heartbeat(self, connection: psycopg.Connection, request: SignableRequest, device: str) -> HeartbeatReply:
        """Answers POST /v1/devices/{device}/heartbeats."""
        sender, _, _ = _authenticate(connection, request, device)
        beat = _message(Heartbeat, request.body)
        if "\0" in beat.instance or len(beat.instance) > 200:
            raise problem_reply(ProblemType.MALFORMED, 400, "no heartbeat", "instance is no name")
        schools.store_heartbeat(connection, sender, beat.instance, request.body)
        heard = schools.note_heard(connection, sender, beat.epoch, beat.head) if _is_epoch(beat.epoch) else 0
        standing = schools.read_standing(connection, sender)
        twin = twins.find_twin(connection, sender, beat.instance)
        return HeartbeatReply(
            time=wire.time_text(self.clock()), roster=standing.roster_version, incarnation=standing.incarnation,
            epoch=standing.epoch, accepted_through=standing.seq, head=standing.hash.hex(), heard=heard,
            twin="" if twin is None else wire.time_text(twin),
        )  # fmt: skip

    def read_roster(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str, cursor: str,
        knows: str = "",
    ) -> RosterPage:  # fmt: skip
        """Answers GET /v1/schools/{school}/roster: a device gets its own school's, and no other; of the later record
        types those that it `knows`, separated by commas.
        """
        sender = self._authenticate_for(connection, request, school)
        version = _number(since)
        if not cursor:
            desk_words.apply_desk_words(connection, sender.school)
        try:
            page = rosters.read_page(connection, sender.school, version, cursor, knows=knows.split(","))
        except rosters.PullRestart as error:
            raise problem_reply(ProblemType.ROSTER_RESTART, 410, "begin the pull again", str(error)) from error
        assert page is not None, "a device has a school"
        return page

    def store_palm(self, connection: psycopg.Connection, request: SignableRequest, school: str) -> SealedPalmReply:
        """Answers POST /v1/schools/{school}/palms: into a device's own school, and no other."""
        sender = self._authenticate_for(connection, request, school)
        return palms.store_palm(connection, sender.school, sender.device, _message(SealedPalmMessage, request.body))

    def read_palms(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str
    ) -> SealedPalmPage:
        """Answers GET /v1/schools/{school}/palms."""
        sender = self._authenticate_for(connection, request, school)
        return palms.read_page(connection, sender.school, _number(since))

    def store_card(self, connection: psycopg.Connection, request: SignableRequest, school: str) -> ReplacementCardReply:
        """Answers POST /v1/schools/{school}/replacement-cards: into a device's own school; the family is told."""
        sender = self._authenticate_for(connection, request, school)
        message = _message(ReplacementCardMessage, request.body)
        with connection.transaction():
            reply, is_given = replacement_cards.store_card(connection, sender.school, sender.device, message)
            if is_given:
                news = CardNews(
                    school=sender.school, device=sender.device, credential=message.id, person=message.person,
                    time=message.made_at,
                )  # fmt: skip
                enqueue_card(connection, news, reply.version, self.clock())
        return reply

    def read_cards(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str
    ) -> ReplacementCardPage:
        """Answers GET /v1/schools/{school}/replacement-cards."""
        sender = self._authenticate_for(connection, request, school)
        return replacement_cards.read_page(connection, sender.school, _number(since))

    def read_code_uses(
        self, connection: psycopg.Connection, request: SignableRequest, school: str, since: str
    ) -> CodeUsePage:
        """Answers GET /v1/schools/{school}/code-uses."""
        sender = self._authenticate_for(connection, request, school)
        return code_uses.read_page(connection, sender.school, _number(since))

    def add_device_key(self, connection: psycopg.Connection, request: SignableRequest, device: str) -> DeviceKeyReply:
        """Answers POST /v1/devices/{device}/keys."""
        sender, signer, _ = _authenticate(connection, request, device)
        message = _message(DeviceKeyRequest, request.body)
        try:
            public_key = check_key_proof(message, sender.device, signer)
            device_keys.add_device_key(connection, sender, signer, public_key)
        except (UnprovenKey, NotUnderstood) as error:
            raise problem_reply(ProblemType.MALFORMED, 400, "this key is not taken", str(error)) from error
        return DeviceKeyReply(
            device=sender.device, public_key=message.public_key, time=wire.time_text(self.clock())
        )  # fmt: skip

    def read_receipt_keys(self, connection: psycopg.Connection) -> ReceiptKeyPage:
        """Answers GET /v1/receipt-keys, to anybody."""
        return ReceiptKeyPage(time=wire.time_text(self.clock()), keys=read_receipt_keys(connection))

    def _authenticate_for(
        self, connection: psycopg.Connection, request: SignableRequest, school: str
    ) -> schools.RegisteredDevice:
        """Returns the sender, which must be of this school."""
        sender, _, _ = _authenticate(connection, request, _keyid(request))
        if sender.school != school:
            raise problem_reply(ProblemType.NOT_FOUND, 404, "no such school", "a device gets what is of its own school")
        return sender

    def register(self, connection: psycopg.Connection, request: SignableRequest) -> tuple[RegistrationReply, bool]:
        """Answers POST /v1/enrolments: returns the identity, and True if it is new."""
        registration = _message(wire.RegistrationRequest, request.body)
        public_key = bytes.fromhex(registration.public_key)
        if _keyid(request) != receipt.fingerprint(public_key):
            raise problem_reply(ProblemType.UNAUTHORISED, 401, "signed with another key", "sign with the key you show")
        _verify(request, (public_key,))
        now = self.clock()
        match schools.register_device(connection, registration.code, public_key, registration.name, now):
            case schools.RefusedCode(why=why):
                raise problem_reply(
                    ProblemType.CODE_REFUSED, 403, "this code gives no identity",
                    f"{why}: ask for a new one (`edge-agent ledger enrol-code SCHOOL`)",
                )  # fmt: skip
            case (device, new):
                server_key = self.receipts.key.public_key().public_bytes_raw().hex()
                return RegistrationReply(
                    device=device.device, school=device.school, server_key=server_key, time=wire.time_text(now)
                ), new  # fmt: skip


def _authenticate(
    connection: psycopg.Connection, request: SignableRequest, device: str
) -> tuple[schools.RegisteredDevice, bytes, VerifiedSignature]:
    """Returns the device that signed this request, its key and the signature. `created` is not judged."""
    if _keyid(request) != device:
        raise problem_reply(
            ProblemType.UNAUTHORISED, 401, "signed by somebody else", "a device signs with its id as keyid"
        )
    sender = schools.find_device(connection, _path_name(wire.parse_device_id, device))
    if sender is None:
        raise problem_reply(ProblemType.UNAUTHORISED, 401, "unknown device", "register it with a new code")
    public_key, signed = _verify(request, sender.public_keys)
    if sender.status != "active":
        raise problem_reply(ProblemType.SUSPENDED, 403, "this device is suspended", "ask the ledger's operator")
    device_keys.retire_former(connection, sender, public_key)
    return sender, public_key, signed


def _keyid(request: SignableRequest) -> str:
    try:
        return signature.read_keyid(request)
    except signature.BadSignature as error:
        raise problem_reply(ProblemType.UNAUTHORISED, 401, "no good signature", str(error)) from error


def _verify(request: SignableRequest, public_keys: tuple[bytes, ...]) -> tuple[bytes, VerifiedSignature]:
    """Returns the first of the keys that made the signature, and the signature."""
    why = signature.BadSignature("the device has no key in force")
    for public_key in public_keys:
        try:
            return public_key, signature.verify(request, public_key)
        except signature.BadSignature as error:
            why = error
    raise problem_reply(ProblemType.UNAUTHORISED, 401, "no good signature", str(why)) from why


def _is_epoch(text: str) -> bool:
    try:
        wire.parse_epoch(text)
    except wire.InvalidMessage:
        return False
    return True


def _number(since: str) -> int:
    if not (since.isascii() and since.isdigit() and len(since) < 16):
        raise problem_reply(
            ProblemType.MALFORMED, 400, "no version", "`since` is a whole number; 0 asks for everything"
        )
    return int(since)


def _path_name(parse: Callable[[str], _NameT], text: str) -> _NameT:
    """Returns a name out of the path, in the contract's form."""
    try:
        return parse(text)
    except wire.InvalidMessage as error:
        raise problem_reply(ProblemType.NOT_FOUND, 404, "no such name", str(error)) from error


def _message(kind: type[_MessageT], body: bytes) -> _MessageT:
    try:
        return wire.read_json(kind, body)
    except wire.InvalidMessage as error:
        raise problem_reply(ProblemType.MALFORMED, 400, "not understood", str(error)) from error
