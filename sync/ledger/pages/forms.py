"""Forms as a browser sends them: fields of text, and files. Bounded before they are read."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FORM_BYTES_MAX: Final = 400 * 1024  # a signature with its certificates, as text
UPLOAD_BYTES_MAX: Final = 8 * 1024 * 1024  # a school's month by child and day is a few hundred kilobytes
UPLOAD_FILES_MAX: Final = 2  # the payer's sheet, and the key of its numbers
FORM_FIELDS_MAX: Final = 5_000
FILE_NAME_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form. `name`: as the browser gives it, without folders."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PageForm:
    """The fields and files that a browser has sent."""

    fields: Mapping[str, Sequence[str]]
    files: Mapping[str, SentFile] = field(default_factory=dict)

    def field(self, name: str) -> str:
        """Returns the value of a field; empty where it is missing."""
        return self.all(name)[-1] if self.all(name) else ""

    def all(self, name: str) -> Sequence[str]:
        """Returns all values of a field, in the order of the page."""
        return self.fields.get(name, ())

    def file(self, name: str) -> SentFile | None:
        """Returns a file; None where none was chosen."""
        return self.files.get(name)


async def read_form(request: Request) -> PageForm:
    """Returns a form without files. Raises HTTPException for one that is too large or no form."""
    _check_type(request, "application/x-www-form-urlencoded")
    body = b"".join([chunk async for chunk in _bounded(request, FORM_BYTES_MAX)])
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError as error:
        raise HTTPException(413) from error
    return PageForm({name: [value.replace("\0", "") for value in values] for name, values in fields.items()})


async def read_upload(request: Request) -> PageForm:
    """Returns a form with files; nothing of it is written to a disk. Raises HTTPException."""
    _check_type(request, "multipart/form-data")
    parser = MultiPartParser(
        request.headers, _bounded(request, UPLOAD_BYTES_MAX), max_files=UPLOAD_FILES_MAX, max_fields=FORM_FIELDS_MAX
    )
    parser.spool_max_size = UPLOAD_BYTES_MAX
    try:
        sent = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError: no boundary is named
        raise HTTPException(400) from error
    fields: dict[str, list[str]] = {}
    files: dict[str, SentFile] = {}
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            shown = (value.filename or "").replace("\\", "/").rpartition("/")[2].replace("\0", "")
            content = await value.read()
            if shown or content:
                files[name] = SentFile(shown[-FILE_NAME_CHARS_MAX:], content)
        else:
            fields.setdefault(name, []).append(value.replace("\0", ""))
    await sent.close()
    return PageForm(fields, files)


def _check_type(request: Request, wanted: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip() != wanted:
        raise HTTPException(415)


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Yields the body as it comes. Raises HTTPException once there are more than `most` bytes."""
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count > most:
            raise HTTPException(413)
        yield chunk
