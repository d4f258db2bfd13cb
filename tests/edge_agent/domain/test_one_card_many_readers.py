"""One card is one credential, whichever reader entered it and whichever reader reads it."""

from datetime import UTC
from itertools import permutations

import pytest

from drivers.readings import Technology, Uid
from drivers.uid import RejectedNumber, UidEncoding, own, to_uid
from edge_agent.domain.roster import build_roster
from sync.contract.roster import Credential, Notation, Person
from tests.vectors import load_reader

MIFARE, UNKNOWN = Technology.ISO14443A, Technology.UNKNOWN

# How the recorded readers write numbers: the `uid_encoding` that their settings would have.
READER_ENCODINGS = {
    "RC522 uid": (UidEncoding.HEX, MIFARE),
    "RC522": (UidEncoding.HEX, MIFARE),
    "UID": (UidEncoding.HEX, MIFARE),
    "other": (UidEncoding.HEX, MIFARE),
    "Wiegand34 hex": (UidEncoding.W34_REVERSED, UNKNOWN),
    "Wiegand34 dec": (UidEncoding.DEC10_REVERSED, UNKNOWN),
    "W26 hex (BSTUOKEY)": (UidEncoding.W26, UNKNOWN),
    "office reader (decimal of reversed)": (UidEncoding.DEC10_REVERSED, UNKNOWN),
    "naive RC522": (UidEncoding.HEX_BCC, MIFARE),
    "printed 10-digit": (UidEncoding.DEC10, UNKNOWN),
    "printed 3+5": (UidEncoding.W26, UNKNOWN),
    "wiegand dec": (UidEncoding.W26, UNKNOWN),
    "usb hex": (UidEncoding.HEX_INVERTED, UNKNOWN),
}
TRUNCATED_READING = "micropython-mfrc522"  # the cascade tag leaked in and the end is cut off: rejected, not guessed


def reader_text(label: str, value: str | int) -> str:
    if label == "W26 hex (BSTUOKEY)":
        number = bytes.fromhex(str(value))
        return f"{number[0]:03d},{int.from_bytes(number[1:], 'big'):05d}"
    if label == "wiegand dec":
        return f"{int(value) // 100_000:03d},{int(value) % 100_000:05d}"
    return str(value)


def read_cards() -> list[dict[str, str | int]]:
    cards: list[dict[str, str | int]] = []
    for vector in load_reader("same_card_other_reader")["vectors"]:
        lists = {label: value for label, value in vector["readings"].items() if isinstance(value, list)}
        if lists:
            cards += [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
        else:
            cards.append({label: value for label, value in vector["readings"].items() if label != TRUNCATED_READING})
    return cards


CARDS = read_cards()


def read_uid(label: str, value: str | int) -> Uid:
    encoding, technology = READER_ENCODINGS[label]
    uid = to_uid(reader_text(label, value), encoding, technology)
    assert isinstance(uid, Uid), uid
    return uid


@pytest.mark.parametrize("index", range(len(CARDS)))
def test_any_two_readers_name_the_same_child(index: int) -> None:
    for entered, presented in permutations([*CARDS[index], *CARDS[index]], 2):
        records: list[Person | Credential] = []
        for number, card in enumerate(CARDS):
            label = entered if number == index else next(iter(card))
            uid = read_uid(label, card[label])
            technology = "" if uid.technology is UNKNOWN else uid.technology.value
            notation = Notation(own(uid).notation.value)
            records.append(Person(id=f"p{number}", given_name="А", family_name="Б"))
            records.append(
                Credential(
                    id=f"c{number}", person=f"p{number}", value=str(own(uid)), technology=technology, notation=notation
                )
            )
        roster = build_roster(records, school="s", version=1, confirmed_at=None, tz=UTC)
        assert roster.problems == ()
        credentials = roster.find_cards(read_uid(presented, CARDS[index][presented]))
        assert [credential.id for credential in credentials] == [f"c{index}"], (
            f"entered from {entered}, read by {presented}"
        )


def test_a_number_that_lost_its_end_is_nobody() -> None:
    [vector] = [
        vector for vector in load_reader("same_card_other_reader")["vectors"] if TRUNCATED_READING in vector["readings"]
    ]
    refused = to_uid(vector["readings"][TRUNCATED_READING], UidEncoding.HEX, MIFARE)
    assert isinstance(refused, RejectedNumber)
    assert "cascade" in refused.why
