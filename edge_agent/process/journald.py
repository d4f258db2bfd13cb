"""Log entries with fields for journald, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).

    KEY=value LF                                     where the value has no line feed
    KEY LF, length as 64 bits little endian, value LF      otherwise; one datagram holds the fields of one entry

An entry that is too long for a datagram travels as a sealed memory file. Where journald takes no entry, as while
it is started again, the entry goes the way of a line on standard error.
"""

import errno
import fcntl
import logging
import os
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from typing import Final

SOCKET_PATH: Final = "/run/systemd/journal/socket"
FIELDS: Final = "journal_fields"  # of a log record: more fields of its entry, by their names

_PRIORITIES: Final = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_PRIORITY_DEBUG: Final = 7
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def priority(level: int) -> int:
    """Returns syslog's priority for a level of Python's logging."""
    return _PRIORITIES.get(level, _PRIORITY_DEBUG)


def is_journald_listening(environ: Mapping[str, str] = os.environ) -> bool:
    """Returns True where standard error goes to journald. A child that has it from its parent knows by the inode."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # no standard error, or a replaced one
        return False
    return (device, inode) == (str(stream.st_dev), str(stream.st_ino))


def encode_entry(fields: Mapping[str, str]) -> bytes:
    """Returns the datagram of one entry."""
    encoded = bytearray()
    for key, value in fields.items():
        content = value.encode("utf-8", "backslashreplace")
        if b"\n" in content:
            encoded += key.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
        else:
            encoded += key.encode() + b"=" + content + b"\n"
    return bytes(encoded)


class JournaldHandler(logging.Handler):
    """Sends each record as one entry. `fallback` takes those that journald does not take."""

    def __init__(self, fallback: logging.Handler, identifier: str, path: str = SOCKET_PATH) -> None:
        super().__init__()
        self._fallback = fallback
        self._identifier = identifier
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        entry = encode_entry(self._fields(record))
        try:
            self._send(entry)
        except OSError:
            self._fallback.handle(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._path)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_as_file(entry)

    def _send_as_file(self, entry: bytes) -> None:
        descriptor = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(descriptor, "wb") as file:
            file.write(entry)
            file.flush()
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))]
            self._socket.sendmsg([b""], rights, 0, self._path)

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(priority(record.levelno)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            "TID": str(threading.get_native_id()),
            "THREAD_NAME": record.threadName or "",
        }
        more: Mapping[str, object] = getattr(record, FIELDS, {})
        return fields | {key: str(value) for key, value in more.items()}
