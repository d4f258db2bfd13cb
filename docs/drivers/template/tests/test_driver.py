"""Run with pytest beside an installed canteen-edge-agent."""

from acme_cards.driver import AcmeCards, AcmeSettings
from acme_cards.protocol import LINE_BYTES_MAX, Decoder

from drivers.protocols.fault import Fault
from drivers.readings import CardRead, StreamFault
from drivers.transports.memory import MemoryTransport


def test_a_card_is_read_however_the_line_is_cut() -> None:
    for chunks in ([b"04A3C6CAE26180\n"], [b"04A3", b"C6CAE26180", b"\n"]):
        line = MemoryTransport()
        reader = AcmeCards("door", AcmeSettings(port="memory"), transport=line)
        reader.open()
        for chunk in chunks:
            line.put(chunk)
        events = [event for _ in chunks for event in reader.read(0)]
        first = events[0]
        assert isinstance(first, CardRead)
        assert first.uid.hex == "04A3C6CAE26180"
        reader.close()


def test_rubbish_is_a_fault_and_not_kept() -> None:
    line = MemoryTransport()
    reader = AcmeCards("door", AcmeSettings(port="memory"), transport=line)
    reader.open()
    line.put(b"\xff\xfe\n")
    assert isinstance(reader.read(0)[0], StreamFault)
    assert Decoder().feed(b"x" * 100 * LINE_BYTES_MAX) == [Fault("a line is too long")]
    reader.close()
