import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.receipt import ForgedReceipt, Receipt

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = Head(7, Hash(bytes(range(32))))
GOOD = receipt.issue(KEY, DeviceId("k1"), Epoch("00000000000000aa"), HEAD, "2026-11-22T04:40:00.000Z")


def test_a_receipt_covers_its_head_and_survives_the_journal() -> None:
    assert receipt.check(GOOD, PUBLIC) == HEAD
    assert receipt.from_json(receipt.to_json(GOOD)) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"device": "k2"},
        {"epoch": "00000000000000ab"},
        {"accepted_through": 8},
        {"accepted_through": -1},
        {"accepted_through": 2**70},
        {"head": bytes(32).hex()},
        {"head": "zz"},
        {"time": "2026-11-22T04:40:00.001Z"},
        {"signature": bytes(64).hex()},
        {"signature": "zz"},
        {"key": "0" * 16},
    ],
)
def test_nothing_in_it_can_be_changed(change: dict[str, object]) -> None:
    with pytest.raises(ForgedReceipt):
        receipt.check(msgspec.structs.replace(GOOD, **change), PUBLIC)


def test_another_ledgers_receipt_is_named_as_such() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(ForgedReceipt, match="register"):
        receipt.check(receipt.issue(other, DeviceId("k1"), Epoch("00000000000000aa"), HEAD, GOOD.time), PUBLIC)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"device":1}'])
def test_rubbish_is_no_receipt(text: bytes) -> None:
    with pytest.raises(ForgedReceipt):
        receipt.from_json(text)


def test_fields_cannot_run_together() -> None:
    """`k` + `1…` and `k1` + `…` must not sign the same bytes."""
    split: Receipt = receipt.issue(KEY, DeviceId("k"), Epoch("100000000000000aa"), HEAD, GOOD.time)
    assert split.signature != GOOD.signature
