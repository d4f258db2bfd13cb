"""Some RS-485 adapters hand back every byte that we send. This takes the echo out of what is received.

An answer may begin with the same bytes as the question, so bytes are let go only once they are the whole of what was
sent last, and are handed on as soon as they differ from it.
"""

from drivers.base import Transport


class WithoutEcho:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._sent = b""  # what may still come back
        self._held = b""  # received, and so far the beginning of `_sent`

    def open(self) -> None:
        self._transport.open()
        self._sent = self._held = b""

    def read(self, timeout_s: float) -> bytes:
        return self._sifted(self._transport.read(timeout_s))

    def write(self, data: bytes) -> None:
        self._sent = data
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def _sifted(self, data: bytes) -> bytes:
        received = self._held + data
        self._held = b""
        if not self._sent or not received:
            return received
        if received.startswith(self._sent):
            received, self._sent = received[len(self._sent) :], b""
        elif self._sent.startswith(received):
            self._held, received = received, b""
        return received
