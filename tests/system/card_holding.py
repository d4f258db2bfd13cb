"""A person who holds a card to a reader until it is taken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.simulated.card_peer import CardPeer


@contextmanager
def held_card(peer: CardPeer, uid: bytes) -> Iterator[None]:
    """Presents the card again and again while the block runs."""
    is_taken = threading.Event()

    def hold() -> None:
        while not is_taken.wait(0.2):
            peer.present(uid)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        is_taken.set()
        holding.join()
