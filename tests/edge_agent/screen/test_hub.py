"""Streams of events: the newest state, a bounded number of clients, no queue for slow clients."""

import asyncio
from collections.abc import AsyncGenerator

from edge_agent.screen.hub import CLIENTS_MAX, EventHub


class NumberedStates:
    def __init__(self) -> None:
        self.number = 0

    def state(self) -> bytes:
        return str(self.number).encode()

    def event_id(self) -> str:
        return f"run-{self.number}"

    def open(self, hub: EventHub) -> AsyncGenerator[bytes, None]:
        return hub.stream(self.event_id, self.state)


def test_the_first_event_is_the_present_state_and_the_next_is_the_newest() -> None:
    async def play() -> None:
        source, hub = NumberedStates(), EventHub(lambda: b"{}", heartbeat_s=60)
        stream = source.open(hub)
        assert b"event: beat" in await anext(stream)
        assert await anext(stream) == b"id: run-0\nevent: state\ndata: 0\n\n"
        for source.number in range(1, 10_001):
            hub.wake_all()
        assert await anext(stream) == b"id: run-10000\nevent: state\ndata: 10000\n\n"
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()  # the 9,999 states in between are gone
        hub.close()
        assert [frame async for frame in remaining_frames(waiting)] == []
        assert hub.client_count == 0

    asyncio.run(play())


async def remaining_frames(waiting: "asyncio.Future[bytes]") -> AsyncGenerator[bytes, None]:
    try:
        yield await waiting
    except StopAsyncIteration:
        return


def test_a_quiet_stream_sends_heartbeats() -> None:
    async def play() -> None:
        hub = EventHub(lambda: b'{"run":"a"}', heartbeat_s=0.01)
        stream = NumberedStates().open(hub)
        await anext(stream)
        await anext(stream)
        assert await anext(stream) == b': beat\nevent: beat\ndata: {"run":"a"}\n\n'

    asyncio.run(play())


def test_the_hub_knows_when_it_is_full_and_frees_closed_streams() -> None:
    async def play() -> None:
        hub = EventHub(lambda: b"{}")
        streams = [EventHub.stream(hub, str, bytes) for _ in range(CLIENTS_MAX)]
        for stream in streams:
            await anext(stream)
        assert hub.is_full
        closing = streams[0]
        await closing.aclose()
        assert not hub.is_full

    asyncio.run(play())
