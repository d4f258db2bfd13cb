"""Replacement cards over the roster: what the source says next, and what becomes of either card."""

from zoneinfo import ZoneInfo

import pytest

from drivers.readings import CardRead, Technology, Uid
from edge_agent.domain.card_seal import SealedNumbers, digest_card, open_numbers, seal_numbers
from edge_agent.domain.identify import AmbiguousPerson, BlockedCredential, RecognisedPerson, UnknownPerson, identify
from edge_agent.domain.replacement_cards import (
    CardNumber,
    OverlaidRecords,
    ReplacementCard,
    lay_over,
    parse_printed_number,
    write_number,
)
from edge_agent.domain.roster import build_roster
from sync.contract.roster import Credential, Notation, Person, Record

LOST = Uid(Technology.EM4100, bytes.fromhex("010A1B2C3D"), 40)
NEW = Uid(Technology.EM4100, bytes.fromhex("010A1B2C3F"), 40)
PEOPLE = (Person(id="p", given_name="П", family_name="П"), Person(id="q", given_name="Қ", family_name="Қ"))


def card(name: str, person: str, uid: Uid, blocked: str = "") -> Credential:
    return Credential(id=name, person=person, value=uid.hex, technology="em4100", blocked=blocked)


GIVEN = ReplacementCard("rc-1", "p", ("c1",), write_number(NEW), (write_number(LOST),))
FOREIGN = ReplacementCard("rc-1", "p", ("c1",))  # its number cannot be opened here


def show(overlaid: OverlaidRecords, uid: Uid) -> str:
    """Returns what a card shows: whose it is, and if it is blocked."""
    roster = build_roster(overlaid.records, school="s", version=1, confirmed_at=None, tz=ZoneInfo("UTC"))
    match identify(CardRead("r", uid, 0), roster):
        case RecognisedPerson(person=person, credential=credential):
            return f"{person.id} by {credential}"
        case BlockedCredential(person=person, status=status):
            return f"{person.id} {status}"
        case AmbiguousPerson(candidates=candidates):
            return " or ".join(candidates)
        case UnknownPerson():
            return "unknown"
        case other:
            return str(other)


@pytest.mark.parametrize(("cards", "given", "lost", "new", "settled"), [
    # The source knows nothing of it.
    ([card("c1", "p", LOST)], GIVEN, "p replaced", "p by rc-1", False),
    ([card("c1", "p", LOST)], FOREIGN, "p replaced", "unknown", False),
    # It goes on listing the lost card, under another id.
    ([card("c7", "p", LOST)], GIVEN, "p replaced", "p by rc-1", False),
    # It drops the lost card, and does not have the new one yet.
    ([], GIVEN, "unknown", "p by rc-1", False),
    # It has both: the lost one stays blocked.
    ([card("c1", "p", LOST), card("c2", "p", NEW)], GIVEN, "p replaced", "p by c2", False),
    # It has the new one, and the lost one is gone or blocked by itself: it agrees.
    ([card("c2", "p", NEW)], GIVEN, "unknown", "p by c2", True),
    ([card("c1", "p", LOST, "lost"), card("c2", "p", NEW)], GIVEN, "p lost", "p by c2", True),
    # The new number under the lost card's id.
    ([card("c1", "p", NEW)], GIVEN, "unknown", "p by c1", True),
    # It gives the lost card to another child, and keeps it in the first one's list or not.
    ([card("c3", "q", LOST)], GIVEN, "q by c3", "p by rc-1", False),
    ([card("c1", "p", LOST), card("c3", "q", LOST)], GIVEN, "q by c3", "p by rc-1", False),
    # It gives the new card to another child: nobody can tell whose it is.
    ([card("c1", "p", LOST), card("c3", "q", NEW)], GIVEN, "p replaced", "q or p", False),
])  # fmt: skip
def test_what_the_source_says_next(
    cards: list[Credential], given: ReplacementCard, lost: str, new: str, settled: bool
) -> None:
    records: list[Record] = [*PEOPLE, *cards]
    overlaid = lay_over(records, [given])
    assert (show(overlaid, LOST), show(overlaid, NEW)) == (lost, new)
    assert overlaid.settled == ({"rc-1"} if settled else set())


def test_a_second_loss_blocks_the_first_replacement_too() -> None:
    later = Uid(Technology.EM4100, bytes.fromhex("010A1B2C40"), 40)
    again = ReplacementCard("rc-2", "p", ("c1", "rc-1"), write_number(later), (write_number(LOST), write_number(NEW)))
    overlaid = lay_over([*PEOPLE, card("c1", "p", LOST)], [again])
    assert [show(overlaid, uid) for uid in (LOST, NEW, later)] == ["p replaced", "unknown", "p by rc-2"]


@pytest.mark.parametrize(("typed", "number"), [
    ("0169552959", CardNumber("0169552959", Notation.DEC10)),
    ("027,11327", CardNumber("27,11327", Notation.W26)),
    ("04:A2:B3:C4:D5:E6:80", CardNumber("04A2B3C4D5E680")),
    ("010A1B2C3F", CardNumber("010A1B2C3F")),
    ("12345", None), ("9999999999", None), ("00000000", None),
    ("абвгдежз", None), ("１２３４５６７８", None), ("", None),
])  # fmt: skip
def test_a_printed_number_is_read_or_refused(typed: str, number: CardNumber | None) -> None:
    assert parse_printed_number(typed) == number


def test_a_printed_number_is_the_card_that_a_reader_shows() -> None:
    printed = parse_printed_number(f"{int.from_bytes(NEW.value[1:]):010}")
    typed = ReplacementCard("rc-1", "p", ("c1",), printed, (write_number(LOST),))
    assert show(lay_over([*PEOPLE, card("c1", "p", LOST)], [typed]), NEW) == "p by rc-1"
    assert lay_over([*PEOPLE, card("c2", "p", NEW)], [typed]).settled == {"rc-1"}


def test_a_seal_opens_for_its_school_card_and_person_alone() -> None:
    numbers = SealedNumbers(write_number(NEW), (write_number(LOST),))
    key, bound = b"k" * 32, ("s", "rc-1", "p")
    sealed = seal_numbers(numbers, key, bound, bytes(12))
    assert open_numbers(sealed, key, bound) == numbers
    assert NEW.hex.encode() not in sealed
    assert NEW.hex not in repr(numbers)
    for other in (("t", "rc-1", "p"), ("s", "rc-2", "p"), ("s", "rc-1", "q")):
        assert open_numbers(sealed, key, other) is None
    for damaged in (b"", sealed[:20], sealed[:-1], bytes([*sealed[:-1], sealed[-1] ^ 1])):
        assert open_numbers(damaged, key, bound) is None
    assert digest_card(NEW, key) == digest_card(NEW, key) != digest_card(NEW, b"j" * 32)
    assert digest_card(NEW, key) != digest_card(LOST, key)
