"""Cards with keys and memory, for readers and tests: the card's side of `drivers.protocols.card_proof` and `card_keys`.

Written after the same NXP notes, from the card's end. Does not imitate: files, access rights, key changes, LRP, the
anticollision, the time that a card takes.
"""

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from drivers.protocols.card_proof import desfire_crc

_OK, _MORE, _NO_APPLICATION, _NO_SUCH_KEY, _WRONG = b"\x91\x00", b"\x91\xaf", b"\x91\xa0", b"\x91\x40", b"\x91\xae"
_ZERO = bytes(16)


@dataclass
class ChipCard:
    """A DESFire or an NTAG 424 with one application and one key. `shown`: the number that the reader sees, if drawn."""

    uid: bytes
    application: bytes
    keys: dict[int, bytes] = field(repr=False)
    speaks_ev2: bool = True
    gives_uid: bool = True
    _selected: bool = False
    _challenge: tuple[int, bytes, bool] | None = None  # key number, RndB, EV2
    _session: tuple[bytes, bytes, bytes] | None = None  # encryption key, MAC key, transaction; the last two empty: EV1

    def reset(self) -> None:
        """The field was off: session and selection are gone."""
        self._selected, self._challenge, self._session = False, None, None

    def transceive(self, apdu: bytes) -> bytes:
        """Returns the answer to one command, status included."""
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        match apdu[:2]:
            case b"\x00\xa4":
                self._selected = data == self.application
                return b"\x90\x00" if self._selected else b"\x6a\x82"
            case b"\x90\x5a":
                self._selected = data == self.application
                return _OK if self._selected else _NO_APPLICATION
            case b"\x90\x71" if self._selected and self.speaks_ev2:
                return self._challenge_for(data[0], is_ev2=True)
            case b"\x90\xaa" if self._selected:
                return self._challenge_for(data[0], is_ev2=False)
            case b"\x90\xaf" if self._challenge is not None:
                return self._answer(data)
            case b"\x90\x51" if self._session is not None and self.gives_uid:
                return self._say_uid(data)
            case _:
                return b"\x91\x1c"

    def _challenge_for(self, number: int, *, is_ev2: bool) -> bytes:
        key = self.keys.get(number)
        if key is None:
            return _NO_SUCH_KEY
        rnd_b = secrets.token_bytes(16)
        self._challenge = (number, rnd_b, is_ev2)
        return _cbc(key, rnd_b, _ZERO) + _MORE

    def _answer(self, token: bytes) -> bytes:
        assert self._challenge is not None
        number, rnd_b, is_ev2 = self._challenge
        self._challenge = None
        key = self.keys[number]
        plain = _cbc(key, token, _ZERO if is_ev2 else _cbc(key, rnd_b, _ZERO), decrypt=True)
        rnd_a, turned = plain[:16], plain[16:]
        if turned != rnd_b[1:] + rnd_b[:1]:
            return _WRONG
        proof = rnd_a[1:] + rnd_a[:1]
        if not is_ev2:
            self._session = (rnd_a[:4] + rnd_b[:4] + rnd_a[12:] + rnd_b[12:], b"", b"")
            return _cbc(key, proof, token[-16:]) + _OK
        ti = secrets.token_bytes(4)
        # The bytes of the session vectors as the data sheet numbers them, RndA[15] first.
        a, b = rnd_a, rnd_b
        mixed = bytes(x ^ y for x, y in zip(a[2:8], b[0:6], strict=True))
        tail = b"\x00\x01\x00\x80" + a[0:2] + mixed + b[6:16] + a[8:16]
        self._session = (_mac(key, b"\xa5\x5a" + tail), _mac(key, b"\x5a\xa5" + tail), ti)
        return _cbc(key, ti + proof + bytes(12), _ZERO) + _OK

    def _say_uid(self, sent_mac: bytes) -> bytes:
        assert self._session is not None
        enc, mac, ti = self._session
        if not mac:
            plain = (self.uid + desfire_crc(self.uid + b"\x00")).ljust(16, b"\x00")
            return _cbc(enc, plain, _mac(enc, b"\x51")) + _OK
        if sent_mac != _mac(mac, b"\x51\x00\x00" + ti)[1::2]:
            return b"\x91\x1e"
        iv = _cbc(enc, b"\x5a\xa5" + ti + b"\x01\x00" + bytes(8), _ZERO)
        data = _cbc(enc, (self.uid + b"\x80").ljust(16, b"\x00"), iv)
        return data + _mac(mac, b"\x00\x01\x00" + ti + data)[1::2] + _OK


@dataclass
class MemoryCard:
    """A MIFARE Classic with keys, or an NTAG without: blocks of sixteen bytes, or pages of four."""

    uid: bytes
    blocks: dict[int, bytes] = field(repr=False)
    key_a: bytes = field(default=b"", repr=False)
    _open_sector: int = -1

    def log_in(self, block: int, key: bytes) -> bool:
        """Opens the block's sector; a wrong key closes the card."""
        self._open_sector = block // 4 if key == self.key_a else -1
        return self._open_sector >= 0

    def read(self, block: int) -> bytes:
        """Returns sixteen bytes from a block or page on; nothing where the card refuses."""
        if self.key_a:
            return self.blocks.get(block, b"") if block // 4 == self._open_sector else b""
        pages = [self.blocks.get(page, b"") for page in range(block, block + 4)]
        return b"".join(pages) if all(pages) else b""


def _cbc(key: bytes, data: bytes, iv: bytes, *, decrypt: bool = False) -> bytes:
    cipher = Cipher(algorithms.AES128(key), modes.CBC(iv))
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()


def _mac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES128(key))
    mac.update(message)
    return mac.finalize()
