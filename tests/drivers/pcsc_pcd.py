"""pcscd with vsmartcard's virtual reader, and the card on it. Runs in a network namespace of its own: vpcd listens on
every address, and nobody else shall put cards on our reader.

    unshare -n python pcsc_pcd.py

Reads lines `plug`, `pull`, `insert ATR ANSWER` (hex), `chip ATR SHOWN UID APPLICATION NUMBER KEY`,
`classic ATR UID BLOCK CONTENT KEY`, `remove`; says `ok` after each, and `apdu HEX` for what the card
was asked.
"""

import fcntl
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drivers.simulated.proof_card import ChipCard, MemoryCard

VPCD = ("127.0.0.1", 35963)
COMMON = Path("/run/pcscd/pcscd.comm")
TRIES = 3_000  # of a hundredth of a second: a busy machine starts pcscd late
HAND_S = 0.9  # pcscd looks every 0.4 s; a hand that changes cards is slower than that
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
OFF, ON, RESET, ATR = 0, 1, 2, 4


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def connected() -> socket.socket:
    """A connection to the virtual reader, once it listens."""
    for _ in range(TRIES):
        try:
            return socket.create_connection(VPCD)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise SystemExit("vpcd does not listen: is vsmartcard-vpcd installed?")


class Card:
    """`answer`: to the question for the number. `say` answers everything else."""

    def __init__(self, atr: bytes, answer: bytes, say: Callable[[bytes], bytes] = lambda _: b"\x90\x00") -> None:
        self._atr, self._answer, self._respond = atr, answer, say
        self._line = connected()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def _serve(self) -> None:
        stream = self._line.makefile("rb")
        while len(head := stream.read(2)) == 2:
            message = stream.read(int.from_bytes(head, "big"))
            if message == bytes((ATR,)):
                self._say(self._atr)
            elif len(message) > 1:
                print("apdu", message.hex(), flush=True)
                self._say(self._answer if message[:2] == b"\xff\xca" else self._respond(message))

    def _say(self, data: bytes) -> None:
        try:
            self._line.sendall(struct.pack(">H", len(data)) + data)
        except OSError:
            return  # the reader is gone


class ReaderMemory:
    """A MIFARE Classic behind a reader that speaks PC/SC part 3: keys are loaded into the reader first."""

    def __init__(self, card: MemoryCard) -> None:
        self._card, self._key = card, b""

    def __call__(self, apdu: bytes) -> bytes:
        match apdu[:2]:
            case b"\xff\x82":
                self._key = apdu[5:]
                return b"\x90\x00"
            case b"\xff\x86":
                return b"\x90\x00" if self._card.log_in(apdu[7], self._key) else b"\x63\x00"
            case b"\xff\xb0":
                content = self._card.read(apdu[3])
                return content + b"\x90\x00" if content else b"\x63\x00"
            case _:
                return b"\x6d\x00"


class Desk:
    def __init__(self) -> None:
        self._daemon: subprocess.Popen[bytes] | None = None
        self._card: Card | None = None

    def plug(self) -> None:
        command = ["pcscd", "--foreground"]
        if "--disable-polkit" in subprocess.run(["pcscd", "--help"], capture_output=True, text=True, check=True).stdout:
            command.append("--disable-polkit")  # pcscd 2 refuses everybody, root too, where no polkitd answers
        self._daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connected().close()
        for _ in range(TRIES):
            if COMMON.exists():
                return
            time.sleep(0.01)
        raise SystemExit("pcscd does not come up")

    def pull(self) -> None:
        self.remove()
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()
        self._daemon = None

    def insert(self, atr: str, answer: str, say: Callable[[bytes], bytes] = lambda _: b"\x90\x00") -> None:
        if self._card is not None:
            self.remove()
            time.sleep(HAND_S)
        self._card = Card(bytes.fromhex(atr), bytes.fromhex(answer), say)

    def remove(self) -> None:
        if self._card is not None:
            self._card.leave()
        self._card = None


def main() -> None:
    loopback_up()
    desk = Desk()
    try:
        for line in sys.stdin:
            match line.split():
                case ["plug"]:
                    desk.plug()
                case ["pull"]:
                    desk.pull()
                case ["insert", atr, answer]:
                    desk.insert(atr, answer)
                case ["chip", atr, shown, uid, application, number, key]:
                    chip = ChipCard(bytes.fromhex(uid), bytes.fromhex(application), {int(number): bytes.fromhex(key)})
                    desk.insert(atr, shown + "9000", chip.transceive)
                case ["classic", atr, uid, block, content, key]:
                    memory = MemoryCard(bytes.fromhex(uid), {int(block): bytes.fromhex(content)}, bytes.fromhex(key))
                    desk.insert(atr, uid + "9000", ReaderMemory(memory))
                case ["remove"]:
                    desk.remove()
                case _:
                    raise SystemExit(f"unknown: {line}")
            print("ok", flush=True)
    finally:
        desk.pull()


if __name__ == "__main__":
    main()
