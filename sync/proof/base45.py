"""Base45 (RFC 9285): bytes as text that a QR code holds in its alphanumeric mode, so that no scanner mangles them."""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def encode_base45(body: bytes) -> str:
    """Returns the text of these bytes. `verify_meal` reads it back."""
    text = []
    for start in range(0, len(body) - 1, 2):
        value = body[start] << 8 | body[start + 1]
        text += [ALPHABET[value % 45], ALPHABET[value // 45 % 45], ALPHABET[value // 2025]]
    if len(body) & 1:
        text += [ALPHABET[body[-1] % 45], ALPHABET[body[-1] // 45]]
    return "".join(text)
