"""Logging for journald: one line an event, the priority in front, device bytes only at TRAFFIC.

TRAFFIC lies below DEBUG and is off in production: the bytes of a card reader are credentials. Nothing else that is
logged holds one, since readings and credentials keep their values out of `repr`.
"""

import logging
import os
import sys
from collections.abc import Callable

TRAFFIC = 5

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


class _JournalFormatter(logging.Formatter):
    """systemd reads `<N>` at a line's start as its priority (sd-daemon(3)), so every line of a message gets one."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def set_up(level: str, *, journald: bool | None = None) -> None:
    """Send everything to standard error; with priorities where journald listens (JOURNAL_STREAM is set)."""
    logging.addLevelName(TRAFFIC, "TRAFFIC")
    handler = logging.StreamHandler(sys.stderr)
    if journald if journald is not None else "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=TRAFFIC if level == "TRAFFIC" else level, handlers=[handler], force=True)
    # httpx tells every request at INFO: at one a second that drowns what a technician looks for.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.INFO)


def tap(reader: str) -> Callable[[str, bytes], None]:
    """A driver's tap that writes SEND and RECV lines at TRAFFIC."""
    log = logging.getLogger(f"drivers.{reader}")

    def write(direction: str, data: bytes) -> None:
        if log.isEnabledFor(TRAFFIC):
            log.log(TRAFFIC, "%s %s", direction, data.hex())

    return write
