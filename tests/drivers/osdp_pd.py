"""libosdp's peripheral device in a process of its own: a real OSDP reader at the end of a terminal.

    python osdp_pd.py TERMINAL KEY_FILE|- ADDRESS          (without a key: in install mode)

Says `ready`, then each command that it is given as a line of JSON. Reads lines `BITS HEX`: a card is put down;
`keys HEX`: keys are pressed.
"""

import json
import os
import sys
import threading
import tty
from collections import deque
from pathlib import Path
from typing import Any

import osdp

from drivers.protocols.osdp import Decoder, Packet


class Terminal(osdp.Channel):  # type: ignore[misc]  # libosdp has no types
    def __init__(self, path: str) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._fd)
        self._frames = Decoder()
        self._heard: deque[bytes] = deque()

    def read(self, max_bytes: int) -> bytes:
        """Frame by frame, as a UART would give them: on a line with others libosdp drops what it takes in at once."""
        try:
            heard = self._frames.feed(os.read(self._fd, 4096))
        except BlockingIOError:
            heard = []
        self._heard.extend(packet.raw for packet in heard if isinstance(packet, Packet))
        return self._heard.popleft() if self._heard else b""

    def write(self, buf: bytes) -> int:
        try:
            return os.write(self._fd, buf)
        except BlockingIOError:
            return len(buf)

    def flush(self) -> None:
        pass


class Reader(osdp.PeripheralDevice):  # type: ignore[misc]
    @staticmethod
    def refresh(ended: threading.Event, lock: threading.Lock, context: Any) -> None:
        """libosdp's own waits 20 ms between two frames, which is more than a line with several readers leaves."""
        while not ended.wait(0.002):
            with lock:
                context.refresh()


def told(command: dict[str, Any]) -> tuple[int, None]:
    shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in command.items()}
    print(json.dumps(shown), flush=True)
    return 0, None


def main(terminal: str, key: str, address: str) -> None:
    can = osdp.Capability
    abilities = [can.LEDControl, can.AudibleControl, can.TextOutput, can.CommunicationSecurity, can.CardDataFormat]
    scbk = None if key == "-" else bytes.fromhex(Path(key).read_text("ascii"))
    reader = Reader(
        osdp.PDInfo(
            int(address),
            Terminal(terminal),
            scbk=scbk,
            flags=[osdp.LibFlag.EnforceSecure if scbk else osdp.LibFlag.InstallMode],
        ),
        osdp.PDCapabilities([(ability, 1, 1) for ability in abilities]),
        log_level=osdp.LogLevel.Emergency,
        command_handler=told,
    )
    reader.start()
    print("ready", flush=True)
    for line in sys.stdin:
        bits, data = line.split()
        if bits == "keys":
            reader.submit_event({"event": osdp.Event.KeyPress, "reader_no": 0, "data": bytes.fromhex(data)})
            continue
        card = {"event": osdp.Event.CardRead, "reader_no": 0, "direction": 0, "format": osdp.CardFormat.Wiegand}
        reader.submit_event(card | {"length": int(bits), "data": bytes.fromhex(data)})
    reader.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
