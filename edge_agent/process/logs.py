"""Logging: one line for each thing that matters, its level by who must act, device bytes only at TRAFFIC.

Journald gets entries with fields, and shows them in local time. Everywhere else a line begins with the local time and
its offset, because people read it beside the clock on the wall.

TRAFFIC lies below DEBUG and is off in production, because the bytes of a card reader are credentials. Nothing else that
is logged holds one: readings and credentials keep their values out of `repr`.
"""

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Final

from edge_agent.process.journald import JournaldHandler, is_journald_listening, priority

TRAFFIC = 5
AGENT_IDENTIFIER: Final = "edge-agent"
LEDGER_IDENTIFIER: Final = "edge-agent-ledger"


class _PriorityFormatter(logging.Formatter):
    """Puts `<N>` in front of each line of a message: systemd reads it as the line's priority (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(f"{prefix}{line}" for line in super().format(record).splitlines())


class _LocalTimeFormatter(logging.Formatter):
    """Writes times as `2026-11-22 12:41:07.123+05:00`."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")


def set_up_logging(level: str, identifier: str = AGENT_IDENTIFIER) -> None:
    """Sends all logging to journald where it listens, under this identifier, and else to standard error."""
    logging.addLevelName(TRAFFIC, "TRAFFIC")
    lines = logging.StreamHandler(sys.stderr)
    handler: logging.Handler = lines
    if is_journald_listening():
        lines.setFormatter(_PriorityFormatter("%(name)s: %(message)s"))
        handler = JournaldHandler(lines, identifier)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        lines.setFormatter(_LocalTimeFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
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
