"""The contract's own test vectors, checked here without the code that made them: hashlib, struct and json only."""

import json
import struct
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract import batch, chain, event, receipt, signature

VECTORS: dict[str, Any] = json.loads(files("sync.contract").joinpath("vectors.json").read_text("utf-8"))
CHAIN = VECTORS["chain"]
PUBLIC = bytes.fromhex(VECTORS["keys"]["device_public"])


def lp(field: bytes) -> bytes:
    return struct.pack(">I", len(field)) + field


def test_genesis_and_hashes_follow_the_formula() -> None:
    fields = (VECTORS["device"].encode(), PUBLIC, VECTORS["epoch"].encode())
    start = b"cnt1-genesis" + b"".join(map(lp, fields))
    parent = bytes.fromhex(CHAIN["genesis_with_parent"]["parent"])
    assert sha256(start + lp(b"")).hexdigest() == CHAIN["genesis"]
    assert sha256(start + lp(parent)).hexdigest() == CHAIN["genesis_with_parent"]["genesis"]
    link = bytes.fromhex(CHAIN["genesis"])
    for payload, expected in zip(CHAIN["payloads"], CHAIN["hashes"], strict=True):
        link = sha256(b"cnt1" + link + lp(payload.encode())).digest()
        assert link.hex() == expected


def test_our_chain_agrees() -> None:
    device, epoch = chain.DeviceId(VECTORS["device"]), chain.Epoch(VECTORS["epoch"])
    genesis = chain.genesis(device, PUBLIC, epoch)
    assert genesis.hex() == CHAIN["genesis"]
    assert [link.hex() for link in chain.chain_hashes(genesis, [text.encode() for text in CHAIN["payloads"]])] == CHAIN[
        "hashes"
    ]


def test_payloads_are_the_bytes_that_we_would_make() -> None:
    for text in CHAIN["payloads"]:
        assert event.encode(event.decode(text.encode())) == text.encode()
        assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text


@pytest.mark.parametrize("name", ["batch", "batch_with_tombstone"])
def test_batches_lead_from_prev_to_head(name: str) -> None:
    read = batch.decode(VECTORS[name]["body"].encode())
    assert [link.hex() for link in batch.link_hashes(read)] == CHAIN["hashes"]
    assert batch.encode(read.header, read.lines) == VECTORS[name]["body"].encode()


@pytest.mark.parametrize("refused", VECTORS["refused_batches"], ids=lambda refused: refused["why"])
def test_broken_batches_are_refused(refused: dict[str, str]) -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.link_hashes(batch.decode(refused["body"].encode()))


@pytest.mark.parametrize("signed", VECTORS["signatures"], ids=lambda signed: signed["method"])
def test_signatures(signed: dict[str, Any]) -> None:
    request = signature.SignableRequest(
        signed["method"], signed["path"], signed["query"], signed["headers"], signed["body"].encode()
    )
    found = signature.verify(request, PUBLIC)
    assert (found.base, found.keyid) == (signed["base"], VECTORS["device"])
    seed = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["keys"]["device_seed"]))
    by_hand = b64encode(seed.sign(signed["base"].encode())).decode()
    assert signed["headers"]["signature"] == f"cnt=:{by_hand}:"
    if signed["body"]:
        by_hand = b64encode(sha256(signed["body"].encode()).digest()).decode()
        assert signed["headers"]["content-digest"] == f"sha-256=:{by_hand}:"


def test_receipt() -> None:
    stated = VECTORS["receipt"]
    statement = (
        b"cnt1-receipt"
        + lp(stated["device"].encode())
        + lp(stated["epoch"].encode())
        + struct.pack(">Q", stated["accepted_through"])
        + bytes.fromhex(stated["head"])
        + lp(stated["time"].encode())
    )
    assert statement.hex() == VECTORS["receipt_signed"]
    key = bytes.fromhex(VECTORS["keys"]["ledger_public"])
    Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(stated["signature"]), statement)
    ours = receipt.from_json(json.dumps(stated).encode())
    assert receipt.check(ours, key) == chain.Head(3, chain.Hash(bytes.fromhex(CHAIN["hashes"][-1])))
