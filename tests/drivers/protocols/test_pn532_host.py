"""The host talks to the simulated chip, both without a port; the test carries the bytes and holds the clock."""

from collections.abc import Sequence

import pytest

from drivers.protocols import pn532
from drivers.protocols.fault import Fault
from drivers.protocols.pn532 import Command
from drivers.protocols.pn532_host import (
    ANSWER_MS,
    ATTEMPTS_MAX,
    EMPTY_POLLS,
    Event,
    Host,
    Pn532Card,
    Pn532CardRemoved,
    Ready,
)
from drivers.simulated.pn532_peer import Chip, Habits

MS = 1_000_000
POLL_MS = 150
CARD = bytes.fromhex("041F9B02005281")


class Cable:
    def __init__(self, habits: Habits | None = None) -> None:
        self.host, self.chip = Host(poll_ms=POLL_MS), Chip(habits)
        self.now_ns = 0
        self.host.start(0)
        self.piece_bytes = 10_000
        self.cut = False

    def step(self) -> Sequence[Event]:
        """Until the next thing is due: what is said, what is answered."""
        self.now_ns = max(self.now_ns, self.host.due_ns)
        said = self.host.send(self.now_ns)
        answer = b"" if self.cut else self.chip.receive(said)
        pieces = [answer[i : i + self.piece_bytes] for i in range(0, len(answer), self.piece_bytes)]
        return [event for piece in pieces for event in self.host.receive(piece, self.now_ns + MS)]

    def steps(self, count: int) -> list[Event]:
        return [event for _ in range(count) for event in self.step()]


@pytest.mark.parametrize("piece_bytes", [1, 3, 10_000])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_it_wakes_a_chip_that_misses_the_first_commands(lost: int, piece_bytes: int) -> None:
    cable = Cable(Habits(lost_after_power_up=lost))
    cable.piece_bytes = piece_bytes
    assert cable.steps(4 + lost) == [Ready("PN532 1.6")]
    assert cable.chip.commands == [
        Command.SAM_CONFIGURATION,
        Command.GET_FIRMWARE_VERSION,
        Command.RF_CONFIGURATION,
        Command.IN_LIST_PASSIVE_TARGET,
    ]
    assert cable.now_ns <= (lost * ANSWER_MS + 10) * MS


def test_a_card_is_told_at_each_poll_and_its_leaving_once() -> None:
    cable = Cable()
    cable.steps(4)
    cable.chip.card = CARD
    seen = cable.steps(4)
    assert [event.target.uid for event in seen if isinstance(event, Pn532Card)] == [CARD, CARD]
    cable.chip.card = b""
    assert cable.steps(2 * EMPTY_POLLS) == [Pn532CardRemoved()]
    assert cable.steps(20) == []


def test_a_flicker_shorter_than_three_polls_is_no_leaving() -> None:
    cable = Cable()
    cable.chip.card = CARD
    cable.steps(5)
    cable.chip.card = b""
    assert cable.steps(EMPTY_POLLS - 1) == []
    cable.chip.card = CARD
    assert all(isinstance(event, Pn532Card) for event in cable.steps(4))


def test_polls_keep_their_distance() -> None:
    cable = Cable()
    cable.steps(4)
    start_ns = cable.now_ns
    cable.steps(10)
    assert cable.now_ns - start_ns >= 10 * POLL_MS * MS


def test_it_asks_nothing_new_before_the_answer_or_its_time_is_over() -> None:
    cable = Cable()
    assert cable.host.send(0)
    assert not cable.host.send(ANSWER_MS * MS - 1)
    assert cable.host.send(ANSWER_MS * MS).startswith(pn532.WAKE)


def test_a_chip_that_never_answers_is_silent_after_a_bounded_number_of_tries() -> None:
    cable = Cable()
    cable.cut = True
    for _ in range(ATTEMPTS_MAX + 1):
        assert not cable.host.silent
        cable.step()
    assert cable.host.silent
    assert cable.now_ns == ATTEMPTS_MAX * ANSWER_MS * MS
    assert not cable.host.send(cable.now_ns * 10)
    cable.cut = False
    cable.host.start(cable.now_ns)
    assert Ready("PN532 1.6") in cable.steps(4)


def test_a_chip_that_lost_power_is_set_up_again() -> None:
    cable = Cable()
    cable.steps(5)
    cable.cut = True
    cable.steps(2)
    cable.cut, cable.chip = False, Chip(Habits(lost_after_power_up=1))
    assert Ready("PN532 1.6") in cable.steps(6)
    cable.chip.card = CARD
    assert any(isinstance(event, Pn532Card) for event in cable.steps(4))


def test_an_answer_that_comes_too_late_confuses_nobody() -> None:
    cable = Cable()
    cable.host.send(0)
    late = pn532.encode(pn532.CHIP, bytes((Command.IN_LIST_PASSIVE_TARGET + 1, 0)))
    assert cable.host.receive(late, MS) == [], "of an earlier conversation"
    assert cable.steps(5)[-1:] == [Ready("PN532 1.6")]
    sam = pn532.encode(pn532.CHIP, bytes((Command.SAM_CONFIGURATION + 1,)))
    assert cable.host.receive(sam, MS) == [Fault("an answer that nobody asked for")]


def test_damaged_answers_are_faults_and_the_next_poll_is_in_its_time() -> None:
    cable = Cable()
    cable.steps(3)
    cable.host.send(cable.host.due_ns)
    broken = pn532.encode(pn532.CHIP, bytes.fromhex("4b0101000408ff"))
    assert cable.host.receive(broken, cable.now_ns) == [Fault("a card's data of unknown form")]
    cable.chip.card = CARD
    assert any(isinstance(event, Pn532Card) for event in cable.steps(2))


def test_the_farewell_puts_the_chip_to_sleep() -> None:
    cable = Cable()
    cable.steps(4)
    cable.chip.receive(cable.host.stop())
    assert cable.chip.asleep
    cable.host.start(cable.now_ns)
    cable.steps(4)
    assert not cable.chip.asleep
