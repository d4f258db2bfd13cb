import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.http import Exchange, HttpRequest
from drivers.protocols.multipart import JSON_PARTS_END, PART_HEAD_BYTES_MAX, JsonPartSieve, boundary_of
from tests.drivers.protocols import cutting

EVENT = json.dumps({"eventType": "AccessControllerEvent"}).encode()
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8 + b"\r\n--MIME\r\n"


def part(head: str, content: bytes, end: str = "\r\n") -> bytes:
    lines = head.split("|")
    return f"--MIME_boundary{end}{end.join(lines)}{end}{end}".encode() + content + end.encode()


EVENT_HEAD = 'Content-Disposition: form-data; name="event_log"|Content-Type: application/json|Content-Length: 7'
PICTURE_HEAD = 'Content-Disposition: form-data; name="Picture"; filename="Picture.jpg"|Content-Type: image/jpeg'
BODY = part(EVENT_HEAD, EVENT) + part(PICTURE_HEAD, PICTURE) + b"--MIME_boundary--\r\n"


def kept(body: bytes, places: list[int] | None = None) -> bytes:
    sieve = JsonPartSieve(b"MIME_boundary")
    return b"".join(sieve.feed(chunk) for chunk in cutting.cut(body, places or []))


@given(places=cutting.places)
def test_the_json_is_kept_and_the_picture_let_go_for_every_cut(places: list[int]) -> None:
    assert kept(BODY, places) == EVENT + JSON_PARTS_END


@pytest.mark.parametrize(
    "body",
    [
        part(EVENT_HEAD, EVENT, end="\n") + b"--MIME_boundary--",
        b"preamble\r\n" + BODY,
        part(PICTURE_HEAD, PICTURE) + part(EVENT_HEAD, EVENT) + b"--MIME_boundary--",
        part('content-disposition: form-data; name="AccessControllerEvent"', EVENT) + b"--MIME_boundary--",
        part("X: " + "y" * PART_HEAD_BYTES_MAX, EVENT) + BODY,
        BODY + part(EVENT_HEAD, b"{}"),  # behind the end there is nothing more
    ],
    ids=["lf", "preamble", "picture first", "untyped", "long head", "after the end"],
)
def test_the_forms_of_a_body(body: bytes) -> None:
    assert kept(body) == EVENT + JSON_PARTS_END


def test_a_json_part_that_never_ends_is_kept_as_far_as_it_came() -> None:
    assert EVENT.startswith(kept(part(EVENT_HEAD, EVENT)[:-10]))


def test_a_file_of_text_is_no_event() -> None:
    assert (
        kept(part('Content-Disposition: form-data; name="a"; filename="b.txt"', b"secret") + b"--MIME_boundary--")
        == b""
    )


@given(data=st.binary(max_size=200), places=cutting.places)
def test_any_bytes_are_the_same_for_every_cut_and_little_is_held(data: bytes, places: list[int]) -> None:
    body = BODY[:70] + data + BODY
    assert kept(body, places) == kept(body)


def test_a_picture_of_megabytes_is_never_held() -> None:
    sieve = JsonPartSieve(b"MIME_boundary")
    sieve.feed(part(PICTURE_HEAD, b""))
    for _ in range(1000):
        assert sieve.feed(b"\xff" * 4096) == b""
        assert len(sieve._held) < 100


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=MIME_boundary", b"MIME_boundary"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("application/json", b""),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=" + "x" * 71, b""),
        ("", b""),
    ],
)
def test_the_boundary_of_a_content_type(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


def exchange() -> Exchange:
    def sieve(content_type: str) -> JsonPartSieve | None:
        boundary = boundary_of(content_type)
        return JsonPartSieve(boundary) if boundary else None

    return Exchange(body_bytes_max=1024, unwanted=lambda _: False, sieve=sieve)


def head(length: int) -> bytes:
    kind = "Content-Type: multipart/form-data; boundary=MIME_boundary"
    return f"POST /a HTTP/1.1\r\nHost: k\r\n{kind}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_request_with_a_large_picture_arrives_as_its_event() -> None:
    body = part(EVENT_HEAD, EVENT) + part(PICTURE_HEAD, PICTURE * 500) + b"--MIME_boundary--\r\n"
    [request] = exchange().feed(head(len(body)) + body)
    assert isinstance(request, HttpRequest)
    assert request.body == EVENT + JSON_PARTS_END
    assert request.headers["content-type"].startswith("multipart/")


def test_json_that_is_too_large_is_refused_whatever_surrounds_it() -> None:
    body = part(EVENT_HEAD, b"1" * 2000)
    assert exchange().feed(head(len(body)) + body) == [Fault("a request that is too large")]
