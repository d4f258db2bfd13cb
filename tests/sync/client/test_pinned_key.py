"""A kiosk follows the ledger's chain of keys from the one that it has pinned, and nothing else."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.client.channel import HttpResponse
from sync.client.pinned_key import PinnedKey
from sync.contract import wire
from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import BrokenKeyChain, ReceiptKey, ReceiptKeyPage, follow_keys, hand_over
from sync.errors import Unreachable

SINCE = "2026-11-30T10:00:00.000Z"
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(4)]
RAW = [key.public_key().public_bytes_raw() for key in KEYS]
NAMES = [fingerprint(raw) for raw in RAW]
CHAIN = (
    ReceiptKey(public_key=RAW[0].hex(), since=SINCE),
    *(hand_over(former, following, SINCE) for former, following in zip(KEYS, RAW[1:3], strict=False)),
)


class ChainTransport:
    """A ledger that publishes these keys, or answers with this status."""

    def __init__(self, keys: tuple[ReceiptKey, ...] = CHAIN, status: int = 200) -> None:
        self.answer = HttpResponse(status, {}, wire.to_json(ReceiptKeyPage(time=SINCE, keys=keys)))
        self.requests = 0

    def request(self, method: str, path: str, query: str, headers: dict[str, str], *_: object) -> HttpResponse:
        assert (method, path, query) == ("GET", "/v1/receipt-keys", "")
        assert "signature" not in headers
        self.requests += 1
        return self.answer


@pytest.mark.parametrize("met", [1, 2])
def test_the_key_that_was_met_is_pinned_and_stored(met: int) -> None:
    stored: list[bytes] = []
    pinned = PinnedKey(RAW[0], ChainTransport(), stored.append)
    pinned.meet(NAMES[met])
    assert (pinned.raw, stored) == (RAW[met], [RAW[met]])


def test_the_pinned_key_needs_no_question() -> None:
    transport = ChainTransport()
    PinnedKey(RAW[1], transport).meet(NAMES[1])
    PinnedKey(b"", transport).meet(NAMES[1])
    PinnedKey(RAW[0]).meet(NAMES[1])
    assert transport.requests == 0


def test_a_key_of_before_is_not_believed_and_alarms_nobody() -> None:
    pinned = PinnedKey(RAW[1], ChainTransport())
    with pytest.raises(Unreachable, match="its key of before"):
        pinned.meet(NAMES[0])
    assert pinned.raw == RAW[1]


@pytest.mark.parametrize(
    "chain",
    [
        (),
        (CHAIN[1], CHAIN[2]),  # not from the pinned one on
        (CHAIN[0], CHAIN[2]),  # one left out
        (CHAIN[0], hand_over(KEYS[3], RAW[1], SINCE)),
        (CHAIN[0], ReceiptKey(public_key=RAW[1].hex(), since=SINCE)),
        (CHAIN[0], ReceiptKey(public_key=RAW[1].hex(), since=SINCE, signature="no hex")),
    ],
)
def test_a_chain_that_does_not_hold_leads_nowhere(chain: tuple[ReceiptKey, ...]) -> None:
    pinned = PinnedKey(RAW[0], ChainTransport(chain))
    pinned.meet(NAMES[2])
    assert pinned.raw == RAW[0]


@pytest.mark.parametrize("harm", range(3))
def test_every_field_of_a_link_is_signed(harm: int) -> None:
    changed: Callable[[ReceiptKey], ReceiptKey] = [
        lambda key: ReceiptKey(public_key=RAW[3].hex(), since=key.since, signature=key.signature),
        lambda key: ReceiptKey(public_key=key.public_key, since=SINCE[:-1], signature=key.signature),
        lambda key: ReceiptKey(public_key=key.public_key, since=key.since, signature="00" * 64),
    ][harm]
    with pytest.raises(BrokenKeyChain, match="is not signed by"):
        follow_keys((CHAIN[0], changed(CHAIN[1])), RAW[0])


@pytest.mark.parametrize("status", [401, 404])
def test_an_older_ledger_has_no_chain(status: int) -> None:
    pinned = PinnedKey(RAW[0], ChainTransport(status=status))
    pinned.meet(NAMES[1])
    assert pinned.raw == RAW[0]


def test_a_chain_that_does_not_come_is_asked_for_later() -> None:
    for transport in (ChainTransport(status=503), ChainTransport(status=429)):
        with pytest.raises(Unreachable):
            PinnedKey(RAW[0], transport).meet(NAMES[1])


def test_a_full_disk_does_not_stop_the_kiosk() -> None:
    def refuse(_: bytes) -> None:
        raise OSError("no space left")

    pinned = PinnedKey(RAW[0], ChainTransport(), refuse)
    pinned.meet(NAMES[2])
    assert pinned.raw == RAW[2]
