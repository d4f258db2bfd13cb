"""The secure channel of OSDP, seen from outside: follows a recorded session with its key and opens what it holds.

libosdp speaks it on the line; this reads captures and tells a wrong key from a silent reader.

    command 76, type 11   RND.A                     reply 76, type 12   reader's id, RND.B, client cryptogram
    command 77, type 13   server cryptogram         reply 78, type 14   the first R-MAC
    types 15, 16          MAC only                  types 17, 18        MAC and encrypted data

The data of the block of type 11 says which key is meant: 0 the install key, which everybody knows, 1 the reader's.

Session keys are AES of the reader's key (SCBK) over a constant and six bytes of RND.A. A MAC is AES-CBC begun with the
other side's last MAC; data is AES-CBC begun with the complement of it. Source: IEC 60839-11-5, annex D.
"""

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from drivers.protocols.fault import Fault
from drivers.protocols.osdp import CHALLENGE, INITIAL_MAC, SERVER_CRYPTOGRAM, Packet

OSDP_KEY_BYTES = 16
CIPHER_BLOCK_BYTES = 16
INSTALL_KEY = bytes(range(0x30, 0x40))  # SCBK-D: known to everybody, only for setting the first key


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one session."""

    enc: bytes = field(repr=False)
    mac1: bytes = field(repr=False)
    mac2: bytes = field(repr=False)

    @classmethod
    def derive(cls, scbk: bytes, rnd_a: bytes) -> "Keys":
        return cls(*(_aes(scbk, bytes((1, kind)) + rnd_a[:6] + bytes(8)) for kind in (0x82, 0x01, 0x02)))

    def client_cryptogram(self, rnd_a: bytes, rnd_b: bytes) -> bytes:
        return _aes(self.enc, rnd_a + rnd_b)

    def server_cryptogram(self, rnd_a: bytes, rnd_b: bytes) -> bytes:
        return _aes(self.enc, rnd_b + rnd_a)

    def initial_mac(self, server_cryptogram: bytes) -> bytes:
        return _aes(self.mac2, _aes(self.mac1, server_cryptogram))

    def mac(self, message: bytes, before: bytes) -> bytes:
        """Returns the MAC of a frame up to its MAC; `before` is the other side's last one."""
        padded = _padded(message)
        head, last = padded[:-CIPHER_BLOCK_BYTES], padded[-CIPHER_BLOCK_BYTES:]
        chained = _cbc(self.mac1, before, head)[-CIPHER_BLOCK_BYTES:] if head else before
        return _cbc(self.mac2, chained, last)

    def decrypted(self, data: bytes, before: bytes) -> bytes | None:
        """Returns the data of a frame in clear; None where its padding is wrong."""
        if not data or len(data) % CIPHER_BLOCK_BYTES:
            return None
        decryptor = Cipher(algorithms.AES128(self.enc), modes.CBC(bytes(byte ^ 0xFF for byte in before))).decryptor()
        clear = (decryptor.update(data) + decryptor.finalize()).rstrip(b"\0")
        return clear[:-1] if clear.endswith(b"\x80") else None


@dataclass(frozen=True, slots=True)
class Opened:
    """A packet with its code and data in clear."""

    packet: Packet
    data: bytes = field(repr=False)


class SecureSession:
    """Opens the packets of both directions, given in order. Without a key it opens those that were sent in clear or are
    hidden by the install key only.
    """

    def __init__(self, scbk: bytes | None = None) -> None:
        self._scbk = scbk
        self._rnd_a = b""
        self._installing = False
        self._keys: Keys | None = None
        self._mac = b""  # whole, of the last frame that had one, from either side
        self._last: dict[bool, bytes] = {}
        self.key_fits: bool | None = None  # None: no reader has answered a challenge yet

    def open(self, packet: Packet) -> Opened | Fault | None:
        """Returns the opened packet or a fault. None: the same frame again, which a lost reply brings."""
        if self._last.get(packet.reply) == packet.raw and packet.security is not None:
            return None
        self._last[packet.reply] = packet.raw
        security = packet.security
        if security is None:
            return Opened(packet, packet.data)
        match security.type:
            case 0x11 if packet.code == CHALLENGE and len(packet.data) == 8:
                self._rnd_a, self._keys = packet.data, None
                self._installing = security.data == b"\0"
                return Opened(packet, b"")
            case 0x12 if len(packet.data) == 32:
                return self._answered(packet)
            case 0x13 if packet.code == SERVER_CRYPTOGRAM:
                if self._keys is not None and len(packet.data) == CIPHER_BLOCK_BYTES:
                    self._mac = self._keys.initial_mac(packet.data)
                return Opened(packet, b"")
            case 0x14 if packet.code == INITIAL_MAC and len(packet.data) == CIPHER_BLOCK_BYTES:
                if self._keys is not None and not hmac.compare_digest(self._mac, packet.data):
                    self._keys = None
                    return Fault("the first MAC does not fit the key")
                return Opened(packet, b"")
            case 0x15 | 0x16 | 0x17 | 0x18:
                return self._secured(packet)
        return Fault("a security block that does not fit its code")

    def _answered(self, packet: Packet) -> Opened | Fault:
        scbk = INSTALL_KEY if self._installing else self._scbk
        if scbk is None or not self._rnd_a:
            return Opened(packet, b"")
        rnd_b, cryptogram = packet.data[8:16], packet.data[16:]
        keys = Keys.derive(scbk, self._rnd_a)
        self.key_fits = hmac.compare_digest(keys.client_cryptogram(self._rnd_a, rnd_b), cryptogram)
        if not self.key_fits:
            return Fault("the reader has another key")
        self._keys = keys
        return Opened(packet, b"")

    def _secured(self, packet: Packet) -> Opened | Fault:
        security = packet.security
        assert security is not None
        if self._keys is None or not self._mac:
            return Fault("encrypted: its key is needed") if security.encrypted else Opened(packet, packet.data)
        before = self._mac
        message = packet.raw[: -(6 if packet.crc else 5)]
        mac = self._keys.mac(message, before)
        if not hmac.compare_digest(mac[:4], security.mac):
            return Fault("a MAC is wrong")
        self._mac = mac
        if not security.encrypted:
            return Opened(packet, packet.data)
        if not packet.data:  # allowed by some: nothing to hide
            return Opened(packet, b"")
        clear = self._keys.decrypted(packet.data, before)
        return Fault("encrypted data without an end") if clear is None else Opened(packet, clear)


def _aes(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305  the standard's key derivation
    return encryptor.update(block) + encryptor.finalize()


def _cbc(key: bytes, start: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(start)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _padded(message: bytes) -> bytes:
    """Returns whole blocks: 80 and zeros stand behind a message that does not fill its last block."""
    if len(message) % CIPHER_BLOCK_BYTES == 0:
        return message
    message += b"\x80"
    return message + bytes(-len(message) % CIPHER_BLOCK_BYTES)
