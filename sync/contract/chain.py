"""The hash chain that makes a journal provable.

    h_0 = SHA-256("cnt1-genesis" ‖ lp(device) ‖ lp(public key) ‖ lp(epoch) ‖ lp(parent head))
    h_i = SHA-256("cnt1" ‖ h_{i-1} ‖ uint32 big-endian length ‖ bytes_i)

lp(x) is x behind its length as uint32 big-endian, so that no two different fields run together. The parent head is
the last head of the previous epoch that the ledger acknowledged, or empty for a device's first epoch.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import NewType

import msgspec

DeviceId = NewType("DeviceId", str)
Epoch = NewType("Epoch", str)  # 16 lower-case hex digits, drawn at random when the epoch is opened
Hash = NewType("Hash", bytes)  # 32 bytes


class Head(msgspec.Struct, frozen=True):
    """The last event of a chain: its number (0: none yet) and its hash."""

    seq: int
    hash: Hash


def _prefixed(field: bytes) -> bytes:
    return len(field).to_bytes(4, "big") + field


def genesis(device: DeviceId, public_key: bytes, epoch: Epoch, parent_head: bytes = b"") -> Hash:
    """Returns the hash before an epoch's first event. `public_key`: 32 raw bytes of Ed25519."""
    fields = (device.encode(), public_key, epoch.encode(), parent_head)
    return Hash(sha256(b"cnt1-genesis" + b"".join(map(_prefixed, fields))).digest())


def extend(head: Hash, payload: bytes) -> Hash:
    """Returns the hash of one more event behind `head`."""
    return Hash(sha256(b"cnt1" + head + len(payload).to_bytes(4, "big") + payload).digest())


def chain_hashes(head: Hash, payloads: Iterable[bytes]) -> list[Hash]:
    """Returns the hashes of a run of events behind `head`, in order."""
    hashes = []
    for payload in payloads:
        head = extend(head, payload)
        hashes.append(head)
    return hashes
