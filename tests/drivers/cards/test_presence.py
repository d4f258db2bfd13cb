"""When a card counts as put down, told by a clock that the test holds."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cards.em4100 import Em4100, Em4100Settings
from drivers.cards.ironlogic import IronLogic, IronLogicSettings
from drivers.cards.presence import CARDS_MAX, HeldCards
from drivers.protocols import em4100, ironlogic
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault, Technology, Uid
from drivers.transports.memory import MemoryTransport

MS = 1_000_000
CARD, OTHER = bytes.fromhex("1F00644BB6"), bytes.fromhex("01C8F00800")
PHANTOM = bytes.fromhex("00F00000F0")


class Em:
    """A reader of the EM kind in memory, and the time."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * MS
        self.memory = MemoryTransport()
        settings = Em4100Settings(port="memory")
        self.reader = Em4100("left", settings, clock=lambda: self.now_ns, transport=self.memory)
        self.reader.open()

    def after(self, ms: int, data: bytes) -> Sequence[DeviceEvent]:
        self.now_ns += ms * MS
        self.memory.put(data)
        return self.reader.read(0)


def reports(events: Sequence[DeviceEvent]) -> list[tuple[str, bool]]:
    return [(event.uid.hex, event.again) for event in events if isinstance(event, CardRead)]


def test_the_first_frame_counts_at_once_the_second_once_more_then_silence() -> None:
    em = Em()
    assert reports(em.after(0, em4100.encode(CARD))) == [(CARD.hex().upper(), False)]
    assert reports(em.after(65, em4100.encode(CARD))) == [(CARD.hex().upper(), True)]
    for _ in range(100):
        assert not em.after(65, em4100.encode(CARD))


def test_two_frames_in_one_read_are_both_reports_at_the_same_time() -> None:
    em = Em()
    events = em.after(0, em4100.encode(CARD) * 5)
    assert reports(events) == [(CARD.hex().upper(), False), (CARD.hex().upper(), True)]
    assert {event.monotonic_ns for event in events} == {em.now_ns}


def test_a_flicker_at_the_edge_of_the_field_is_the_same_card_still_there() -> None:
    em = Em()
    em.after(0, em4100.encode(CARD) * 2)
    assert not em.after(500, em4100.encode(CARD))
    assert reports(em.after(501, em4100.encode(CARD))) == [(CARD.hex().upper(), False)]


def test_a_card_held_for_an_hour_is_one_presentation() -> None:
    em = Em()
    em.after(0, em4100.encode(CARD) * 2)
    assert not any(em.after(400, em4100.encode(CARD)) for _ in range(9_000))


def test_a_phantom_in_between_does_not_put_the_card_down_anew() -> None:
    em = Em()
    em.after(0, em4100.encode(CARD) * 2)
    assert reports(em.after(65, em4100.encode(PHANTOM))) == [(PHANTOM.hex().upper(), False)]
    assert not em.after(65, em4100.encode(CARD))


def test_the_next_child_need_not_wait() -> None:
    em = Em()
    em.after(0, em4100.encode(CARD) * 2)
    assert reports(em.after(10, em4100.encode(OTHER))) == [(OTHER.hex().upper(), False)]


def test_zeros_are_a_fault_and_no_card() -> None:
    [event] = Em().after(0, em4100.encode(bytes(5)))
    assert isinstance(event, StreamFault)


def test_a_reopened_reader_has_seen_no_card() -> None:
    em = Em()
    em.after(0, em4100.encode(CARD) * 2)
    em.reader.close()
    em.reader.open()
    assert reports(em.after(1, em4100.encode(CARD))) == [(CARD.hex().upper(), False)]


def test_half_a_frame_does_not_survive_a_reopen() -> None:
    em = Em()
    assert not em.after(0, em4100.encode(CARD)[:7])
    em.reader.close()
    em.reader.open()
    [fault] = em.after(1, em4100.encode(CARD)[7:])
    assert isinstance(fault, StreamFault)


def test_iron_logic_proves_a_card_with_one_line_and_tells_when_it_has_gone() -> None:
    now_ns = 5 * MS
    memory = MemoryTransport()
    reader = IronLogic("right", IronLogicSettings(port="memory"), clock=lambda: now_ns, transport=memory)
    reader.open()
    memory.put(ironlogic.encode_em_marine(CARD) + ironlogic.encode_em_marine(CARD) + ironlogic.NO_CARD)
    uid = Uid(Technology.EM4100, CARD, 40)
    assert list(reader.read(0)) == [
        CardRead("right", uid, now_ns),
        CardRead("right", uid, now_ns, again=True),
        CardRemoved("right", now_ns),
    ]
    memory.put(ironlogic.encode_em_marine(CARD))
    assert reports(reader.read(0)) == [(CARD.hex().upper(), False), (CARD.hex().upper(), True)]


def test_a_phone_is_told_as_a_fault_and_without_its_number() -> None:
    memory = MemoryTransport()
    reader = IronLogic("right", IronLogicSettings(port="memory"), transport=memory)
    reader.open()
    memory.put(ironlogic.encode_mifare(bytes.fromhex("08A1B2C3")))
    [event] = reader.read(0)
    assert isinstance(event, StreamFault)
    assert "phone" in event.what
    assert "A1B2" not in repr(event).upper()


@given(
    numbers=st.lists(
        st.binary(min_size=5, max_size=5).filter(lambda value: set(value) not in ({0}, {255})), max_size=9
    ),
    size=st.integers(min_value=1, max_value=40),
)
def test_every_card_of_a_pile_is_reported_however_the_bytes_are_cut(numbers: list[bytes], size: int) -> None:
    em = Em()
    stream = b"".join(em4100.encode(value) for value in numbers)
    first: list[str] = []
    for start in range(0, len(stream), size):
        first += [uid for uid, again in reports(em.after(0, stream[start : start + size])) if not again]
    assert first == list(dict.fromkeys(value.hex().upper() for value in numbers))


@pytest.mark.parametrize("cards", [CARDS_MAX, CARDS_MAX * 10])
def test_noise_that_looks_like_many_cards_stays_bounded(cards: int) -> None:
    presence = HeldCards(500)
    for number in range(cards):
        presence.frames(Uid(Technology.EM4100, number.to_bytes(5, "big"), 40), number)
    assert len(presence._recent) <= CARDS_MAX
