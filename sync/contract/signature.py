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
class VerifiedSignature:
    """A signature found good: its key, its time (Unix seconds, the signer's clock) and its text, for the archive."""

    keyid: str
    created: int
    base: str
    signature: bytes


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
    components, params = _input(request, label)
    parameters = _parameters(params)
    if missing := set(required_components(request) if required is None else required) - set(components):
        raise BadSignature(f"the signature does not cover {', '.join(sorted(missing))}")
    if parameters.get("alg", "ed25519") != "ed25519":
        raise BadSignature("only ed25519 signatures are taken")
    if "content-digest" in components:
        _check_digest(request)
    base = signature_base(request, components, params)
    signature = _decoded(_member(request, "signature", _SIGNATURE, label)["value"])
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, base.encode())
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("the signature is not this key's over this request") from error
    match parameters:
        case {"keyid": str(keyid), "created": int(created)}:
            return VerifiedSignature(keyid, created, base, signature)
        case _:
            raise BadSignature("the signature lacks keyid or created")


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
    text = request.headers.get(header, "")
    if not text or len(text) > HEADER_TEXT_MAX:
        raise BadSignature(f"header {header} missing, or longer than {HEADER_TEXT_MAX} characters")
    match [member for member in pattern.finditer(text) if member["label"] == label]:
        case [member]:
            return member.groupdict()
        case _:
            raise BadSignature(f"header {header} does not hold one member {label!r} of the expected form")


def _check_digest(request: SignableRequest) -> None:
    digest = _DIGEST.search(request.headers.get("content-digest", "")[:HEADER_TEXT_MAX])
    if digest is None or _decoded(digest["value"]) != sha256(request.body).digest():
        raise BadSignature("the body does not have the sha-256 that Content-Digest states")


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise BadSignature("not readable as base64") from error
