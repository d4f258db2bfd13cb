"""The numbers of replacement cards: sealed under the school's key where there is one, else under this kiosk's own."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from drivers.readings import Uid
from edge_agent.domain.card_seal import CARD_NONCE_BYTES, SealedNumbers, digest_card, open_numbers, seal_numbers
from edge_agent.domain.replacement_cards import ReplacementCard
from edge_agent.journal.replacement_table import StoredReplacement
from edge_agent.runtime.pin_hashes import KIOSK, SEALING, write_secret_file
from edge_agent.runtime.school_secret import derive_school_secret

NUMBERS_SECRET_NAME: Final = "cards.key"  # noqa: S105  the name of a file
NUMBERS_SECRET_BYTES: Final = 32
_KEY_USE: Final = b"canteen replacement cards 1"


class CardNumbers:
    """Seals and opens the numbers of replacement cards of one school, and names them by a keyed digest."""

    def __init__(self, state_dir: Path, school: str) -> None:
        self._state_dir = state_dir
        self._school = school

    def seal(self, numbers: SealedNumbers, credential: str, person: str) -> tuple[str, bytes]:
        """Returns the name of the key and the sealed numbers. Raises OSError when a new key cannot be stored."""
        name, key = self._best_key()
        bound = (self._school, credential, person)
        return name, seal_numbers(numbers, key, bound, os.urandom(CARD_NONCE_BYTES))

    def digest(self, uid: Uid) -> str:
        """Returns the keyed digest of a number. Raises OSError when a new key cannot be stored."""
        return digest_card(uid, self._best_key()[1])

    def open_all(self, stored: Sequence[StoredReplacement]) -> list[ReplacementCard]:
        """Returns these replacements with their numbers, as far as this kiosk has the key."""
        keys = {name: self._read_key(name) for name in {card.key for card in stored}}
        return [self._open(card, keys[card.key]) for card in stored]

    def _open(self, card: StoredReplacement, key: bytes | None) -> ReplacementCard:
        bound = (self._school, card.id, card.person)
        numbers = open_numbers(card.sealed, key, bound) if key is not None and card.sealed else None
        if numbers is None:
            return ReplacementCard(card.id, card.person, card.blocked)
        return ReplacementCard(card.id, card.person, card.blocked, numbers.number, numbers.replaced)

    def _best_key(self) -> tuple[str, bytes]:
        sealing = derive_school_secret(self._state_dir, _KEY_USE)
        if sealing is not None:
            return SEALING, sealing
        own = self._read_key(KIOSK)
        if own is None:
            own = secrets.token_bytes(NUMBERS_SECRET_BYTES)
            write_secret_file(self._state_dir / NUMBERS_SECRET_NAME, own)
        return KIOSK, own

    def _read_key(self, name: str) -> bytes | None:
        if name == SEALING:
            return derive_school_secret(self._state_dir, _KEY_USE)
        try:
            return (self._state_dir / NUMBERS_SECRET_NAME).read_bytes()
        except FileNotFoundError:
            return None
