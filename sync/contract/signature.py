"""HTTP Message Signatures (RFC 9421) with Ed25519, and Content-Digest (RFC 9530), as much of them as the contract uses.

A signature covers a list of components of the request, in an order of the signer's choice:

    "@method": POST
    "@path": /v1/devices/k1/epochs/00000000000000aa/batches
    "@query": ?
    "content-digest": sha-256=:…:
    "content-type": application/x-ndjson
    "content-encoding": zstd
    "@signature-params": ("@method" "@path" …);created=1795322400;keyid="k1";alg="ed25519"

The text above, lines joined by one newline, is what is signed. It travels as `Signature-Input: cnt=(…)…` and
`Signature: cnt=:…:`; members with other labels, which a proxy may add, are passed over. The host is not covered: a
reverse proxy may change it, and path and digest already tie a request to its device and its bytes.

`verify` is strict: it takes only the forms that `sign` writes, and demands that all `required_components` are signed.

The ledger signs its answers, and binds each to its request (RFC 9421, 2.4): the status, the bytes, and of the request
the method, the path, the query, the digest of its body and the signature itself, which no other request has:

    "@status": 400
    "content-digest": sha-256=:…:
    "content-type": application/problem+json
    "@method";req: POST
    "@path";req: /v1/devices/k1/epochs/00000000000000aa/batches
    "@query";req: ?
    "content-digest";req: sha-256=:…:
    "signature";req;key="cnt": :…:
    "@signature-params": ("@status" "content-digest" …);created=1795322401;keyid="0011223344556677";alg="ed25519"

So a proxy's error page is not the ledger's word, and neither is an answer that the ledger gave to something else.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LABEL: Final = "cnt"
HEADER_TEXT_MAX: Final = 2_000  # characters of either signature header

_INNER_LIST = r'\((?:"[a-z0-9@-]+"(?: "[a-z0-9@-]+")*)?\)'
_PARAMS = r'(?:;[a-z]+=(?:-?[0-9]{1,15}|"[^"\\]*"))*'
_INPUT = re.compile(rf"(?:^|, ?)(?P<label>[a-z0-9_-]+)=(?P<params>{_INNER_LIST}{_PARAMS})(?=$|, ?)")
_SIGNATURE = re.compile(r"(?:^|, ?)(?P<label>[a-z0-9_-]+)=:(?P<value>[A-Za-z0-9+/=]*):(?=$|, ?)")
_DIGEST = re.compile(r"(?:^|, ?)sha-256=:(?P<value>[A-Za-z0-9+/=]*):(?=$|, ?)")
_PARAM = re.compile(r';(?P<name>[a-z]+)=(?:(?P<number>-?[0-9]{1,15})|"(?P<text>[^"\\]*)")')


_ANSWER_INPUT = re.compile(
    r"(?:^|, ?)cnt=(?P<params>(?P<list>\([^()]*\));created=(?P<created>[0-9]{1,15})"
    r';keyid="(?P<keyid>[A-Za-z0-9_-]{1,64})";alg="ed25519")(?=$|, ?)'
)


class BadSignature(ValueError):
    """Missing, not understood, incomplete, or wrong."""


@dataclass(frozen=True, slots=True)
class SignableRequest:
    """The parts of a request that can be signed. `path` as in the request line; `headers` with lower-case names."""

    method: str
    path: str
    query: str = ""  # without the `?`
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class SignableAnswer:
    """The parts of an answer that are signed. `headers` with lower-case names; `body` as it is sent, compressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature found good: its key, its time (Unix seconds, the signer's clock) and its text, for the archive."""

    keyid: str
    created: int
    base: str
    signature: bytes
    components: tuple[str, ...] = ()


def content_digest(body: bytes) -> str:
    """Returns the `Content-Digest` of a body as it is sent, that is: compressed."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def signature_base(request: SignableRequest, components: Sequence[str], params: str) -> str:
    """Returns the text to sign. `params` is the `@signature-params` line's value. Raises `BadSignature`."""
    lines = [f'"{name}": {_component(request, name)}' for name in components]
    return "\n".join([*lines, f'"@signature-params": {params}'])


def _component(request: SignableRequest, name: str) -> str:
    match name:
        case "@method":
            return request.method
        case "@path":
            return request.path
        case "@query":
            return f"?{request.query}"
        case "@authority":
            return request.authority.lower()
        case _ if name in request.headers:
            return request.headers[name].strip()
        case _:
            raise BadSignature(f"the signature covers {name}, which the request does not have")


def required_components(request: SignableRequest) -> list[str]:
    """Returns what the contract wants a signature over this request to cover."""
    body = ["content-digest", "content-type"] if request.body else []
    return [
        "@method",
        "@path",
        "@query",
        *body,
        *(["content-encoding"] if "content-encoding" in request.headers else []),
    ]


def sign(request: SignableRequest, key: Ed25519PrivateKey, keyid: str, created: int) -> dict[str, str]:
    """Returns the headers to add: Content-Digest where there is a body, Signature-Input, Signature.

    `created`: Unix seconds.
    """
    digest = {"content-digest": content_digest(request.body)} if request.body else {}
    whole = replace(request, headers={**request.headers, **digest})
    names = required_components(whole)
    quoted = " ".join(f'"{name}"' for name in names)
    params = f'({quoted});created={created};keyid="{keyid}";alg="ed25519"'
    signature = key.sign(signature_base(whole, names, params).encode())
    return digest | {
        "signature-input": f"{LABEL}={params}",
        "signature": f"{LABEL}=:{b64encode(signature).decode()}:",
    }


def sign_answer(
    answer: SignableAnswer, request: SignableRequest, key: Ed25519PrivateKey, keyid: str, created: int
) -> dict[str, str]:
    """Returns the headers to add to an answer: Content-Digest, Signature-Input, Signature.

    `request` is the signed request that it answers; `created`: Unix seconds. Raises `BadSignature` for one without.
    """
    digest = {"content-digest": content_digest(answer.body)}
    whole = replace(answer, headers={**answer.headers, **digest})
    lines = _answer_lines(whole, request)
    params = f'({" ".join(name for name, _ in lines)});created={created};keyid="{keyid}";alg="ed25519"'
    signature = key.sign(_answer_base(lines, params))
    return digest | {
        "signature-input": f"{LABEL}={params}",
        "signature": f"{LABEL}=:{b64encode(signature).decode()}:",
    }


def verify_answer(answer: SignableAnswer, request: SignableRequest, public_key: bytes) -> VerifiedSignature:
    """Returns the signature of an answer, once it is found good over this answer to this request.

    `public_key`: the ledger's 32 raw bytes; `request` with the headers that `sign` added. Raises `BadSignature`.
    """
    text = answer.headers.get("signature-input", "")
    stated = _ANSWER_INPUT.search(text) if len(text) <= HEADER_TEXT_MAX else None
    if stated is None:
        raise BadSignature("the answer carries no signature of the expected form")
    lines = _answer_lines(answer, request)
    if stated["list"] != f"({' '.join(name for name, _ in lines)})":
        raise BadSignature("the answer's signature covers something else than this answer to this request")
    if _digest_of(answer.headers.get("content-digest", "")) != sha256(answer.body).digest():
        raise BadSignature("the answer does not have the sha-256 that Content-Digest states")
    base = _answer_base(lines, stated["params"])
    signature = _decoded(_find_member(answer.headers, "signature", _SIGNATURE, LABEL)["value"])
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, base)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("the signature is not this ledger's over this answer") from error
    return VerifiedSignature(stated["keyid"], int(stated["created"]), base.decode(), signature)


def read_answer_keyid(answer: SignableAnswer) -> str:
    """Returns the key id that an answer's signature claims. Raises `BadSignature`."""
    text = answer.headers.get("signature-input", "")
    stated = _ANSWER_INPUT.search(text) if len(text) <= HEADER_TEXT_MAX else None
    if stated is None:
        raise BadSignature("the answer carries no signature of the expected form")
    return stated["keyid"]


def _answer_lines(answer: SignableAnswer, request: SignableRequest) -> list[tuple[str, str]]:
    """Returns the components that an answer's signature covers, each with its value."""
    own = [name for name in ("content-digest", "content-type", "content-encoding") if name in answer.headers]
    asked = ["@method", "@path", "@query", *(["content-digest"] if "content-digest" in request.headers else [])]
    member = _find_member(request.headers, "signature", _SIGNATURE, LABEL)["value"]
    return [
        ('"@status"', str(answer.status)),
        *((f'"{name}"', answer.headers[name].strip()) for name in own),
        *((f'"{name}";req', _component(request, name)) for name in asked),
        (f'"signature";req;key="{LABEL}"', f":{member}:"),
    ]


def _answer_base(lines: Sequence[tuple[str, str]], params: str) -> bytes:
    return "\n".join([*(f"{name}: {value}" for name, value in lines), f'"@signature-params": {params}']).encode()


def read_keyid(request: SignableRequest, label: str = LABEL) -> str:
    """Returns the key id that the signature claims: to find the key before `verify`. Raises `BadSignature`."""
    _, params = _input(request, label)
    keyid = _parameters(params).get("keyid")
    if not isinstance(keyid, str):
        raise BadSignature("the signature names no key")
    return keyid


def verify(
    request: SignableRequest, public_key: bytes, label: str = LABEL, required: Sequence[str] | None = None
) -> VerifiedSignature:
    """Returns the signature, once it is found good over all of `required` and the body fits its digest.

    `public_key`: 32 raw bytes. `required`: else `required_components`. The age of `created` is the caller's to judge.
    Raises `BadSignature`.
    """
    signed = verify_head(request, public_key, label)
    check_body(request, signed, required)
    return signed


def verify_head(request: SignableRequest, public_key: bytes, label: str = LABEL) -> VerifiedSignature:
    """Returns the signature, once it is found good over the components that it lists; the body is not looked at.

    So a server learns who is asking before it reads a body, which `check_body` then holds against the signature.
    `public_key`: 32 raw bytes. Raises `BadSignature`.
    """
    components, params = _input(request, label)
    parameters = _parameters(params)
    if parameters.get("alg", "ed25519") != "ed25519":
        raise BadSignature("only ed25519 signatures are taken")
    base = signature_base(request, components, params)
    signature = _decoded(_member(request, "signature", _SIGNATURE, label)["value"])
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, base.encode())
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("the signature is not this key's over this request") from error
    match parameters:
        case {"keyid": str(keyid), "created": int(created)}:
            return VerifiedSignature(keyid, created, base, signature, tuple(components))
        case _:
            raise BadSignature("the signature lacks keyid or created")


def check_body(request: SignableRequest, signed: VerifiedSignature, required: Sequence[str] | None = None) -> None:
    """Raises `BadSignature` unless `signed` covers all of `required`, and the body fits its digest.

    `required`: else `required_components`.
    """
    names = required_components(request) if required is None else required
    if missing := set(names) - set(signed.components):
        raise BadSignature(f"the signature does not cover {', '.join(sorted(missing))}")
    if "content-digest" in signed.components:
        _check_digest(request)


def _input(request: SignableRequest, label: str) -> tuple[list[str], str]:
    params = _member(request, "signature-input", _INPUT, label)["params"]
    names = params[1 : params.index(")")].replace('"', "").split()
    if len(set(names)) != len(names):
        raise BadSignature("the signature covers a component twice")
    return names, params


def _parameters(params: str) -> dict[str, int | str]:
    return {
        match["name"]: int(match["number"]) if match["number"] else match["text"]
        for match in _PARAM.finditer(params[params.index(")") + 1 :])
    }


def _member(request: SignableRequest, header: str, pattern: re.Pattern[str], label: str) -> dict[str, str]:
    """Returns the one member of a structured dictionary that carries our label."""
    return _find_member(request.headers, header, pattern, label)


def _find_member(headers: Mapping[str, str], header: str, pattern: re.Pattern[str], label: str) -> dict[str, str]:
    text = headers.get(header, "")
    if not text or len(text) > HEADER_TEXT_MAX:
        raise BadSignature(f"header {header} missing, or longer than {HEADER_TEXT_MAX} characters")
    match [member for member in pattern.finditer(text) if member["label"] == label]:
        case [member]:
            return member.groupdict()
        case _:
            raise BadSignature(f"header {header} does not hold one member {label!r} of the expected form")


def _check_digest(request: SignableRequest) -> None:
    if _digest_of(request.headers.get("content-digest", "")) != sha256(request.body).digest():
        raise BadSignature("the body does not have the sha-256 that Content-Digest states")


def _digest_of(text: str) -> bytes | None:
    """Returns the sha-256 that a Content-Digest states; None where it states none. Raises `BadSignature`."""
    digest = _DIGEST.search(text[:HEADER_TEXT_MAX])
    return None if digest is None else _decoded(digest["value"])


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise BadSignature("not readable as base64") from error
