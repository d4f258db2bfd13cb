"""Two desks give one child a card while the line is down: the word that comes to the ledger later counts at both."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import psycopg
import pytest

from edge_agent.journal.journal import Journal
from edge_agent.journal.replacement_table import StoredReplacement
from edge_agent.runtime.card_relay import RelayedCards
from edge_agent.runtime.pin_hashes import SEALING
from edge_agent.runtime.roster_in_force import RosterInForce
from sync.contract.event import CardReplaced, ClockQuality
from sync.contract.roster import Person, RosterPage
from sync.ledger.registry import replacement_cards, rosters
from tests.edge_agent.journal.samples import NOON, open_journal

AT = "2026-11-23T07:00:00.000Z"
PUPIL = Person(id="u1", given_name="Айгүл", family_name="С.")


class NoRoster:
    """Stands in for the roster in force, which a card is laid over."""

    def refresh(self) -> None:
        """Does nothing."""


class Desk:
    """One kiosk's journal, with a card that was given there; nothing was sent yet."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self.name = name
        self.relay = RelayedCards(journal, cast("RosterInForce", NoRoster()))
        journal.roster.apply([RosterPage(school="school-1", since=0, version=1, changes=(PUPIL,), whole=True)], NOON)
        event = CardReplaced(
            school="school-1", at=AT, boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED, person="u1",
            credential=f"rc-{name}", digest="d", operator="op-1", blocked="u1.card1",
        )  # fmt: skip
        journal.replacements.put(StoredReplacement("u1", f"rc-{name}", ("u1.card1",), b"sealed", SEALING, AT), event)

    def send(self, db: psycopg.Connection, school: str) -> None:
        card = self.relay.next_unsent_card()
        assert card is not None
        assert replacement_cards.store_card(db, school, self.name, card)[0].stored
        self.relay.mark_card_relayed(card)

    def fetch(self, db: psycopg.Connection, school: str) -> None:
        page = replacement_cards.read_page(db, school, self.relay.cards_version())
        self.relay.accept_cards(page.cards, page.version)

    def cards(self) -> list[str]:
        return [card.id for card in self._journal.replacements.read_all()]


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_journal(tmp_path / f"{name}.db")) for name in ("one", "two"))
        yield Desk(one, "one"), Desk(two, "two")


@pytest.mark.parametrize("is_turned", [False, True])
def test_the_later_word_at_the_ledger_counts_at_both_desks(
    db: psycopg.Connection, school: str, desks: tuple[Desk, Desk], caplog: pytest.LogCaptureFixture, *, is_turned: bool
) -> None:
    rosters.apply_changes(db, school, [PUPIL])
    former, later = desks[::-1] if is_turned else desks
    former.send(db, school)
    later.fetch(db, school)
    assert later.cards() == [f"rc-{later.name}"], "its own word is still to come"
    later.send(db, school)
    with caplog.at_level(logging.WARNING):
        for desk in desks:
            desk.fetch(db, school)
            desk.fetch(db, school)
    assert [desk.cards() for desk in desks] == [[f"rc-{later.name}"]] * 2
    (said,) = [record.getMessage() for record in caplog.records if "two desks" in record.getMessage()]
    assert f"rc-{later.name} counts" in said
    assert f"rc-{former.name} no longer" in said
