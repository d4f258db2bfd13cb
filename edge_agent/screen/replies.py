"""Bodies of the staff's requests and replies, in JSON. A reply other than 200 holds `why`, a key of the catalogues."""

from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

RequestBody = TypeVar("RequestBody", bound=msgspec.Struct)


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request that says everything by its address."""


async def decode_body(request: Request, shape: type[RequestBody]) -> RequestBody | None:
    """Returns the request's body, or None when it does not have this shape."""
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def json_reply(body: object, status: int = 200) -> Response:
    """Returns a reply with this body as JSON."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def refuse(why: str, status: int) -> Response:
    """Returns a reply that says why nothing was done."""
    return json_reply({"why": why}, status)
