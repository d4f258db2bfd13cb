"""The seal on the secrets of changing codes: ledger, roster and backups hold them sealed, kiosks alone open them.

ChaCha20-Poly1305 under the school's code key (32 bytes): 12 bytes of nonce, the secret, 16 bytes of tag, in base64. The
holder is sealed with it, so that nobody can give one child the secret of another.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.contract.dynamic_codes import SECRET_BYTES_MIN

CODE_KEY_BYTES = 32
NONCE_BYTES = 12


def seal_secret(secret: bytes, key: bytes, person: str, nonce: bytes) -> str:
    """Returns the sealed secret as base64. Raises ValueError for a short secret, or a nonce or key of another size."""
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"a secret of {len(secret)} bytes; at least {SECRET_BYTES_MIN}")
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce of {len(nonce)} bytes; {NONCE_BYTES} are needed")
    return base64.b64encode(nonce + ChaCha20Poly1305(key).encrypt(nonce, secret, _holder(person))).decode()


def open_secret(sealed: str, key: bytes, person: str) -> bytes | None:
    """Returns the secret; None where it was sealed under another key or for another person, or is damaged."""
    try:
        data = base64.b64decode(sealed, validate=True)
        return ChaCha20Poly1305(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _holder(person))
    except (InvalidTag, ValueError, binascii.Error):
        return None


def _holder(person: str) -> bytes:
    return b"canteen-dynamic-code\0" + person.encode()
