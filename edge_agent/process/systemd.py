"""Messages to systemd about the service's state: sd_notify(3) in a few lines.

The address is a path, or a name in the abstract namespace behind an `@`. An address of another form (`vsock:` of a
virtual machine's guest) is meant for other processes than ours.
"""

import os
import socket
from collections.abc import Mapping

STATUS_CHARS_MAX = 500
SEND_TIMEOUT_S = 1.0


class SystemdNotifier:
    """Sends messages to systemd; sends nothing where systemd did not start the process.

    `environ` holds NOTIFY_SOCKET when systemd started us. Each message is one datagram; a lost one is no harm.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = ""
        if address.startswith("/"):
            self._address = address
        elif address.startswith("@"):
            self._address = "\0" + address[1:]

    def notify_ready(self, status: str) -> None:
        """Tells systemd that the service has started, and its first status line."""
        self._send(f"READY=1\nSTATUS={_single_line(status)}")

    def notify_status(self, status: str) -> None:
        """Tells systemd the line that `systemctl status` shows."""
        self._send(f"STATUS={_single_line(status)}")

    def feed_watchdog(self) -> None:
        """Tells systemd that the service is well; without this for some time systemd restarts it."""
        self._send("WATCHDOG=1")

    def notify_stopping(self) -> None:
        """Tells systemd that the service ends by its own will."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(SEND_TIMEOUT_S)
            try:
                notify.sendto(message.encode(), self._address)
            except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
                # systemd is restarting. It asks nothing of us meanwhile, and the next message finds it again.
                return


def _single_line(text: str) -> str:
    return " ".join(text.split())[:STATUS_CHARS_MAX]
