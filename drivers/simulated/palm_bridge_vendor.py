"""The vendor's side of `palm-bridge`, without a scanner: a start for integrators, and a peer for tests.

    python -m drivers.simulated.palm_bridge_vendor /run/edge-agent/palm.sock     then type a number and Enter per palm

Does not imitate: an SDK, a sensor, the time that a match takes, palms that are not recognised.
"""

import argparse
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from drivers.errors import DeviceGone
from drivers.protocols import bridge
from drivers.transports.base import READ_BYTES_MAX, device_gone_on_error

VENDOR_WAIT_S = 5.0


class PalmVendor:
    """A connection to a running agent. Raises DeviceGone when nobody listens or the agent hangs up."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(VENDOR_WAIT_S)
        self._decoder = bridge.Decoder()
        try:
            with device_gone_on_error(
                f"no agent listens on {path}: start it first, with a palm-bridge among its readers"
            ):
                self._socket.connect(str(path))
        except DeviceGone:
            self._socket.close()
            raise

    def hello(self, name: str = "simulated", api: int = 1) -> None:
        self.say("hello", {"name": name, "version": "1", "api": api})

    def match(self, subject: str, score: int = 9_000, *, hand: str = "right", live: bool = True) -> None:
        self.say("match", {"subject": subject, "score": score, "hand": hand, "live": live})

    def unplugged(self) -> None:
        self.say("gone")

    def say(self, type: str, data: Mapping[str, object] | None = None, payload: bytes = b"") -> None:  # noqa: A002
        self.send(bridge.encode(type, data, payload))

    def send(self, data: bytes) -> None:
        with device_gone_on_error("the agent hung up"):
            self._socket.sendall(data)

    def hear(self) -> list[bridge.Event]:
        """Returns the agent's next messages, and waits for them at most WAIT_S."""
        with device_gone_on_error("the agent says nothing"):
            return list(self._decoder.feed(self._socket.recv(READ_BYTES_MAX)))

    def close(self) -> None:
        self._socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Play a vendor's palm process: one number a line is one palm.")
    parser.add_argument("socket", type=Path)
    try:
        vendor = PalmVendor(parser.parse_args().socket)
    except DeviceGone as error:
        parser.exit(1, f"{error}\n")
    vendor.hello()
    for line in sys.stdin:
        if line.strip():
            vendor.match(line.strip())
    vendor.close()


if __name__ == "__main__":
    main()
