"""The school's secret: how it is made, what is drawn from it, how it reaches another kiosk, how paper brings it back.

One key of 32 bytes belongs to a school. From it HKDF (RFC 5869) gives, each under its own label:

    the stream of the codes' permutations and pads     (AES-256-CTR under its own key)
    the key that seals palms at rest and for export    (AES-256-GCM)
    a public fingerprint, so that two keys can be told apart

The first kiosk makes it. A further kiosk (the receiver) gets it from one that has it (the sender), sealed to its
X25519 device key. Both screens show a short code over both public keys; a technician compares them before the secret
leaves, since whoever could put his own keys in between would have the school's palms.

    receiver → sender    promise   version 1 ‖ SHA-256 of the hello
    sender → receiver    offer     version 1 ‖ sender's public key, made for this time only (32)
    receiver → sender    hello     version 1 ‖ receiver's public key (32) ‖ dice (16)      now both show the code
    sender → receiver    parcel    version 1 ‖ nonce (12) ‖ AES-256-GCM of the secret      after "they are the same"

The promise is what lets the code be short: without it, somebody in between would try keys until the codes agree.

Losing the key means enrolling every palm again; a printout of it, kept in the school's safe, restores it.
"""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge_agent.palm.matching import permutation
from edge_agent.palm.matching.permutation import Scrambles

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
CODE_DIGITS: Final = 6  # the odds of a man in the middle, who has one try and is seen, are one in a million
PAPER_GROUP: Final = 4
_LABEL: Final = b"canteen palm 1 "
_VERSION: Final = 1
_HELLO_NONCE_BYTES: Final = 16
_HELLO_BYTES: Final = 1 + KEY_BYTES + _HELLO_NONCE_BYTES
_OFFER_BYTES: Final = 1 + KEY_BYTES
_PROMISE_BYTES: Final = 1 + 32
_CHECK_BYTES: Final = 3  # a slip of the pen passes with odds of one in 16 million
LOSS_WARNING: Final = (
    "Without this key no enrolled palm can be used: every child would have to be enrolled again. "
    "Print it and keep the paper in the school's safe."
)

Dice = Callable[[int], bytes]
"""n unpredictable bytes, as os.urandom gives them."""


class KeyRefused(ValueError):
    """The message or printout brings no school's key: it is damaged, for another receiver, or of another version."""


@dataclass(frozen=True, slots=True)
class SchoolKey:
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise KeyRefused(f"{len(self.secret)} bytes, a school's key has {KEY_BYTES}")

    @classmethod
    def make(cls, dice: Dice) -> "SchoolKey":
        return cls(dice(KEY_BYTES))

    @property
    def fingerprint(self) -> str:
        """Returns sixteen hex digits that may be shown."""
        return _derive(self.secret, b"fingerprint", 8).hex()

    def scrambles(self) -> Scrambles:
        """Returns the permutations and pads of this school; they are the same on every kiosk of it."""
        cipher = Cipher(algorithms.AES(_derive(self.secret, b"codes", KEY_BYTES)), modes.CTR(bytes(16))).encryptor()
        return permutation.draw(lambda count: cipher.update(bytes(count)))

    def sealing(self) -> AESGCM:
        return AESGCM(_derive(self.secret, b"seal", KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Receiver:
    """The kiosk that asks for the key."""

    private: X25519PrivateKey = field(repr=False)
    nonce: bytes = field(repr=False)

    @classmethod
    def make(cls, device_key: X25519PrivateKey, dice: Dice) -> "Receiver":
        return cls(device_key, dice(_HELLO_NONCE_BYTES))

    @property
    def hello(self) -> bytes:
        return bytes((_VERSION,)) + self.private.public_key().public_bytes_raw() + self.nonce

    @property
    def promise(self) -> bytes:
        return _promise(self.hello)

    def code(self, offer: bytes) -> str:
        """Returns the short code that this screen shows."""
        return _code(self.hello, _checked(offer, _OFFER_BYTES))

    def open(self, offer: bytes, parcel: bytes) -> SchoolKey:
        """Returns the school's key from the parcel. Raises `KeyRefused`."""
        sealing = _pair(self.private, self.hello, _checked(offer, _OFFER_BYTES), offer[1:])
        if len(parcel) < 1 + NONCE_BYTES or parcel[0] != _VERSION:
            raise KeyRefused("no parcel of this version")
        nonce, sealed = parcel[1 : 1 + NONCE_BYTES], parcel[1 + NONCE_BYTES :]
        try:
            return SchoolKey(sealing.decrypt(nonce, sealed, self.hello + offer))
        except InvalidTag:
            raise KeyRefused("the parcel was changed on the way, or made for another kiosk") from None


@dataclass(frozen=True, slots=True)
class Sender:
    """The kiosk that has the key, during one handing over."""

    private: X25519PrivateKey = field(repr=False)
    promise: bytes  # the receiver's

    @classmethod
    def make(cls, promise: bytes, dice: Dice) -> "Sender":
        return cls(X25519PrivateKey.from_private_bytes(dice(KEY_BYTES)), _checked(promise, _PROMISE_BYTES))

    @property
    def offer(self) -> bytes:
        return bytes((_VERSION,)) + self.private.public_key().public_bytes_raw()

    def code(self, hello: bytes) -> str:
        """Returns the short code that this screen shows. Raises `KeyRefused` where the hello is not the promised
        one.
        """
        if not hmac.compare_digest(_promise(_checked(hello, _HELLO_BYTES)), self.promise):
            raise KeyRefused("the other kiosk's key is not the one it had promised: begin again")
        return _code(hello, self.offer)

    def parcel(self, key: SchoolKey, hello: bytes, compared: str, dice: Dice) -> bytes:
        """Returns the sealed key. `compared` is the code typed from the other screen. Raises `KeyRefused`."""
        if not hmac.compare_digest("".join(compared.split()).encode(), "".join(self.code(hello).split()).encode()):
            raise KeyRefused("the screens show different codes: somebody may be in between, nothing was sent")
        sealing = _pair(self.private, hello, self.offer, hello[1 : 1 + KEY_BYTES])
        nonce = dice(NONCE_BYTES)
        return bytes((_VERSION,)) + nonce + sealing.encrypt(nonce, key.secret, hello + self.offer)


def to_paper(key: SchoolKey) -> tuple[str, ...]:
    """Returns the printout in groups of four: version, key and checksum in base32 (no 0, 1, 8, 9 to be mistaken)."""
    body = bytes((_VERSION,)) + key.secret
    text = base64.b32encode(body + sha256(_LABEL + b"paper" + body).digest()[:_CHECK_BYTES]).decode().rstrip("=")
    return tuple(text[start : start + PAPER_GROUP] for start in range(0, len(text), PAPER_GROUP))


def from_paper(text: str) -> SchoolKey:
    """Reads a key that was typed in, in any case, with any blanks or dashes. Raises `KeyRefused`."""
    letters = "".join(text.split()).replace("-", "").upper().replace("0", "O").replace("1", "I").replace("8", "B")
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:
        raise KeyRefused("only letters and the digits 2 to 7 stand on the printout") from None
    if len(raw) != 1 + KEY_BYTES + _CHECK_BYTES:
        raise KeyRefused(f"{len(letters)} characters: a group is missing or doubled")
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    # A second spelling of the same bytes would be harmless, but also a sign of a slip.
    if not hmac.compare_digest(sha256(_LABEL + b"paper" + body).digest()[:_CHECK_BYTES], check):
        raise KeyRefused("the checksum does not fit: a character is wrong")
    if body[0] != _VERSION:
        raise KeyRefused(f"a printout of version {body[0]}, only {_VERSION} is understood")
    return SchoolKey(body[1:])


def _derive(secret: bytes, label: bytes, length: int, salt: bytes | None = None) -> bytes:
    return HKDF(SHA256(), length, salt, _LABEL + label).derive(secret)


def _checked(message: bytes, length: int) -> bytes:
    if len(message) != length or message[0] != _VERSION:
        raise KeyRefused(f"{len(message)} bytes that are no message of version {_VERSION}")
    return message


def _promise(hello: bytes) -> bytes:
    return bytes((_VERSION,)) + sha256(_LABEL + b"promise" + hello).digest()


def _code(hello: bytes, offer: bytes) -> str:
    number = int.from_bytes(sha256(_LABEL + b"code" + hello + offer).digest()[:8]) % 10**CODE_DIGITS
    digits = f"{number:0{CODE_DIGITS}d}"
    return f"{digits[:3]} {digits[3:]}"


def _pair(own: X25519PrivateKey, hello: bytes, offer: bytes, partner_public: bytes) -> AESGCM:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(partner_public))
    except ValueError:
        raise KeyRefused("the other side's public key is none") from None
    return AESGCM(_derive(shared, b"parcel", KEY_BYTES, salt=sha256(hello + offer).digest()))
