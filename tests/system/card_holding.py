"""A person who holds a card to a reader, and again, until it is taken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.simulated.card_peer import CardPeer

AWAY_S = 0.8  # longer than a reader takes a card for one that is still there


@contextmanager
def held_card(peer: CardPeer, uid: bytes) -> Iterator[None]:
    """Presents the card again and again while the block runs."""
    is_taken = threading.Event()

    def hold() -> None:
        while not is_taken.wait(AWAY_S):
            peer.present(uid, frames=2)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        is_taken.set()
        holding.join()
