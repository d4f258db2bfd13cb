#!/usr/bin/env python3
"""Checks the proof of a meal, offline, with the keys that are printed on the paper slip.

    python3 verify_meal.py --ledger KEY --witness KEY PROOF      PROOF: the text of the QR code; - reads it from stdin
    python3 verify_meal.py --slip slip.txt -                     the slip as it was printed, or its two keys

This file stands alone: it needs Python 3.11 or later and the package `cryptography`, and nothing of the ledger that it
checks. Read it; that is its purpose. It prints what was stated, under which number and when. A later statement of the
same day may say something else: this file cannot know, and never says "now".

Exit code 0: the proof holds. 1: it does not. 2: it was called wrongly.
"""

import argparse
import base64
import hashlib
import re
import sys
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
PROOF_KIND = b"CMP\x01"
PROOF_BYTES_MAX = 1500
LOG_KEY, WITNESS_KEY = 0x01, 0x04  # the first byte of a key: C2SP signed-note
ROW_FIELDS = (
    "person", "session", "method", "device", "epoch", "seq", "entry_time", "exit_time", "closing", "programme",
    "claim", "why",
)  # fmt: skip


class ProofRefused(ValueError):
    """The proof does not hold; the message says why."""


class SlipKey:
    """A key as it stands on the slip: `name+id+base64`. Raises ValueError for one that was copied wrongly."""

    def __init__(self, text: str, kind: int) -> None:
        name, key_id, encoded = text.split("+", 2)
        body = base64.b64decode(encoded, validate=True)
        if len(body) != 33 or body[0] != kind or not name or any(letter.isspace() for letter in name):
            raise ValueError(f"{name!r} is no key of the expected kind")
        self.name, self.kind, self.public_key = name, kind, body[1:]
        self.key_id = hashlib.sha256(name.encode() + b"\n" + body).digest()[:4]
        if self.key_id.hex() != key_id:
            raise ValueError(f"the key {name!r} was copied wrongly: its id does not fit")

    def check(self, signature: bytes, message: bytes) -> None:
        """Refuses anything but this key's signature over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            raise ProofRefused(f"{self.name} has not signed this") from None


class ProofReader:
    """Takes a proof apart, from its first byte to its last."""

    def __init__(self, proof: bytes) -> None:
        self.rest = proof

    def take(self, count: int) -> bytes:
        """Returns the next bytes."""
        if count > len(self.rest):
            raise ProofRefused("the proof breaks off")
        part, self.rest = self.rest[:count], self.rest[count:]
        return part

    def number(self, count: int) -> int:
        """Returns the next bytes as a number."""
        return int.from_bytes(self.take(count), "big")

    def text(self, count: int) -> str:
        """Returns the next bytes as printable text."""
        try:
            text = self.take(count).decode("utf-8")
        except UnicodeDecodeError:
            raise ProofRefused("a text that is none") from None
        if not text.isprintable():
            raise ProofRefused("a text with characters that cannot be printed")
        return text

    def climb(self, leaf: bytes, index: int, size: int) -> bytes:
        """Returns the root of the tree of `size` leaves in which `leaf` stands at `index`: RFC 9162, 2.1.3.2."""
        if not 0 <= index < size < 2**63:
            raise ProofRefused(f"leaf {index} of {size}")
        root, place, last = hashlib.sha256(b"\0" + leaf).digest(), index, size - 1
        while last:
            beside = self.take(32)
            if place & 1 or place == last:
                root = hashlib.sha256(b"\1" + beside + root).digest()
                while place and not place & 1:
                    place, last = place >> 1, last >> 1
            else:
                root = hashlib.sha256(b"\1" + root + beside).digest()
            place, last = place >> 1, last >> 1
        return root


def decode_base45(text: str) -> bytes:
    """Returns the bytes of base45 (RFC 9285). One text, one meaning: nothing is passed over."""
    body = bytearray()
    if len(text) > 3 * PROOF_BYTES_MAX or len(text) % 3 == 1:
        raise ProofRefused("no proof: too long, or cut off")
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        if any(letter not in ALPHABET for letter in group):
            raise ProofRefused(f"{group!r} is not in the alphabet of base45")
        value = sum(ALPHABET.index(letter) * 45**power for power, letter in enumerate(group))
        if value >= 256 ** (len(group) - 1):
            raise ProofRefused(f"{group!r} stands for nothing in base45")
        body += value.to_bytes(len(group) - 1, "big")
    return bytes(body)


def read_row(row: bytes) -> dict[str, str]:
    """Returns the fields of a row, all of them text."""
    reader, fields = ProofReader(row), {}
    for name in ROW_FIELDS:
        fields[name] = reader.text(reader.number(2))
    if reader.rest:
        raise ProofRefused("a row with something behind its last field")
    return fields


def verify_meal(proof: bytes, ledger: SlipKey, witness: SlipKey) -> dict[str, str]:
    """Returns what the proof states: school, day, number, times, and the row's fields. Raises ProofRefused."""
    if len(proof) > PROOF_BYTES_MAX or not proof.startswith(PROOF_KIND):
        raise ProofRefused("this is no proof of a meal, or one of a newer kind")
    reader = ProofReader(proof[len(PROOF_KIND) :])
    if reader.take(4) != ledger.key_id:
        raise ProofRefused("signed by another ledger or for another school than the slip names")
    if reader.take(4) != witness.key_id:
        raise ProofRefused("seen by another witness than the slip names")
    row = reader.take(reader.number(2))
    salt = reader.take(16)
    index, rows = reader.number(4), reader.number(4)
    row_root = reader.climb(b"canteen row v1\n" + salt + row, index, rows)
    day, number, time = reader.text(10), reader.number(4), reader.text(24)
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day) or number == 0:
        raise ProofRefused("a statement without a day or number")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", time):
        raise ProofRefused("a statement without a time")
    encoded = base64.b64encode(row_root).decode()
    statement = f"canteen statement v1\n{day}\n{number}\n{time}\n{rows}\n{encoded}\n"
    log_index, log_size = reader.number(8), reader.number(8)
    log_root = base64.b64encode(reader.climb(statement.encode(), log_index, log_size)).decode()
    checkpoint = f"{ledger.name}\n{log_size}\n{log_root}\n"
    ledger.check(reader.take(64), checkpoint.encode())
    seconds = reader.number(8)
    witness.check(reader.take(64), f"cosignature/v1\ntime {seconds}\n{checkpoint}".encode())
    if reader.rest:
        raise ProofRefused(f"{len(reader.rest)} bytes behind the end of the proof")
    path = ledger.name.split("/")
    if len(path) < 3 or path[-1] != "claims":
        raise ProofRefused("the slip's key is not of a log of claims")
    try:
        seen_at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        raise ProofRefused("a cosignature without a time") from None
    stated = {"school": path[-2], "day": day, "number": str(number), "stated_at": time, "seen_by_witness": seen_at}
    return {**stated, **read_row(row)}


def read_keys(arguments: argparse.Namespace) -> tuple[SlipKey, SlipKey]:
    """Returns the keys of ledger and witness, from the slip's file or from the command line."""
    texts = [arguments.ledger, arguments.witness]
    if arguments.slip:
        with open(arguments.slip, encoding="utf-8") as slip:  # noqa: PTH123  # no other module is worth it
            texts = [word for word in slip.read().split() if word.count("+") >= 2]  # the slip as printed, or its keys
    if len(texts) != 2 or not all(texts):
        raise ValueError("two keys are needed, the ledger's and the witness's: --ledger and --witness, or --slip")
    return SlipKey(texts[0], LOG_KEY), SlipKey(texts[1], WITNESS_KEY)


def check_subject(stated: dict[str, str], **expected: str | None) -> None:
    """Refuses a proof of another child or day than the reader asks about."""
    for name, wanted in expected.items():
        if wanted is not None and stated[name] != wanted:
            raise ProofRefused(f"a proof for {name} {stated[name]}, not {wanted}")


def main() -> int:
    """Checks one proof and prints what it states."""
    parser = argparse.ArgumentParser(description="Checks the proof of a meal, offline.")
    parser.add_argument("proof", help="the text of the QR code; - reads it from standard input")
    parser.add_argument("--ledger", help="the ledger's key, as on the slip")
    parser.add_argument("--witness", help="the witness's key, as on the slip")
    parser.add_argument("--slip", help="the slip, or a file with both keys, the ledger's first")
    parser.add_argument("--child", help="refuse a proof of anybody but this child: the id on the slip")
    parser.add_argument("--day", help="refuse a proof of any day but this one, as 2026-11-20")
    arguments = parser.parse_args()
    try:
        ledger, witness = read_keys(arguments)
    except (OSError, ValueError) as error:
        print(f"wrong keys: {error}", file=sys.stderr)
        return 2
    try:
        text = arguments.proof
        if text == "-":  # bytes, since text would have its line ends changed; one newline is the line's own end
            text = sys.stdin.buffer.read(4 * PROOF_BYTES_MAX).removesuffix(b"\n").decode("ascii")
        stated = verify_meal(decode_base45(text), ledger, witness)
        check_subject(stated, person=arguments.child, day=arguments.day)
    except (ProofRefused, UnicodeDecodeError) as error:
        print(f"REFUSED: {error}")
        return 1
    print(f"holds: statement {stated['number']} of {stated['day']}, stated {stated['stated_at']}, says:")
    for name in ("school", "seen_by_witness", *ROW_FIELDS):
        print(f"  {name:16} {stated[name]}")
    print("a later statement of this day may say something else")
    return 0


if __name__ == "__main__":
    sys.exit(main())
