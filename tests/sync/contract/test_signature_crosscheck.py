"""Our RFC 9421 signatures against an independent library: each verifies what the other signed, over the same parts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)

from sync.contract import signature
from sync.contract.signature import BadSignature, SignableAnswer, SignableRequest

DEVICE = "kiosk-7"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
REQUESTS = {
    "a batch": SignableRequest(
        "POST",
        "/v1/devices/kiosk-7/epochs/00000000000000aa/batches",
        headers={"content-type": "application/x-ndjson", "content-encoding": "zstd"},
        body=b"compressed",
    ),
    "a page of the roster": SignableRequest("GET", "/v1/schools/s-12/roster", "since=3&cursor=a%2Fb"),
    "a cursor": SignableRequest("GET", "/v1/devices/kiosk-7/cursor"),
}


@dataclass
class LibraryMessage:
    """A request as the library reads and changes it."""

    method: str
    url: str
    headers: dict[str, str]


def to_library(request: SignableRequest) -> LibraryMessage:
    query = f"?{request.query}" if request.query else ""
    return LibraryMessage(request.method, f"https://ledger.example{request.path}{query}", dict(request.headers))


def with_headers(request: SignableRequest, headers: Mapping[str, str]) -> SignableRequest:
    return replace(request, headers={**request.headers, **{name.lower(): value for name, value in headers.items()}})


def sign_by_us(request: SignableRequest) -> SignableRequest:
    created = int(datetime.now(UTC).timestamp())  # the library reads the clock by itself
    return with_headers(request, signature.sign(request, KEY, DEVICE, created))


def sign_by_library(request: SignableRequest) -> SignableRequest:
    message = to_library(request)
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={DEVICE: KEY}),
    )
    signer.sign(
        message,
        key_id=DEVICE,
        label=signature.LABEL,
        covered_component_ids=signature.required_components(request),
        body=request.body or None,  # the library makes the Content-Digest, too
    )
    return with_headers(request, message.headers)


def verify_by_library(request: SignableRequest, key: Ed25519PrivateKey = KEY) -> None:
    """Raises `InvalidSignature` unless the signature holds, covers what the contract wants, and fits the body."""
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={DEVICE: key.public_key()}, private_keys={}),
    )
    [verified] = verifier.verify(
        to_library(request), require_components=signature.required_components(request), body=request.body or None
    )
    assert verified.parameters["keyid"] == DEVICE


def verify_by_us(request: SignableRequest, key: Ed25519PrivateKey = KEY) -> None:
    assert signature.verify(request, key.public_key().public_bytes_raw()).keyid == DEVICE


@pytest.mark.parametrize("request_sent", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_library_verifies_ours_and_we_verify_the_librarys(request_sent: SignableRequest) -> None:
    verify_by_library(sign_by_us(request_sent))
    verify_by_us(sign_by_library(request_sent))


@pytest.mark.parametrize("request_sent", REQUESTS.values(), ids=REQUESTS.keys())
def test_both_sign_the_same_bytes(request_sent: SignableRequest) -> None:
    ours, theirs = sign_by_us(request_sent), sign_by_library(request_sent)
    created = signature.verify(theirs, KEY.public_key().public_bytes_raw()).created
    assert signature.sign(request_sent, KEY, DEVICE, created).items() <= theirs.headers.items()
    assert ours.headers.keys() == theirs.headers.keys()


CHANGES: dict[str, dict[str, object]] = {
    "another method": {"method": "PUT"},
    "another path": {"path": "/v1/devices/kiosk-8/epochs/00000000000000aa/batches"},
    "another query": {"query": "since=4"},
    "another body": {"body": b"changed"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_both_refuse_what_was_changed_on_the_way(change: dict[str, object]) -> None:
    for signed in (sign_by_us(REQUESTS["a batch"]), sign_by_library(REQUESTS["a batch"])):
        changed = replace(signed, **change)  # type: ignore[arg-type]  # one field at a time
        with pytest.raises(InvalidSignature):
            verify_by_library(changed)
        with pytest.raises(BadSignature):
            verify_by_us(changed)


@pytest.mark.parametrize("header", ["content-type", "content-encoding", "content-digest"])
def test_both_refuse_a_covered_header_that_was_changed(header: str) -> None:
    for signed in (sign_by_us(REQUESTS["a batch"]), sign_by_library(REQUESTS["a batch"])):
        changed = with_headers(signed, {header: signature.content_digest(b"changed")})
        with pytest.raises(InvalidSignature):
            verify_by_library(changed)
        with pytest.raises(BadSignature):
            verify_by_us(changed)


def test_both_refuse_another_key() -> None:
    with pytest.raises(InvalidSignature):
        verify_by_library(sign_by_us(REQUESTS["a cursor"]), STRANGER)
    with pytest.raises(BadSignature):
        verify_by_us(sign_by_library(REQUESTS["a cursor"]), STRANGER)


@dataclass
class LibraryAnswer:
    """An answer as the library reads and changes it."""

    request: LibraryMessage
    status_code: int
    headers: dict[str, str]


ANSWER = SignableAnswer(400, {"content-type": "application/problem+json"}, b'{"title":"no"}')
LEDGER = "00112233aabbccdd"


def answer_components(request: SignableRequest) -> list[str]:
    digest = ['"content-digest";req'] if request.body else []
    own = ["@status", "content-digest", "content-type"]
    return [*own, '"@method";req', '"@path";req', '"@query";req', *digest, '"signature";req;key="cnt"']


def answer_by_us(request: SignableRequest, answer: SignableAnswer = ANSWER) -> SignableAnswer:
    created = int(datetime.now(UTC).timestamp())
    return replace(
        answer, headers={**answer.headers, **signature.sign_answer(answer, request, STRANGER, LEDGER, created)}
    )


def answer_by_library(request: SignableRequest) -> SignableAnswer:
    message = LibraryAnswer(to_library(request), ANSWER.status, dict(ANSWER.headers))
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={LEDGER: STRANGER}),
    )
    signer.sign(
        message,
        key_id=LEDGER,
        label=signature.LABEL,
        covered_component_ids=answer_components(request),
        body=ANSWER.body,
    )
    return replace(ANSWER, headers={name.lower(): value for name, value in message.headers.items()})


def verify_answer_by_library(answer: SignableAnswer, request: SignableRequest) -> None:
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={LEDGER: STRANGER.public_key()}, private_keys={}),
    )
    message = LibraryAnswer(to_library(request), answer.status, dict(answer.headers))
    verifier.verify(message, require_components=answer_components(request), body=answer.body)


@pytest.mark.parametrize("request_sent", REQUESTS.values(), ids=REQUESTS.keys())
def test_answers_are_signed_as_the_library_signs_them(request_sent: SignableRequest) -> None:
    signed = sign_by_us(request_sent)
    public_key = STRANGER.public_key().public_bytes_raw()
    verify_answer_by_library(answer_by_us(signed), signed)
    assert signature.verify_answer(answer_by_library(signed), signed, public_key).keyid == LEDGER


@pytest.mark.parametrize(
    "change",
    [
        {"status": 422},
        {"body": b'{"title":"yes"}'},
        {"headers": {"content-type": "text/html"}},
    ],
    ids=["another status", "another body", "another type"],
)
def test_both_refuse_an_answer_that_was_changed(change: dict[str, object]) -> None:
    signed = sign_by_us(REQUESTS["a batch"])
    answer = answer_by_us(signed)
    if "headers" in change:
        change = {"headers": {**answer.headers, "content-type": "text/html"}}
    changed = replace(answer, **change)  # type: ignore[arg-type]  # one field at a time
    with pytest.raises(InvalidSignature):
        verify_answer_by_library(changed, signed)
    with pytest.raises(BadSignature):
        signature.verify_answer(changed, signed, STRANGER.public_key().public_bytes_raw())


def test_an_answer_to_another_request_is_no_answer_to_this_one() -> None:
    """Not even to the same bytes under another path, or at another time."""
    batch = REQUESTS["a batch"]
    elsewhere = replace(batch, path="/v1/devices/kiosk-7/epochs/00000000000000bb/batches")
    later = with_headers(batch, signature.sign(batch, KEY, DEVICE, 1_795_322_400))
    public_key = STRANGER.public_key().public_bytes_raw()
    for other in (sign_by_us(elsewhere), sign_by_us(replace(batch, body=b"other")), later):
        answer = answer_by_us(other)
        with pytest.raises(BadSignature):
            signature.verify_answer(answer, sign_by_us(batch), public_key)
        with pytest.raises(InvalidSignature):
            verify_answer_by_library(answer, sign_by_us(batch))


def test_an_unsigned_answer_is_told() -> None:
    with pytest.raises(BadSignature, match="no signature"):
        signature.verify_answer(ANSWER, sign_by_us(REQUESTS["a batch"]), bytes(32))
