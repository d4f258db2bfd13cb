"""Cards that prove themselves: MIFARE DESFire and NTAG 424 DNA, by AES keys that the city has put into them.

A card's number alone can be copied to any other card in a minute. Here card and reader each show that they have the
same key, without saying it (ISO/IEC 9798-2, three passes):

    90 71 KeyNo 00    AuthenticateEV2First: NTAG 424, DESFire EV2 and EV3     → E(RndB)
    90 AA KeyNo       Authenticate AES: DESFire from EV1 on                   → E(RndB)
    90 AF E(RndA ‖ RndB')                                                     → E(TI ‖ RndA' ‖ …), E(RndA')
    90 51             GetCardUID, enciphered: cards may show a drawn number before

With a key for each card, made of the city's key and the card's number (NXP AN10922), the proof is of that number.
Without, the card is asked for its number again, inside the session that the key has opened.

Sources: NXP AN12196 (NTAG 424), AN12343 (DESFire Light), AN10922; the answers of EV1 as open implementations read them.
"""

import hmac
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

CARD_KEY_BYTES = 16
_BLOCK = 16
_ZERO = bytes(_BLOCK)
_DONE, _MORE = b"\x91\x00", b"\x91\xaf"
_UID_BYTES = 7

NTAG424_APPLICATION = bytes.fromhex("D2760000850101")

RandomBytes = Callable[[int], bytes]
Dialogue = Generator[bytes, bytes, "ProvenCard | RefusedCard | None"]
"""Yields commands for the card and is sent its answers; ends with what was proven, or None for a card of other kind."""


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A key by which cards prove themselves, and where on the card it lies."""

    kind: Literal["ntag424", "desfire", "desfire-ev1"]
    application: bytes  # the DF name (ntag424), or the three bytes of the application as they go over the air
    number: int
    key: bytes = field(repr=False)
    is_diversified: bool = False  # each card has a key of its own
    diversifier: bytes = b""  # what follows the card's number in it


@dataclass(frozen=True, slots=True)
class ProvenCard:
    """A card that has shown that it has the key, and its number."""

    uid: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefusedCard:
    """A card that could not show it. `why`: a sentence for the staff, without a number."""

    why: str


def diversify(key: bytes, source: bytes) -> bytes:
    """Returns the AES-128 key of one card: AN10922, 2.2. `source`: its number and what follows, at most 31 bytes."""
    if not 0 < len(source) <= 2 * _BLOCK - 1:
        raise ValueError(f"a key is made of 1 to 31 bytes, not {len(source)}")
    message = b"\x01" + source
    if len(message) > _BLOCK:
        return _cmac(key, message)
    # AN10922 pads to two blocks always, where a CMAC would pad to one.
    subkey = _double(_double(_encrypt(key, _ZERO, _ZERO)))
    padded = (message + b"\x80").ljust(2 * _BLOCK, b"\x00")
    last = bytes(a ^ b for a, b in zip(padded[_BLOCK:], subkey, strict=True))
    return _encrypt(key, padded[:_BLOCK] + last, _ZERO)[-_BLOCK:]


def prove(entry: ProofKey, uid: bytes, draw: RandomBytes) -> Dialogue:
    """Asks a card to prove itself by this key. `uid`: the number that it has shown, 4 or 7 bytes."""
    if entry.is_diversified and len(uid) != _UID_BYTES:
        return RefusedCard("a card with a drawn number cannot have a key of its own: use a key without diversification")
    key = diversify(entry.key, uid + entry.diversifier) if entry.is_diversified else entry.key
    selected = yield _select(entry)
    if selected[-2:] not in (_DONE, b"\x90\x00"):
        return None
    session = yield from (_open_ev1(entry.number, key, draw) if entry.kind == "desfire-ev1"
                          else _open_ev2(entry.number, key, draw))  # fmt: skip
    if isinstance(session, RefusedCard):
        return session
    if entry.is_diversified:
        return ProvenCard(uid)
    return (yield from session.read_uid())


def _select(entry: ProofKey) -> bytes:
    if entry.kind == "ntag424":
        return b"\x00\xa4\x04\x0c" + bytes((len(entry.application),)) + entry.application + b"\x00"
    return _wrap(0x5A, entry.application)


def _wrap(command: int, data: bytes = b"") -> bytes:
    """Returns a native command of the card as ISO 7816-4 carries it."""
    body = bytes((len(data),)) + data if data else b""
    return bytes((0x90, command, 0, 0)) + body + b"\x00"


@dataclass(frozen=True, slots=True)
class Ev2Session:
    """A session that AuthenticateEV2First has opened: AN12196, 3.4 and 4.4."""

    ti: bytes
    enc: bytes = field(repr=False)
    mac: bytes = field(repr=False)

    @classmethod
    def derive(cls, key: bytes, rnd_a: bytes, rnd_b: bytes, ti: bytes) -> "Ev2Session":
        """Returns the session's keys: CMACs of the key over both random numbers."""
        mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
        context = b"\x00\x01\x00\x80" + rnd_a[:2] + mixed + rnd_b[6:] + rnd_a[8:]
        return cls(ti, _cmac(key, b"\xa5\x5a" + context), _cmac(key, b"\x5a\xa5" + context))

    def short_mac(self, message: bytes) -> bytes:
        """Returns the eight bytes of a MAC that go over the air: every second one."""
        return _cmac(self.mac, message)[1::2]

    def read_uid(self) -> Generator[bytes, bytes, ProvenCard | RefusedCard]:
        """Asks for the card's number, enciphered and with a MAC."""
        response = yield _wrap(0x51, self.short_mac(b"\x51\x00\x00" + self.ti))
        data, mac = response[:-10], response[-10:-2]
        after = b"\x01\x00" + self.ti
        if response[-2:] != _DONE or len(data) != _BLOCK:
            return RefusedCard(_NO_UID)
        if not hmac.compare_digest(mac, self.short_mac(b"\x00" + after + data)):
            return RefusedCard(_FORGED)
        iv = _encrypt(self.enc, b"\x5a\xa5" + self.ti + b"\x01\x00" + bytes(8), _ZERO)
        return ProvenCard(_decrypt(self.enc, data, iv)[:_UID_BYTES])


@dataclass(frozen=True, slots=True)
class Ev1Session:
    """A session that Authenticate AES has opened."""

    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, rnd_a: bytes, rnd_b: bytes) -> "Ev1Session":
        """Returns the session's key: the ends of both random numbers."""
        return cls(rnd_a[:4] + rnd_b[:4] + rnd_a[12:] + rnd_b[12:])

    def read_uid(self) -> Generator[bytes, bytes, ProvenCard | RefusedCard]:
        """Asks for the card's number, enciphered and with a checksum."""
        response = yield _wrap(0x51)
        data = response[:-2]
        if response[-2:] != _DONE or len(data) != _BLOCK:
            return RefusedCard(_NO_UID)
        # The initial vector is the CMAC of the command; the checksum covers number and status.
        plain = _decrypt(self.key, data, _cmac(self.key, b"\x51"))
        uid, checksum = plain[:_UID_BYTES], plain[_UID_BYTES : _UID_BYTES + 4]
        if checksum != desfire_crc(uid + b"\x00"):
            return RefusedCard(_FORGED)
        return ProvenCard(uid)


def _open_ev2(number: int, key: bytes, draw: RandomBytes) -> Generator[bytes, bytes, Ev2Session | RefusedCard]:
    first = yield _wrap(0x71, bytes((number, 0)))
    if first[-2:] != _MORE or len(first) != _BLOCK + 2:
        return RefusedCard(_NO_KEY)
    rnd_b, rnd_a = _decrypt(key, first[:-2], _ZERO), draw(_BLOCK)
    second = yield _wrap(0xAF, _encrypt(key, rnd_a + _rotate(rnd_b), _ZERO))
    if second[-2:] != _DONE or len(second) != 2 * _BLOCK + 2:
        return RefusedCard(_WRONG_KEY)
    plain = _decrypt(key, second[:-2], _ZERO)
    if not hmac.compare_digest(plain[4:20], _rotate(rnd_a)):
        return RefusedCard(_WRONG_KEY)
    return Ev2Session.derive(key, rnd_a, rnd_b, plain[:4])


def _open_ev1(number: int, key: bytes, draw: RandomBytes) -> Generator[bytes, bytes, Ev1Session | RefusedCard]:
    first = yield _wrap(0xAA, bytes((number,)))
    if first[-2:] != _MORE or len(first) != _BLOCK + 2:
        return RefusedCard(_NO_KEY)
    challenge = first[:-2]
    rnd_b, rnd_a = _decrypt(key, challenge, _ZERO), draw(_BLOCK)
    token = _encrypt(key, rnd_a + _rotate(rnd_b), challenge)  # the chain of ciphertexts goes on over both directions
    second = yield _wrap(0xAF, token)
    if second[-2:] != _DONE or len(second) != _BLOCK + 2:
        return RefusedCard(_WRONG_KEY)
    if not hmac.compare_digest(_decrypt(key, second[:-2], token[-_BLOCK:]), _rotate(rnd_a)):
        return RefusedCard(_WRONG_KEY)
    return Ev1Session.derive(rnd_a, rnd_b)


_NO_KEY = "a card without the city's key: enter the child by hand, and have the card replaced"
_WRONG_KEY = "a card that has another key than the city's, perhaps a copy: enter the child by hand, keep the card"
_FORGED = "a card whose answers do not fit its key, perhaps a copy: enter the child by hand, keep the card"
_NO_UID = "a card that does not give its number inside a session: give its key that right, or diversify the key"


def desfire_crc(data: bytes) -> bytes:
    """Returns a DESFire checksum: CRC-32 without the last inversion, low byte first."""
    return (zlib.crc32(data) ^ 0xFFFF_FFFF).to_bytes(4, "little")


def _rotate(random: bytes) -> bytes:
    return random[1:] + random[:1]


def _encrypt(key: bytes, data: bytes, iv: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decrypt(key: bytes, data: bytes, iv: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES128(key))
    mac.update(message)
    return mac.finalize()


def _double(block: bytes) -> bytes:
    """Returns a block times x in the field of CMAC (NIST SP 800-38B)."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = number & (1 << 128) - 1 ^ 0x87
    return number.to_bytes(_BLOCK, "big")
