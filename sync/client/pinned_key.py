"""The ledger's key that this kiosk has pinned, and its way on to the next one.

An answer or a receipt names the key that signed it. Where that is another one than the pinned one, the kiosk asks for
the ledger's chain of keys, and follows it from the pinned key on: each is signed by the one before it. What the chain
does not lead to stays what it was, somebody else's word.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sync.contract import wire
from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import RECEIPT_KEYS_PATH, BrokenKeyChain, ReceiptKeyPage, follow_keys
from sync.errors import Unreachable

if TYPE_CHECKING:
    from sync.client.channel import HttpTransport

log = logging.getLogger(__name__)

CHAIN_BYTES_MAX: Final = 256 * 1024
_HEADERS: Final = {"accept": wire.JSON, "accept-encoding": "identity"}


def _store_nowhere(_: bytes) -> None:
    """Lets a new key be forgotten with the process: the next one follows the chain again."""


class PinnedKey:
    """The key of one ledger. `raw`: 32 bytes; none where no answer is to count as signed.

    `transport`: without one no chain is asked for, and the key stays. `store`: makes a new key durable; it may raise
    OSError.
    """

    def __init__(
        self, raw: bytes, transport: "HttpTransport | None" = None, store: Callable[[bytes], None] = _store_nowhere
    ) -> None:
        self.raw = raw
        self._transport = transport
        self._store = store

    def meet(self, keyid: str) -> None:
        """Pins the key of this fingerprint where the ledger's chain leads to it from the pinned one.

        Raises `Unreachable` where no chain came, or where the key is an earlier one of the chain: a process of the
        ledger has not taken the one in force yet.
        """
        if not self.raw or self._transport is None or keyid == fingerprint(self.raw):
            return
        page = self._fetch(self._transport)
        if page is None:
            return
        try:
            rest = follow_keys(page.keys, self.raw)
        except BrokenKeyChain as error:
            log.warning("the ledger's chain of keys does not hold: %s", error)
            return
        for key in rest:
            if fingerprint(key.raw) == keyid:
                self._pin(key.raw)
                return
        if any(fingerprint(key.raw) == keyid for key in page.keys):
            raise Unreachable(
                f"a process of the ledger signs with {keyid}, its key of before, for a second after a rotation; if "
                "this stays: its operator must copy receipt.key to every folder of the ledger"
            )

    def _fetch(self, transport: "HttpTransport") -> ReceiptKeyPage | None:
        """Returns the ledger's chain; None from a ledger that has none."""
        response = transport.request("GET", RECEIPT_KEYS_PATH, "", dict(_HEADERS), b"", CHAIN_BYTES_MAX)
        if response.status in {401, 404}:
            return None
        if response.status != 200:
            raise Unreachable(f"the ledger's chain of keys did not come: status {response.status}")
        try:
            return wire.read_json(ReceiptKeyPage, response.body)
        except wire.InvalidMessage as error:
            raise Unreachable(f"the ledger's chain of keys did not come: {error}") from error

    def _pin(self, raw: bytes) -> None:
        try:
            self._store(raw)
        except OSError as error:
            # It holds for this run; the next one follows the chain again.
            log.warning("the ledger's new key could not be stored: %s", error)
        log.info("the ledger signs with %s now, vouched for by %s", fingerprint(raw), fingerprint(self.raw))
        self.raw = raw


def pin_key(key: bytes | PinnedKey) -> PinnedKey:
    """Returns a pinned key; one that is given by its 32 bytes stays for ever."""
    return key if isinstance(key, PinnedKey) else PinnedKey(key)
