"""A PN532 at the far end of a serial cable: the chip's side of the conversation, for hosts of any make.

`Chip` is pure: bytes from the host in, bytes to the host out. `Pn532Peer` puts it on a pseudo-terminal behind a stable
name and answers from a thread of its own, as the chip would.

Does not imitate: the time that commands take, the field and its retries, two cards at once, writing of memory, FeliCa
and type B, target mode. A command that it does not know gets the chip's own error frame.
"""

import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from drivers.protocols import pn532
from drivers.protocols.fault import Fault
from drivers.simulated.card_peer import CardPeer
from drivers.simulated.proof_card import ChipCard, MemoryCard
from drivers.transports.base import READ_BYTES_MAX

ASKED_MAX = 1_000
_SENS_RES = {4: 0x0004, 7: 0x0044, 10: 0x0084}
_EMPTY_ANSWER = frozenset({0x08, 0x10, 0x12, 0x14, 0x32})  # WriteRegister, baud rate, parameters, SAM and RF set-up
_WITH_STATUS = frozenset({0x16, 0x44, 0x52, 0x54})  # PowerDown, InDeselect, InRelease, InSelect: 00 is well


@dataclass(frozen=True, slots=True)
class Habits:
    """The behaviour of this chip beyond the manual."""

    lost_after_power_up: int = 0  # commands that it misses before it is awake
    never_wakes: bool = False  # it stays deaf after PowerDown until its power is cut
    piece_bytes: int = 0  # answers leave in writes of this size; 0: ACK and answer in one


class Chip:
    """The chip itself. `card` is the UID in the field, if any; `ats` is its answer to select, if it has one."""

    def __init__(self, habits: Habits | None = None) -> None:
        self._decoder = pn532.Decoder()
        habits = habits or Habits()
        self._to_lose, self._never_wakes = habits.lost_after_power_up, habits.never_wakes
        self.card = b""
        self.sel_res = 0x08
        self.ats = b""
        self.chip_card: ChipCard | MemoryCard | None = None  # what answers InDataExchange
        self.asleep = False
        self.commands: list[int] = []  # the commands that were answered, the last ASKED_MAX of them

    def receive(self, data: bytes) -> bytes:
        return b"".join(self._answers(data))

    def _answers(self, data: bytes) -> Iterator[bytes]:
        for event in self._decoder.feed(data):
            match event:
                case pn532.Pn532Frame(sender=pn532.HOST, body=body):
                    if self.asleep and self._never_wakes:
                        return
                    if self._to_lose:
                        self._to_lose -= 1
                        continue
                    self.asleep = False
                    del self.commands[:-ASKED_MAX]
                    self.commands.append(body[0])
                    yield pn532.ACK + self._respond(body[0], body[1:])
                    self.asleep = body[0] == pn532.Command.POWER_DOWN
                case Fault(what="a checksum is wrong"):
                    yield pn532.NACK
                case _:
                    pass  # an ACK gives up what is under way, and nothing ever is

    def _respond(self, command: int, data: bytes) -> bytes:
        match command:
            case 0x00:  # Diagnose: sends back the code and the parameters that came
                body = data
            case 0x02:
                body = bytes.fromhex("32010607")
            case 0x04:  # GetGeneralStatus: no error, no field, no targets, SAM normal
                body = bytes(4)
            case 0x06:  # ReadRegister: as many values as addresses
                body = bytes(len(data) // 2)
            case 0x4A:
                body = self._in_list(data)
            case 0x40:
                body = self._exchange(data[1:])
            case _ if command in _EMPTY_ANSWER:
                body = b""
            case _ if command in _WITH_STATUS:
                body = b"\x00"
            case _:
                return pn532.SYNTAX_ERROR
        return pn532.encode(pn532.CHIP, bytes((command + 1,)) + body)

    def _in_list(self, data: bytes) -> bytes:
        wanted = data[1:2]  # 00: ISO 14443 A at 106 kbit/s
        if not self.card or wanted != b"\x00" or not self._selected_by(data[2:]):
            return b"\x00"
        head = bytes((1, 1)) + _SENS_RES[len(self.card)].to_bytes(2, "big") + bytes((self.sel_res, len(self.card)))
        return head + self.card + (bytes((len(self.ats) + 1,)) + self.ats if self.ats else b"")

    def _exchange(self, data: bytes) -> bytes:
        """InDataExchange: a status, 00 or 01 for a card that does not answer, 14 for a wrong key of a sector."""
        match self.chip_card:
            case ChipCard() as chip:
                return b"\x00" + chip.transceive(data)
            case MemoryCard() as memory if data[0] in (0x60, 0x61):
                return b"\x00" if memory.log_in(data[1], data[2:8]) else b"\x14"
            case MemoryCard() as memory if data[0] == 0x30:
                content = memory.read(data[1])
                return b"\x00" + content if content else b"\x01"
            case _:
                return b"\x01"

    def _selected_by(self, initiator: bytes) -> bool:
        """Tells if a command's number selects the card. Hosts may ask for one card; long numbers have the cascade tag
        88 in between.
        """
        return not initiator or initiator.replace(b"\x88", b"") == self.card.replace(b"\x88", b"")


class Pn532Peer:
    """A board on a pseudo-terminal. `port` is what goes into the settings; plugged in from the start."""

    def __init__(self, port: Path, habits: Habits | None = None) -> None:
        self._line = CardPeer(port)
        self.port = port
        self._habits = habits or Habits()
        self._thread: threading.Thread | None = None
        self._chip = threading.Lock()  # the thread answers, the holder puts cards down
        self._power_up()

    def present(
        self, uid: bytes, *, sel_res: int = 0x08, ats: bytes = b"", card: ChipCard | MemoryCard | None = None
    ) -> None:
        """Puts a card down; it stays until `remove`, also over an unplug. `card` answers for it beyond its number."""
        with self._chip:
            self.chip.card, self.chip.sel_res, self.chip.ats = uid, sel_res, ats
            self.chip.chip_card = card

    def remove(self) -> None:
        with self._chip:
            self.chip.card = b""

    def noise(self, data: bytes = b"\xff\xfe\xaa") -> None:
        self._line.send(data)

    def unplug(self) -> None:
        if self._thread is None:
            return
        os.write(self._stop[1], b"x")
        self._thread.join()
        self._thread = None
        self._line.unplug()
        for end in (*self._stop, self._other_end):
            os.close(end)

    def replug(self) -> None:
        self.unplug()
        before = self.chip
        self._line.replug()
        self._power_up()
        self.present(before.card, sel_res=before.sel_res, ats=before.ats, card=before.chip_card)

    def _power_up(self) -> None:
        self.chip = Chip(self._habits)
        self._stop = os.pipe()
        # As long as we hold the host's end open too, nobody's closing it looks to us like a pulled cable.
        self._other_end = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        self._thread = threading.Thread(target=self._serve, name="pn532 peer", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        line = self._line.fileno()
        while True:
            ready, _, _ = select.select([line, self._stop[0]], (), ())
            if line not in ready:  # what was said before the cable was pulled is still heard
                return
            data = os.read(line, READ_BYTES_MAX)
            with self._chip:
                response = self.chip.receive(data)
            size = self._habits.piece_bytes or len(response) or 1
            for start in range(0, len(response), size):
                self._line.send(response[start : start + size])

    def __enter__(self) -> "Pn532Peer":
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        self.unplug()
