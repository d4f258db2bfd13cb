"""The devices that call one of our ports over HTTP: connections, answers, and the events that requests bring.

What a request means is the driver's: it is given each whole request, and returns an `HttpReply`. An answer to readings
leaves with the next `read`: a caller that reads again has taken them. A device that gets no answer sends again.

Bounds: PEERS_MAX connections at once, one that says nothing is hung up after CALLER_IDLE_S, and one whose request is
not whole after REQUEST_WAIT_S likewise, so that nobody holds a place by a byte now and then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from drivers.base import Monotonic, Tap, Transport
from drivers.protocols.fault import Fault
from drivers.protocols.http import Exchange, HttpRequest
from drivers.readings import CardRead, CodeRead, DeviceEvent, PersonMatched, StreamFault
from drivers.transports.tcp import PeerBytes, Peers, SinglePeer, TcpListener

CALLER_IDLE_S = 15
REQUEST_WAIT_S = 60
ADDRESSES_MAX = 64  # whose rate is kept in mind
LISTEN_PATTERN = "^[0-9A-Za-z.-]+:[0-9]{1,5}$"  # address:port


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The answer to one request, and the events that the request brought."""

    body: str = "OK"
    status: int = 200
    events: tuple[DeviceEvent, ...] = ()

    @property
    def brings_readings(self) -> bool:
        """True where the answer must wait until the readings are taken."""
        return any(isinstance(event, CardRead | CodeRead | PersonMatched) for event in self.events)


@dataclass(slots=True)
class _CallerConnection:
    exchange: Exchange
    address: str
    began_ns: int  # when the request that is not whole yet began
    spoke_ns: int


class HttpCallers:
    """One port. `reply` is given each whole request and the address that it came from."""

    def __init__(
        self,
        name: str,
        peers: Peers,
        start_exchange: Callable[[], Exchange],
        reply: Callable[[HttpRequest, str], HttpReply],
        *,
        clock: Monotonic,
        wall: Callable[[], datetime],
        tap: Tap | None,
        dates: Callable[[], bool] = lambda: True,  # False while our time is not to be told
    ) -> None:
        self._dates = dates
        self._name, self._peers = name, peers
        self._start_exchange, self._reply = start_exchange, reply
        self._clock, self._wall, self._tap = clock, wall, tap
        self._forget()

    def open(self) -> None:
        """Listens. Raises what the port raises; nothing of earlier connections is left."""
        self._peers.open()
        self._forget()

    def close(self) -> None:
        """Stops listening and hangs up; a `read` that waits returns soon."""
        self._peers.close()

    def read(self, timeout_s: float) -> list[DeviceEvent]:
        """Answers the callers that were held back, then hears every one that speaks."""
        events = list(self._answer_pending())
        for chunk in self._peers.poll(0 if events else timeout_s):
            events += self._hear(chunk)
        self._hang_up_on_the_idle(self._clock())
        return events

    @property
    def connections(self) -> int:
        """Counts the connections that have said something."""
        return len(self._connections)

    def _forget(self) -> None:
        self._connections: dict[int, _CallerConnection] = {}
        self._held_back: list[tuple[int, HttpReply]] = []

    def _answer_pending(self) -> Iterator[DeviceEvent]:
        held_back, self._held_back = self._held_back, []
        for peer, reply in held_back:
            if self._say(peer, reply):
                yield from self._serve(peer, self._connections[peer].exchange.next())

    def _hear(self, chunk: PeerBytes) -> Iterator[DeviceEvent]:
        if not chunk.data:
            self._connections.pop(chunk.peer, None)
            return
        now_ns = self._clock()
        connection = self._connections.get(chunk.peer)
        if connection is None:
            connection = _CallerConnection(self._start_exchange(), chunk.address, now_ns, now_ns)
            self._connections[chunk.peer] = connection
        connection.spoke_ns = now_ns
        yield from self._serve(chunk.peer, connection.exchange.feed(chunk.data))

    def _serve(self, peer: int, requests: Sequence[HttpRequest | Fault]) -> Iterator[DeviceEvent]:
        while requests:
            [request] = requests
            connection = self._connections[peer]
            if isinstance(request, Fault):
                yield StreamFault(self._name, request.what, self._clock())
                self._peers.send(peer, connection.exchange.refusal(self._date()))
                self._hang_up(peer)
                return
            reply = self._reply(request, connection.address)
            yield from reply.events
            if reply.brings_readings:
                self._held_back.append((peer, reply))
                return
            if not self._say(peer, reply):
                return
            requests = connection.exchange.next()

    def _say(self, peer: int, reply: HttpReply) -> bool:
        """Sends an answer. True when the connection goes on behind it."""
        connection = self._connections.get(peer)
        if connection is None:
            return False
        data, ends = connection.exchange.answer(reply.body, self._date(), reply.status)
        connection.began_ns = self._clock()
        if self._tap is not None:
            self._tap("SEND", data)
        self._peers.send(peer, data)
        if ends:
            self._hang_up(peer)
        return not ends

    def _hang_up_on_the_idle(self, now_ns: int) -> None:
        held_back = {peer for peer, _ in self._held_back}
        for peer, connection in list(self._connections.items()):
            silent_s = (now_ns - connection.spoke_ns) / 1e9
            unfinished_s = (now_ns - connection.began_ns) / 1e9
            if peer not in held_back and (silent_s > CALLER_IDLE_S or unfinished_s > REQUEST_WAIT_S):
                self._hang_up(peer)

    def _hang_up(self, peer: int) -> None:
        self._peers.drop(peer)
        self._connections.pop(peer, None)

    def _date(self) -> str:
        return format_datetime(self._wall(), usegmt=True) if self._dates() else ""


class CallRate:
    """Requests that one address may make: `a_minute`, saved up while it is silent. Knows ADDRESSES_MAX addresses."""

    def __init__(self, a_minute: int, clock: Monotonic) -> None:
        self._most, self._clock = float(a_minute), clock
        self._allowance: dict[str, tuple[float, int]] = {}  # by address: requests it may still make, counted when

    def allows(self, address: str) -> bool:
        """Counts one request; False where the address has made too many."""
        now_ns = self._clock()
        allowance, counted_ns = self._allowance.pop(address, (self._most, now_ns))
        allowance = min(self._most, allowance + (now_ns - counted_ns) / 60e9 * self._most)
        self._allowance[address] = (max(allowance - 1, 0.0), now_ns)
        if len(self._allowance) > ADDRESSES_MAX:
            del self._allowance[next(iter(self._allowance))]
        return allowance >= 1


def peers_of(listen: str, transport: Transport | None) -> Peers:
    """Returns the port `address:port`, or with a `transport` the one peer behind it: a recording, or memory."""
    if transport is not None:
        return SinglePeer(transport)
    host, _, port = listen.rpartition(":")
    return TcpListener(host, int(port))


def utc_now() -> datetime:
    """Returns the wall clock, aware."""
    return datetime.now(UTC)
