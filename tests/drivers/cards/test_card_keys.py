"""Cards that prove themselves, by both drivers: the real pcscd with a virtual card, and a PN532 on a pty."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.base import Reader
from drivers.cards.pn532 import Pn532, Pn532Settings
from drivers.errors import NotSupported
from drivers.protocols.card_proof import NTAG424_APPLICATION, diversify
from drivers.readings import Authenticity, CardRead, CodeRead, DeviceEvent, FaultCause, StreamFault
from drivers.simulated.pn532_peer import Pn532Peer
from drivers.simulated.proof_card import ChipCard, MemoryCard
from tests.drivers.pcsc_peer import NO_PYSCARD, ONE_PCSCD, READER, PcscPeer

UID = bytes.fromhex("04782E21801D80")
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
DESFIRE = bytes.fromhex("F58840")
SECTOR_KEY = bytes.fromhex("A0A1A2A3A4A5")
KEY_FILE = f"""
[[card]]
kind = "ntag424"
key_number = 1
key = "{KEY.hex()}"

[[card]]
kind = "desfire"
application = "{DESFIRE.hex()}"
key_number = 2
key = "{KEY.hex()}"
diversified = true
diversifier = "F58840"

[[memory]]
kind = "mifare-classic"
block = 5
key = "{SECTOR_KEY.hex()}"
form = "ascii"
length = 8
"""
TRIES = 200


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "card-keys.toml"
    path.write_text(KEY_FILE, "utf-8")
    path.chmod(0o600)
    return path


def next_reading(reader: Reader) -> DeviceEvent:
    """The next event that is no removal."""
    for _ in range(TRIES):
        for event in reader.read(0.1):
            if isinstance(event, CardRead | CodeRead | StreamFault):
                return event
    pytest.fail("the reader reports nothing")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Pn532Peer]:
    with Pn532Peer(tmp_path / "pn532") as peer:
        yield peer


def chip(application: bytes, number: int, key: bytes) -> ChipCard:
    return ChipCard(UID, application, {number: key})


def test_pn532_reads_cards_that_prove_themselves(board: Pn532Peer, key_file: Path) -> None:
    reader = Pn532("door", Pn532Settings(port=str(board.port), card_keys=str(key_file)))
    reader.open()
    own_key = diversify(KEY, UID + DESFIRE)
    for card, shown in [
        (chip(NTAG424_APPLICATION, 1, KEY), bytes.fromhex("08A1B2C3")),
        (chip(DESFIRE, 2, own_key), UID),
    ]:
        board.present(shown, sel_res=0x20, ats=bytes.fromhex("75778102"), card=card)
        read = next_reading(reader)
        assert isinstance(read, CardRead), read
        assert (read.uid.value, read.authenticity) == (UID, Authenticity.PROVEN)
        leave(board, reader)
    reader.close()


def leave(board: Pn532Peer, reader: Reader) -> None:
    """Takes the card away, and lets the reader notice."""
    board.remove()
    until = time.monotonic() + 20
    while not any(type(event).__name__ == "CardRemoved" for event in reader.read(0.1)):
        assert time.monotonic() < until


def test_pn532_refuses_a_copy_and_reads_a_sector(board: Pn532Peer, key_file: Path) -> None:
    reader = Pn532("door", Pn532Settings(port=str(board.port), card_keys=str(key_file)))
    reader.open()
    board.present(UID, sel_res=0x20, ats=bytes.fromhex("75778102"), card=chip(DESFIRE, 2, KEY))
    refused = next_reading(reader)
    assert isinstance(refused, StreamFault)
    assert (refused.cause, "perhaps a copy" in refused.what) == (FaultCause.CARD, True)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert not reader.read(0.1), "told once, as long as it lies there"
    leave(board, reader)
    number = b"00001042".ljust(16, b"\0")
    board.present(bytes.fromhex("A1B2C3D4"), sel_res=0x08, card=MemoryCard(bytes(4), {5: number}, SECTOR_KEY))
    stored = next_reading(reader)
    assert isinstance(stored, CodeRead), stored
    assert (stored.text, stored.authenticity) == ("00001042", Authenticity.COPYABLE)
    reader.close()


@ONE_PCSCD
def test_pcsc_reads_cards_that_prove_themselves(key_file: Path) -> None:
    pytest.importorskip("smartcard", reason=NO_PYSCARD)
    from drivers.cards.pcsc import Pcsc, PcscSettings

    peer = PcscPeer()
    reader = Pcsc("desk", PcscSettings(reader=READER, card_keys=str(key_file)))
    reader.open()
    try:
        peer.insert_chip(UID, NTAG424_APPLICATION, 1, KEY, shown=bytes.fromhex("08A1B2C3"))
        read = next_reading(reader)
        assert isinstance(read, CardRead), read
        assert (read.uid.value, read.authenticity) == (UID, Authenticity.PROVEN)
        peer.insert_chip(UID, DESFIRE, 2, KEY)
        refused = next_reading(reader)
        while isinstance(refused, CardRead):
            refused = next_reading(reader)
        assert isinstance(refused, StreamFault)
        assert "perhaps a copy" in refused.what
        peer.insert_classic(bytes.fromhex("A1B2C3D4"), 5, b"00001042".ljust(16, b"\0"), SECTOR_KEY)
        stored = next_reading(reader)
        assert isinstance(stored, CodeRead), stored
        assert (stored.text, stored.authenticity) == ("00001042", Authenticity.COPYABLE)
    finally:
        reader.close()
        peer.dispose()


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [(KEY_FILE, 0o644, "chmod 600"), ("[[card", 0o600, "no TOML"), ("others = 1", 0o600, "others is")],
)
def test_a_file_of_keys_that_cannot_be_used(tmp_path: Path, content: str, mode: int, why: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content, "utf-8")
    path.chmod(mode)
    with pytest.raises(NotSupported, match=why):
        Pn532("door", Pn532Settings(port="/dev/null", card_keys=str(path)))


def test_a_missing_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="card_keys"):
        Pn532("door", Pn532Settings(port="/dev/null", card_keys=str(tmp_path / "none")))
