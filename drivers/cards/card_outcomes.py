"""Reports of cards that were asked for more than their number."""

from typing import assert_never

from drivers.cards.stream import CardReport, CardSighting, StoredSighting
from drivers.protocols.card_keys import StoredNumber
from drivers.protocols.card_proof import ProvenCard, RefusedCard
from drivers.protocols.fault import Fault
from drivers.readings import Authenticity, FaultCause, Technology
from drivers.uid import whole


def report_outcome(outcome: ProvenCard | StoredNumber | RefusedCard) -> CardReport:
    """Returns the sighting of a card that has proven itself or held a number, or why it counts for nothing."""
    match outcome:
        case ProvenCard(uid=uid):
            return CardSighting(whole(Technology.ISO14443A, uid), proven=True, authenticity=Authenticity.PROVEN)
        case StoredNumber(text=text):
            return StoredSighting(text)
        case RefusedCard(why=why):
            return Fault(why, FaultCause.CARD)
        case _:
            assert_never(outcome)
