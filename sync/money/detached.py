"""A detached Ed25519 signature in the forms in which a side hands it in: ledger and auditor read the same ones."""

import base64
from typing import Final

SIGNATURE_BYTES: Final = 64


def decode_ed25519(signature: bytes) -> bytes:
    """Returns the raw 64 bytes of a signature that came raw, as hex or as base64. Raises ValueError."""
    if len(signature) == SIGNATURE_BYTES:
        return signature
    text = b"".join(signature.split())
    try:
        is_hex = len(text) == 2 * SIGNATURE_BYTES
        raw = bytes.fromhex(text.decode("ascii")) if is_hex else base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("this file holds no Ed25519 signature") from error
    if len(raw) != SIGNATURE_BYTES:
        raise ValueError(f"a signature of {len(raw)} bytes")
    return raw
