from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from sync.contract import signature
from sync.contract.signature import BadSignature, SignableRequest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
PLAIN = SignableRequest(
    "POST",
    "/v1/devices/k1/epochs/00000000000000aa/batches",
    "",
    {"content-type": "application/x-ndjson", "content-encoding": "zstd"},
    b"body",
)


def signed(request: SignableRequest = PLAIN, keyid: str = "k1") -> SignableRequest:
    return replace(request, headers={**request.headers, **signature.sign(request, KEY, keyid, 1_795_322_400)})


# RFC 9421, appendix B.1.4 (key), B.2 (request) and B.2.6 (signature).
RFC_KEY = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
RFC_COMPONENTS = ("date", "@method", "@path", "@authority", "content-type", "content-length")
RFC_PARAMS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
RFC_BASE = """"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": """


def test_the_example_of_the_rfc() -> None:
    key = load_pem_private_key(RFC_KEY, None)
    assert isinstance(key, Ed25519PrivateKey)
    request = SignableRequest(
        "POST",
        "/foo",
        "param=Value&Pet=dog",
        {
            "date": "Tue, 20 Apr 2021 02:07:55 GMT",
            "content-type": "application/json",
            "content-length": "18",
            "signature-input": f"sig-b26={RFC_PARAMS}",
            "signature": f"sig-b26=:{RFC_SIGNATURE}:",
        },
        b'{"hello": "world"}',
        "example.com",
    )
    assert signature.signature_base(request, RFC_COMPONENTS, RFC_PARAMS) == RFC_BASE + RFC_PARAMS
    found = signature.verify(request, key.public_key().public_bytes_raw(), "sig-b26", required=RFC_COMPONENTS)
    assert (found.keyid, found.created) == ("test-key-ed25519", 1_618_884_473)


def test_the_digest_of_rfc_9530() -> None:
    """Appendix B.2 of RFC 9530: a JSON body with its newline."""
    expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert signature.content_digest(b'{"hello": "world"}\n') == expected


def test_signed_and_found_good() -> None:
    found = signature.verify(signed(), PUBLIC)
    assert (found.keyid, found.created) == ("k1", 1_795_322_400)
    assert signature.read_keyid(signed()) == "k1"
    assert '"content-encoding": zstd' in found.base


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/v1/devices/k2/epochs/00000000000000aa/batches"},
        {"query": "since=1"},
        {"body": b"other"},
        {"body": b""},
    ],
)
def test_what_is_covered_cannot_be_changed(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        signature.verify(replace(signed(), **change), PUBLIC)  # type: ignore[arg-type]  # one field at a time


@pytest.mark.parametrize(
    "header", ["content-type", "content-encoding", "content-digest", "signature", "signature-input"]
)
def test_covered_headers_cannot_be_changed_or_dropped(header: str) -> None:
    request = signed()
    for value in ("", "x", request.headers[header][:-2], request.headers[header] + ", " + request.headers[header]):
        with pytest.raises(BadSignature):
            signature.verify(replace(request, headers={**request.headers, header: value}), PUBLIC)
    without = {name: value for name, value in request.headers.items() if name != header}
    with pytest.raises(BadSignature):
        signature.verify(replace(request, headers=without), PUBLIC)


def test_a_header_added_on_the_way_that_changes_the_meaning_must_be_covered() -> None:
    bare = signed(replace(PLAIN, headers={"content-type": "application/x-ndjson"}))
    with pytest.raises(BadSignature, match="content-encoding"):
        signature.verify(replace(bare, headers={**bare.headers, "content-encoding": "gzip"}), PUBLIC)


def test_a_proxy_may_add_its_own_signature() -> None:
    request = signed()
    for name, other in (("signature-input", 'proxy=("@method");created=1;keyid="a, b"'), ("signature", "proxy=:AAAA:")):
        for joined in (f"{other}, {request.headers[name]}", f"{request.headers[name]},{other}"):
            assert signature.verify(replace(request, headers={**request.headers, name: joined}), PUBLIC).keyid == "k1"


def test_too_little_covered_is_not_enough() -> None:
    names = ["@method", "@path"]
    params = '("@method" "@path");created=1;keyid="k1";alg="ed25519"'
    raw = KEY.sign(signature.signature_base(PLAIN, names, params).encode())
    headers = {"signature-input": f"cnt={params}", "signature": f"cnt=:{b64encode(raw).decode()}:"}
    with pytest.raises(BadSignature, match="@query, content-digest"):
        signature.verify(replace(PLAIN, headers={**PLAIN.headers, **headers}), PUBLIC)


def test_another_key_is_noticed() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    with pytest.raises(BadSignature):
        signature.verify(signed(), other)


@given(st.text(max_size=200), st.text(max_size=200))
def test_rubbish_in_the_headers_is_a_bad_signature(given_input: str, given_signature: str) -> None:
    headers = {**PLAIN.headers, "signature-input": given_input, "signature": given_signature}
    with pytest.raises(BadSignature):
        signature.verify(replace(PLAIN, headers=headers), PUBLIC)


def test_long_headers_are_not_searched() -> None:
    request = signed()
    padded = request.headers["signature-input"] + ", " + "a" * 100_000
    with pytest.raises(BadSignature, match="longer"):
        signature.verify(replace(request, headers={**request.headers, "signature-input": padded}), PUBLIC)
