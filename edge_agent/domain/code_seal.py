"""The seal on the secrets of changing codes: ledger, roster and backups hold them sealed, kiosks alone open them.

ChaCha20-Poly1305 under the school's code key (32 bytes): 12 bytes of nonce, the secret, 16 bytes of tag, in base64. The
holder, which is the name that the QR code shows, is sealed with it, so that nobody can give one child the secret of
another.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.contract.dynamic_codes import SECRET_BYTES_MIN

CODE_KEY_BYTES = 32
NONCE_BYTES = 12


def seal_secret(secret: bytes, key: bytes, holder: str, nonce: bytes) -> str:
    """Returns the sealed secret as base64. Raises ValueError for a short secret, or a nonce or key of another size."""
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"a secret of {len(secret)} bytes; at least {SECRET_BYTES_MIN}")
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce of {len(nonce)} bytes; {NONCE_BYTES} are needed")
    return base64.b64encode(nonce + ChaCha20Poly1305(key).encrypt(nonce, secret, _bind(holder))).decode()


def open_secret(sealed: str, key: bytes, holder: str) -> bytes | None:
    """Returns the secret; None where it was sealed under another key or for another holder, or is damaged."""
    try:
        data = base64.b64decode(sealed, validate=True)
        return ChaCha20Poly1305(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _bind(holder))
    except (InvalidTag, ValueError, binascii.Error):
        return None


def _bind(holder: str) -> bytes:
    return b"canteen-dynamic-code\0" + holder.encode()
