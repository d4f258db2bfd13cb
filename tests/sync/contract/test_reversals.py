"""Decisions of named persons: their one form, and who signed them."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.contract.event import Claim
from sync.contract.reversals import BadReversal, Reversal, encode_reversal, sign_reversal, verify_reversal
from sync.contract.visit import EventId

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
DECISION = Reversal(
    school="sch-1", device="sch-1-ab", epoch="00000000000000aa", seq=7, claim=Claim.CLAIMABLE, reason="Жаңа оқушы",
    officer="d.omarova", decided_at="2026-11-30T09:00:00Z",
)  # fmt: skip


def test_the_bytes_are_these_for_ever() -> None:
    assert encode_reversal(DECISION).decode() == (
        "canteen reversal 1\n"
        '{"claim":"claimable","decided_at":"2026-11-30T09:00:00Z","device":"sch-1-ab","epoch":"00000000000000aa",'
        '"officer":"d.omarova","reason":"Жаңа оқушы","school":"sch-1","seq":7}'
    )


def test_a_signed_decision_is_read_again() -> None:
    body, signature = sign_reversal(DECISION, KEY)
    assert verify_reversal(body, signature, PUBLIC) == DECISION
    assert DECISION.event == EventId("sch-1-ab", "00000000000000aa", 7)


def test_another_key_decides_nothing() -> None:
    body, signature = sign_reversal(DECISION, KEY)
    with pytest.raises(BadReversal, match="not of this officer's key"):
        verify_reversal(body, signature, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(BadReversal, match="not of this officer's key"):
        verify_reversal(body, signature, b"short")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_passes(place: int, change: int) -> None:
    body, signature = sign_reversal(DECISION, KEY)
    changed = bytearray(body + signature)
    changed[place % len(changed)] ^= change
    with pytest.raises(BadReversal):
        verify_reversal(bytes(changed[: len(body)]), bytes(changed[len(body) :]), PUBLIC)


@pytest.mark.parametrize(
    "body",
    [
        b"canteen reversal 2\n" + encode_reversal(DECISION).partition(b"\n")[2],
        b"canteen reversal 1\n{}",
        encode_reversal(DECISION).replace(b'"seq":7', b'"seq": 7'),
        encode_reversal(DECISION)[:-1] + b',"programme":""}',
        encode_reversal(DECISION)[:-1] + b',"more":1}',
    ],
)
def test_only_the_one_form_is_read(body: bytes) -> None:
    with pytest.raises(BadReversal):
        verify_reversal(body, KEY.sign(body), PUBLIC)


@pytest.mark.parametrize("change", [{"claim": Claim.SECOND}, {"reason": " "}, {"reason": "x" * 501}])
def test_what_no_person_decides(change: dict[str, object]) -> None:
    with pytest.raises(BadReversal):
        encode_reversal(msgspec.structs.replace(DECISION, **change))
