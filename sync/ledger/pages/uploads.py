"""A file that a reader hands in on a page, out of its form: the other count, and the key of its numbers."""

from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException

from sync.errors import Wording
from sync.ledger.billing.count_uploads import HandedCount
from sync.ledger.errors import NotUnderstood
from sync.ledger.pages.access import PageReader
from sync.ledger.pages.forms import PageForm


def read_handed_count(form: PageForm, reader: PageReader, zone: ZoneInfo) -> HandedCount:
    """Returns the count in a form. Raises NotUnderstood where no file was chosen."""
    sent, key = form.file("file"), form.file("key")
    if sent is None or not sent.content:
        raise NotUnderstood("no file, or an empty one", "choose the payer's file", Wording("refusal.no_file"))
    return HandedCount(
        file=sent.name, content=sent.content, map_id=form.field("map"), key=key.content.strip() if key else b"",
        counted_at=_read_time(form.field("counted_at"), zone), by=reader.acting_name, role=reader.role,
    )  # fmt: skip


def _read_time(text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(400) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
