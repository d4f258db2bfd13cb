"""Logging for journald: one line an event, the priority in front, device bytes only at TRAFFIC.

TRAFFIC lies below DEBUG and is off in production, because the bytes of a card reader are credentials. Nothing else that
is logged holds one: readings and credentials keep their values out of `repr`.
"""

import logging
import os
import sys
from collections.abc import Callable

TRAFFIC = 5

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_PRIORITY_DEBUG = 7


class _JournalFormatter(logging.Formatter):
    """Puts `<N>` in front of each line of a message: systemd reads it as the line's priority (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, _PRIORITY_DEBUG)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def set_up_logging(level: str, *, journald: bool | None = None) -> None:
    """Sends all logging to standard error, with priorities where journald listens (JOURNAL_STREAM is set)."""
    logging.addLevelName(TRAFFIC, "TRAFFIC")
    handler = logging.StreamHandler(sys.stderr)
    if journald if journald is not None else "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=TRAFFIC if level == "TRAFFIC" else level, handlers=[handler], force=True)
    # httpx logs every request at INFO: at one a second that drowns what a technician looks for.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.INFO)


def build_traffic_logger(device: str) -> Callable[[str, bytes], None]:
    """Returns a tap for a driver that writes SEND and RECV lines at TRAFFIC."""
    log = logging.getLogger(f"drivers.{device}")

    def write(direction: str, chunk: bytes) -> None:
        if log.isEnabledFor(TRAFFIC):
            log.log(TRAFFIC, "%s %s", direction, chunk.hex())

    return write
