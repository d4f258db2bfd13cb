"""Forms as a browser sends them: fields of text, and small files. Bounded before they are read."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM_BYTES_MAX: Final = 400 * 1024  # a signature with its certificates, as text
FORM_FIELDS_MAX: Final = 5_000

PageForm = Mapping[str, list[str]]


async def read_form(request: Request) -> PageForm:
    """Returns the fields of a form. Raises HTTPException for one that is too large or no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b"".join([chunk async for chunk in _bounded(request, FORM_BYTES_MAX)])
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError as error:
        raise HTTPException(413) from error
    return {name: [value.replace("\0", "") for value in values] for name, values in fields.items()}


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Yields the body as it comes. Raises HTTPException once there are more than `most` bytes."""
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count > most:
            raise HTTPException(413)
        yield chunk


def form_field(form: PageForm, name: str) -> str:
    """Returns the value of a field; empty where it is missing."""
    return form.get(name, [""])[-1]
