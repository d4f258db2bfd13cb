"""Telling systemd how we are: sd_notify(3) in a few lines; silent where nobody listens.

The address is a path, or a name in the abstract namespace behind an `@`; what begins otherwise (`vsock:` of a virtual
machine's guest) is meant for other processes than ours.
"""

import os
import socket
from collections.abc import Mapping

STATUS_CHARS_MAX = 500


class Notifier:
    """`environ` holds NOTIFY_SOCKET when systemd started us. Each message is one datagram; a lost one is no harm."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = ""
        if address.startswith("/"):
            self._address = address
        elif address.startswith("@"):
            self._address = "\0" + address[1:]

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_line(status)}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(1.0)
            try:
                notify.sendto(message.encode(), self._address)
            except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
                # systemd is restarting: it asks nothing of us meanwhile, and the next message finds it again.
                return


def _line(text: str) -> str:
    return " ".join(text.split())[:STATUS_CHARS_MAX]
