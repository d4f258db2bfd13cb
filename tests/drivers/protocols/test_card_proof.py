"""Cards that prove themselves: NXP's published vectors, our own card, and cards that lie."""

import random
from collections.abc import Generator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.card_keys import (
    BadKeyring,
    BlockRead,
    CardKeyring,
    CardKind,
    CardOutcome,
    Conversation,
    SectorLogin,
    StoredNumber,
    read_keyring,
)
from drivers.protocols.card_proof import (
    NTAG424_APPLICATION,
    Ev2Session,
    ProofKey,
    ProvenCard,
    RefusedCard,
    diversify,
    prove,
)
from drivers.simulated.proof_card import ChipCard, MemoryCard

UID = bytes.fromhex("04782E21801D80")
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
DESFIRE = bytes.fromhex("F58840")
SYSTEM = bytes.fromhex("3042F54E585020416275")


def draw(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def talk(
    conversation: Generator[object, bytes, CardOutcome] | Conversation, card: ChipCard | MemoryCard
) -> CardOutcome:
    """Plays a conversation to its end with this card."""
    if isinstance(card, ChipCard):
        card.reset()
    try:
        wanted = next(conversation)
        while True:
            match wanted, card:
                case bytes(), ChipCard():
                    said = card.transceive(wanted)
                case SectorLogin(block=block, key=key), MemoryCard():
                    said = b"\x90\x00" if card.log_in(block, key) else b""
                case BlockRead(block=block), MemoryCard():
                    said = card.read(block)
                case _:
                    said = b"\x6d\x00"
            wanted = conversation.send(said)
    except StopIteration as ended:
        outcome: CardOutcome = ended.value
        return outcome


def test_a_key_of_one_card_an10922() -> None:
    """AN10922, table 2: AES-128 with number, application and system identifier."""
    assert diversify(KEY, UID + SYSTEM).hex().upper() == "A8DD63A3B89D54B37CA802473FDA9175"


def test_a_short_source_is_padded_to_two_blocks() -> None:
    """Checked against a second way to the same: the message as AN10922 pads it, by plain AES-CBC."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def encrypt(data: bytes) -> bytes:
        worker = Cipher(algorithms.AES128(KEY), modes.CBC(bytes(16))).encryptor()
        return worker.update(data) + worker.finalize()

    zero = int.from_bytes(encrypt(bytes(16)), "big")
    for _ in range(2):
        zero = (zero << 1 ^ (0x87 if zero >> 127 else 0)) & (1 << 128) - 1
    padded = (b"\x01" + UID + b"\x80").ljust(32, b"\x00")
    last = bytes(a ^ b for a, b in zip(padded[16:], zero.to_bytes(16, "big"), strict=True))
    assert diversify(KEY, UID) == encrypt(padded[:16] + last)[-16:]


def test_a_key_is_made_of_at_most_31_bytes() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        diversify(KEY, bytes(32))


def test_authenticate_ev2_first_an12196() -> None:
    """AN12196, table 14: both random numbers, both answers, both session keys."""
    entry = ProofKey("ntag424", NTAG424_APPLICATION, 0, bytes(16))
    rnd_a = bytes.fromhex("13C5DB8A5930439FC3DEF9A4C675360F")
    steps = prove(entry, UID, lambda _: rnd_a)
    assert next(steps).hex().upper() == "00A4040C07D276000085010100"
    assert steps.send(b"\x90\x00").hex().upper() == "9071000002000000"
    token = steps.send(bytes.fromhex("A04C124213C186F22399D33AC2A3021591AF"))
    assert token.hex().upper() == ("90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00")
    asked = steps.send(bytes.fromhex("3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100"))
    assert asked[:5].hex().upper() == "9051000008", "the card is asked for its number in the session"
    session = Ev2Session.derive(
        bytes(16), rnd_a, bytes.fromhex("B9E2FC789B64BF237CCCAA20EC7E6E48"), bytes.fromhex("9D00C4DF")
    )
    assert session.enc.hex().upper() == "1309C877509E5A215007FF0ED19CA564"
    assert session.mac.hex().upper() == "4C6626F5E72EA694202139295C7A7FC7"


def test_a_mac_goes_over_the_air_by_halves_an12196() -> None:
    """AN12196, table 13: the MAC of GetFileSettings."""
    session = Ev2Session(bytes(4), bytes(16), bytes.fromhex("8248134A386E86EB7FAF54A52E536CB6"))
    assert session.short_mac(bytes.fromhex("F500007A21085E02")).hex().upper() == "6597A457C8CD442C"


@pytest.mark.parametrize("kind", ["ntag424", "desfire", "desfire-ev1"])
@pytest.mark.parametrize("diversified", [True, False])
def test_a_card_with_the_key_proves_itself(kind: str, diversified: bool) -> None:
    application = NTAG424_APPLICATION if kind == "ntag424" else DESFIRE
    key = diversify(KEY, UID + SYSTEM) if diversified else KEY
    card = ChipCard(UID, application, {1: key}, speaks_ev2=kind != "desfire-ev1")
    entry = ProofKey(kind, application, 1, KEY, diversified, SYSTEM)  # type: ignore[arg-type]  # one of the three
    assert talk(prove(entry, UID, draw), card) == ProvenCard(UID)


@pytest.mark.parametrize("kind", ["ntag424", "desfire", "desfire-ev1"])
def test_a_drawn_number_is_asked_for_the_true_one(kind: str) -> None:
    application = NTAG424_APPLICATION if kind == "ntag424" else DESFIRE
    card = ChipCard(UID, application, {0: KEY}, speaks_ev2=kind != "desfire-ev1")
    entry = ProofKey(kind, application, 0, KEY)  # type: ignore[arg-type]  # one of the three
    assert talk(prove(entry, bytes.fromhex("08A1B2C3"), draw), card) == ProvenCard(UID)


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (ChipCard(UID, DESFIRE, {1: bytes(16)}), "perhaps a copy"),
        (ChipCard(UID, DESFIRE, {2: KEY}), "without the city's key"),
        (ChipCard(UID, DESFIRE, {1: KEY}, gives_uid=False), "does not give its number"),
    ],
)
def test_a_card_that_cannot_show_it_is_refused(card: ChipCard, why: str) -> None:
    outcome = talk(prove(ProofKey("desfire", DESFIRE, 1, KEY), UID, draw), card)
    assert isinstance(outcome, RefusedCard)
    assert why in outcome.why
    assert UID.hex().upper() not in outcome.why


def test_a_copy_with_another_cards_number_is_refused() -> None:
    """A thief has one genuine card and shows the number of somebody else's."""
    own = bytes.fromhex("04AAAAAAAAAA80")
    copy = ChipCard(UID, DESFIRE, {1: diversify(KEY, own + SYSTEM)})
    entry = ProofKey("desfire", DESFIRE, 1, KEY, is_diversified=True, diversifier=SYSTEM)
    assert isinstance(talk(prove(entry, UID, draw), copy), RefusedCard)


@given(st.data())
def test_no_damaged_answer_proves_anything(data: st.DataObject) -> None:
    card = ChipCard(UID, DESFIRE, {1: KEY})
    conversation = prove(ProofKey("desfire", DESFIRE, 1, KEY), UID, draw)
    where = data.draw(st.integers(1, 3), label="the answer that is damaged")
    try:
        wanted = next(conversation)
        for step in range(10):
            said = bytearray(card.transceive(wanted))
            if step == where:
                at = data.draw(st.integers(0, len(said) - 1), label="its byte")
                said[at] ^= data.draw(st.integers(1, 255), label="its change")
            wanted = conversation.send(bytes(said))
    except StopIteration as ended:
        assert not isinstance(ended.value, ProvenCard)  # noqa: PT017  # the generator's result, no exception's


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_answers_end_in_an_outcome(answers: list[bytes]) -> None:
    for kind in ("ntag424", "desfire", "desfire-ev1"):
        conversation = prove(ProofKey(kind, DESFIRE, 1, KEY), UID, draw)
        try:
            next(conversation)
            for said in answers:
                conversation.send(said)
        except StopIteration as ended:
            assert ended.value is None or isinstance(ended.value, RefusedCard)  # noqa: PT017


RING = read_keyring({
    "card": [
        {"kind": "ntag424", "key_number": 1, "key": "11" * 16},
        {"kind": "desfire", "application": "F58840", "key_number": 1, "key": KEY.hex()},
    ],
    "memory": [
        {"kind": "mifare-classic", "block": 5, "key": "A0A1A2A3A4A5", "form": "ascii", "length": 8},
        {"kind": "ntag", "block": 6, "form": "decimal", "length": 4},
    ],
})  # fmt: skip


def test_a_keyring_tries_one_key_after_another() -> None:
    assert talk(RING.ask(CardKind.CHIP, UID, draw), ChipCard(UID, DESFIRE, {1: KEY})) == ProvenCard(UID)


def test_a_number_out_of_a_sector() -> None:
    card = MemoryCard(bytes(4), {5: b"00001042".ljust(16, b"\x00")}, bytes.fromhex("A0A1A2A3A4A5"))
    assert talk(RING.ask(CardKind.CLASSIC, bytes(4), draw), card) == StoredNumber("00001042")
    card = replace(card, key_a=bytes(6))
    outcome = talk(RING.ask(CardKind.CLASSIC, bytes(4), draw), card)
    assert isinstance(outcome, RefusedCard)
    assert "another key" in outcome.why


def test_a_number_out_of_pages() -> None:
    pages = {page: bytes((0, 0, page, 1)) for page in range(16)}
    assert talk(RING.ask(CardKind.NTAG, UID, draw), MemoryCard(UID, pages)) == StoredNumber(str(6 * 256 + 1))
    outcome = talk(RING.ask(CardKind.NTAG, UID, draw), MemoryCard(UID, {}))
    assert isinstance(outcome, RefusedCard)


def test_a_card_of_another_kind() -> None:
    strange = ChipCard(UID, b"???", {})
    assert isinstance(talk(RING.ask(CardKind.CHIP, UID, draw), strange), RefusedCard)
    lenient = CardKeyring(RING.proofs, RING.places, lets_others_pass=True)
    assert talk(lenient.ask(CardKind.CHIP, UID, draw), strange) is None
    assert talk(lenient.ask(CardKind.OTHER, UID, draw), strange) is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "no card at all"),
        ({"cards": []}, "unknown key 'cards'"),
        ({"others": "maybe", "card": [{}]}, "refuse"),
        ({"card": {}}, r"write \[\[card\]\]"),
        ({"card": [{"kind": "desfire", "key": "11" * 16, "key_number": 1}]}, "application is 3 bytes"),
        ({"card": [{"kind": "ntag424", "key": "11", "key_number": 1}]}, "key is 16 bytes"),
        ({"card": [{"kind": "ntag424", "key": "11" * 16, "key_number": True}]}, "whole number"),
        ({"card": [{"kind": "visa"}]}, "ntag424, desfire"),
        ({"card": [{"kind": "ntag424", "Key": "11"}]}, "unknown key 'Key'"),
        ({"memory": [{"kind": "ntag", "block": 4, "form": "hex", "key": "A0" * 6}]}, "need no key"),
        ({"memory": [{"kind": "mifare-classic", "block": 4, "form": "hex"}]}, "key is 6 bytes"),
        ({"memory": [{"kind": "ntag", "block": 4, "form": "hex", "offset": 9, "length": 9}]}, "from 0 to 7"),
    ],
)
def test_a_bad_file_of_keys_is_named(settings: dict[str, object], why: str) -> None:
    with pytest.raises(BadKeyring, match=why):
        read_keyring(settings)


def test_no_key_is_ever_shown() -> None:
    shown = repr(RING) + repr(RING.places[0]) + repr(SectorLogin(1, b"secret"))
    assert KEY.hex() not in shown.lower()
    assert "secret" not in shown
    assert repr(KEY) not in shown
