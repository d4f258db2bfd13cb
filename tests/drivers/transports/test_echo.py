from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import osdp
from drivers.transports.echo import WithoutEcho
from drivers.transports.memory import MemoryTransport
from tests.drivers.protocols.cutting import cut, places

POLL = b"\xff" + osdp.encode(0, osdp.POLL)
ANSWER = b"\xff" + osdp.encode(0, osdp.ACK, reply=True)


@given(places, st.booleans())
def test_an_answer_arrives_whole_whether_or_not_the_adapter_hears_itself(places: list[int], echo: bool) -> None:
    line = MemoryTransport()
    port = WithoutEcho(line)
    port.open()
    for _ in range(2):
        port.write(POLL)
        chunks = cut((POLL if echo else b"") + ANSWER, places)
        for chunk in chunks:
            line.put(chunk)
        assert b"".join(port.read(0) for _ in chunks) == ANSWER
    port.close()


def test_an_answer_that_repeats_the_question_is_handed_on_after_its_echo() -> None:
    line = MemoryTransport()
    port = WithoutEcho(line)
    port.open()
    port.write(b"ping")
    line.put(b"pingping")
    assert port.read(0) == b"ping"
    port.close()
