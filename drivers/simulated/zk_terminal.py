"""A ZKTeco terminal with port 4370, for tests and training: it holds people and rows, and tells live events.

It listens on loopback by TCP and UDP, in a thread of its own, and takes any number of clients. What a firmware does its
own way can be chosen: the size of a row, whether tables come at once, in parts, or only by the old command.

Does not imitate: fingerprints, faces, doors, the time that a terminal takes, writing into its memory. It never forgets.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.protocols.zk_packets import (
    Decoder,
    ZkCommand,
    ZkPacket,
    encode_comm_key,
    encode_frame,
    encode_packet,
    parse_packet,
)
from drivers.protocols.zk_time import pack_time

SIMULATED_DATA_BYTES = 64 * 1024  # in one DATA packet by TCP: a whole part, as the maker's client asks for it
DATAGRAM_DATA_BYTES = 1024
UNPLUG_S = 0.05  # so often it is looked whether the terminal was unplugged
ATTLOG, USERS = 13, 9
_PLAIN_COMMANDS = frozenset({1001, 1002, 1003, 57, 60, 62, 1502, 1014})  # answered ACK_OK, and nothing comes of them
_VERSION = 1100


@dataclass(frozen=True, slots=True)
class SimulatedRow:
    """One row of attendance; `uid` is the place of its person in the table of people."""

    uid: int
    pin: str
    time: datetime
    verify: int = 1
    state: int = 0


@dataclass(slots=True)
class ZkClient:
    """One program that talks to the terminal, and what it is given."""

    send: Callable[[ZkPacket], None]
    parts_bytes: int
    session: int = 0
    is_known: bool = False
    hears_events: bool = False
    buffer: bytes = b""


class SimulatedZkTerminal:
    """The terminal. `row_size` is 8, 16 or 40. `buffered` False: firmware that only knows the old command."""

    def __init__(
        self,
        *,
        serial: str = "OIN7030067062300150",
        row_size: int = 40,
        comm_key: int = 0,
        buffered: bool = True,
        whole_bytes_max: int = 1000,  # a table of up to so many bytes comes at once
        clock: Callable[[], datetime] = datetime.now,
        data_bytes: int = SIMULATED_DATA_BYTES,  # in one DATA packet by TCP
        pushes: bool = False,  # a model that pushes: it counts rows here and gives none
    ) -> None:
        self.serial, self.row_size, self.comm_key = serial, row_size, comm_key
        self.buffered, self.whole_bytes_max, self.data_bytes = buffered, whole_bytes_max, data_bytes
        self.clock, self.pushes = clock, pushes
        self.rows: list[SimulatedRow] = []
        self.people: dict[int, str] = {}
        self.commands: list[int] = []
        self.breaks_after = -1  # packets of data; then it hangs up once
        self._lock = threading.RLock()
        self._sockets: list[socket.socket] = []
        self._streams: list[socket.socket] = []
        self._clients: list[ZkClient] = []
        self._datagram_clients: dict[tuple[str, int], ZkClient] = {}
        self._threads: list[threading.Thread] = []
        self._sessions = 0
        self.port = 0
        self.plug_in()

    @property
    def clients(self) -> Sequence[ZkClient]:
        """Returns everybody who talks to the terminal."""
        with self._lock:
            return (*self._clients, *self._datagram_clients.values())

    # what happens at the terminal

    def enrol(self, pin: str) -> int:
        """Adds a person; returns the place in the table of people."""
        with self._lock:
            uid = len(self.people) + 1
            self.people[uid] = pin
            return uid

    def punch(self, pin: str, at: datetime, verify: int = 1, state: int = 0) -> None:
        """Records that a person was recognised, and tells it to every client that listens."""
        with self._lock:
            uid = next((uid for uid, known in self.people.items() if known == pin), 0) or self.enrol(pin)
            self.rows.append(SimulatedRow(uid, pin, at, verify, state))
            event = ZkPacket(ZkCommand.REG_EVENT, 1, 0, self._live(self.rows[-1]))
            for client in self.clients:
                if client.hears_events:
                    client.send(event)

    def noise(self, data: bytes) -> None:
        """Sends bytes that are no packet to every TCP client."""
        with self._lock:
            for stream in self._streams:
                with suppress(OSError):
                    stream.sendall(data)

    def unplug(self) -> None:
        """Hangs up on everybody and stops listening."""
        with self._lock:
            for end in (*self._sockets, *self._streams):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._sockets.clear()
            self._streams.clear()
            self._clients.clear()
            self._datagram_clients.clear()
        for thread in self._threads:  # a socket lives on while somebody waits on it
            thread.join()

    def plug_in(self) -> None:
        """Listens, on the same port as before."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(4)
        self.port = listener.getsockname()[1]
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", self.port))
        datagrams.settimeout(UNPLUG_S)
        with self._lock:
            self._sockets += [listener, datagrams]
        self._threads = [
            threading.Thread(target=self._accept, args=(listener,), daemon=True),
            threading.Thread(target=self._serve_datagrams, args=(datagrams,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # how it is reached

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:  # unplugged
                return
            with self._lock:
                if listener not in self._sockets:  # unplugged since it was accepted
                    stream.close()
                    return
                self._streams.append(stream)
            threading.Thread(target=self._serve_stream, args=(stream,), daemon=True).start()

    def _serve_stream(self, stream: socket.socket) -> None:
        def send(packet: ZkPacket) -> None:
            with suppress(OSError):
                stream.sendall(encode_frame(packet))

        client, decoder = ZkClient(send, self.data_bytes), Decoder(lenient=True)
        with self._lock:
            self._clients.append(client)
        while data := _receive(stream):
            for packet in decoder.feed(data):
                if isinstance(packet, ZkPacket) and not self._serve(client, packet):
                    data = b""
            if not data:
                break
        with self._lock, suppress(ValueError):
            self._clients.remove(client)
            self._streams.remove(stream)
        stream.close()

    def _serve_datagrams(self, datagrams: socket.socket) -> None:
        while True:
            try:
                data, address = datagrams.recvfrom(65_536)
            except TimeoutError:
                continue
            except OSError:  # unplugged
                return
            packet = parse_packet(data, lenient=True)
            if isinstance(packet, ZkPacket):
                self._serve(self._datagram_client(datagrams, address), packet)

    def _datagram_client(self, datagrams: socket.socket, address: tuple[str, int]) -> ZkClient:
        def send(packet: ZkPacket) -> None:
            with suppress(OSError):
                datagrams.sendto(encode_packet(packet), address)

        with self._lock:
            return self._datagram_clients.setdefault(address, ZkClient(send, DATAGRAM_DATA_BYTES))

    # what it answers

    def _serve(self, client: ZkClient, packet: ZkPacket) -> bool:
        """Answers a packet. False when the terminal hangs up."""
        with self._lock:
            self.commands.append(packet.command)
            for answer in self._answers(client, packet):
                if answer.command == ZkCommand.DATA and self.breaks_after >= 0:
                    self.breaks_after -= 1
                    if self.breaks_after < 0:
                        return False
                client.send(answer)
            return packet.command != ZkCommand.EXIT

    def _answers(self, client: ZkClient, packet: ZkPacket) -> Iterator[ZkPacket]:
        def answer(command: int, data: bytes = b"") -> ZkPacket:
            return ZkPacket(command, client.session, packet.number, data)

        if packet.command == ZkCommand.ACK_OK:
            return
        if packet.command == ZkCommand.CONNECT:
            self._sessions += 1
            client.session, client.is_known = 0x1234 + self._sessions, not self.comm_key
            yield answer(ZkCommand.ACK_OK if client.is_known else ZkCommand.ACK_UNAUTH)
        elif packet.command == ZkCommand.AUTH:
            client.is_known = packet.data == encode_comm_key(self.comm_key, client.session)
            yield answer(ZkCommand.ACK_OK if client.is_known else ZkCommand.ACK_UNAUTH)
        elif not client.is_known:
            yield answer(ZkCommand.ACK_UNAUTH)
        elif packet.command in _PLAIN_COMMANDS:
            yield answer(ZkCommand.ACK_OK)
        else:
            yield from (answer(command, data) for command, data in self._content(client, packet))

    def _content(self, client: ZkClient, packet: ZkPacket) -> Sequence[tuple[int, bytes]]:
        match packet.command:
            case ZkCommand.OPTIONS_RRQ:
                name = packet.data.rstrip(b"\0")
                return [(ZkCommand.ACK_OK, name + b"=" + self.serial.encode() + b"\0")]
            case ZkCommand.GET_TIME:
                return [(ZkCommand.ACK_OK, struct.pack("<I", pack_time(self.clock())))]
            case ZkCommand.GET_FREE_SIZES:
                return [(ZkCommand.ACK_OK, self._sizes())]
            case ZkCommand.REG_EVENT:
                client.hears_events = packet.data != b"\0\0\0\0"
                return [(ZkCommand.ACK_OK, b"")]
            case ZkCommand.DATA_WRRQ if self.buffered:
                return self._prepare(client, struct.unpack_from("<bhii", packet.data)[1])
            case ZkCommand.DATA_RDY if self.buffered:
                start, size = struct.unpack_from("<ii", packet.data)
                return list(_in_parts(client.buffer[start : start + size], client.parts_bytes))
            case 13 | 9:
                return list(_in_parts(self._table(packet.command), client.parts_bytes))
            case 1100:
                return [(ZkCommand.ACK_OK, b"Ver 6.60 Apr 28 2017\0")]
            case _:
                return [(ZkCommand.ACK_ERROR, b"")]

    def _prepare(self, client: ZkClient, table: int) -> Sequence[tuple[int, bytes]]:
        client.buffer = self._table(table)
        if len(client.buffer) <= self.whole_bytes_max:
            return [(ZkCommand.DATA, client.buffer)]
        size = len(client.buffer)
        return [(ZkCommand.ACK_OK, struct.pack("<bIII", 0, size, size, 0))]

    def _sizes(self) -> bytes:
        numbers = [0] * 20
        numbers[4], numbers[8], numbers[15], numbers[16] = len(self.people), len(self.rows), 3_000, 200_000
        return struct.pack("<20i", *numbers)

    def _table(self, table: int) -> bytes:
        if table == USERS:
            content = b"".join(self._person(uid, pin) for uid, pin in self.people.items())
        else:
            content = b"" if self.pushes else b"".join(map(self._row, self.rows))
        return struct.pack("<I", len(content)) + content

    def _person(self, uid: int, pin: str) -> bytes:
        if self.row_size == 40:
            return struct.pack("<HB8s24sIx7sx24s", uid, 0, b"secret", b"A Name", 77_777_777, b"1", pin.encode())
        return struct.pack("<HB5s8sIxBhI", uid, 0, b"12345", b"A Name", 77_777_777, 1, 0, int(pin))

    def _row(self, row: SimulatedRow) -> bytes:
        time = pack_time(row.time)
        if self.row_size == 8:
            return struct.pack("<HBIB", row.uid, row.verify, time, row.state)
        if self.row_size == 16:
            return struct.pack("<IIBB2sI", int(row.pin), time, row.verify, row.state, b"", 0)
        return struct.pack("<H24sBIB8s", row.uid, row.pin.encode(), row.verify, time, row.state, b"")

    def _live(self, row: SimulatedRow) -> bytes:
        at = row.time
        when = bytes((at.year - 2000, at.month, at.day, at.hour, at.minute, at.second))
        if self.row_size == 40:
            return struct.pack("<24sBB", row.pin.encode(), row.verify, row.state) + when
        return struct.pack("<IBB", int(row.pin), row.verify, row.state) + when


def _in_parts(content: bytes, part_bytes: int) -> Iterator[tuple[int, bytes]]:
    yield ZkCommand.PREPARE_DATA, struct.pack("<II", len(content), 0x1000)
    for start in range(0, len(content), part_bytes):
        yield ZkCommand.DATA, content[start : start + part_bytes]
    yield ZkCommand.ACK_OK, b""


def _receive(stream: socket.socket) -> bytes:
    try:
        return stream.recv(65_536)
    except OSError:  # unplugged, or the client is away
        return b""


def evenly(first: datetime, step_s: int, count: int) -> Iterator[datetime]:
    """Yields `count` times, `step_s` seconds apart."""
    return (first + timedelta(seconds=number * step_s) for number in range(count))
