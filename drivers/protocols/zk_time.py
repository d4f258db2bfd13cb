"""Times as ZKTeco terminals pack them: seconds since 2000 in years of twelve months that all have 31 days."""

from datetime import UTC, datetime, timedelta


def pack_time(local: datetime) -> int:
    """Returns the number for a local time; its zone is not looked at."""
    days = ((local.year - 2000) * 12 + local.month - 1) * 31 + local.day - 1
    return ((days * 24 + local.hour) * 60 + local.minute) * 60 + local.second


def unpack_time(packed: int) -> str:
    """Returns the local time behind a number as terminals write it, `2026-11-20 09:40:15`. Raises ValueError for a day
    that no month has, and for a year after 9999.
    """
    days, seconds = divmod(packed, 86_400)
    months, day = divmod(days, 31)
    midnight = datetime(2000 + months // 12, months % 12 + 1, day + 1, tzinfo=UTC).replace(tzinfo=None)
    return (midnight + timedelta(seconds=seconds)).isoformat(" ")
