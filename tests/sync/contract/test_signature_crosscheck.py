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
from sync.contract.signature import BadSignature, SignableRequest

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
