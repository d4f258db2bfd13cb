import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import Alias, RejectedNumber, UidEncoding, aliases, from_roster, own, same_card, to_uid, whole
from tests.vectors import load_jsonl, load_reader

EM, MIFARE, UNKNOWN = Technology.EM4100, Technology.ISO14443A, Technology.UNKNOWN
PAIRS = {vector["rule"]: vector for vector in load_reader("same_card_other_reader")["vectors"]}


def uid(raw: str, encoding: UidEncoding = UidEncoding.HEX, technology: Technology = UNKNOWN) -> Uid:
    found = to_uid(raw, encoding, technology)
    assert isinstance(found, Uid), found
    return found


def pair(rule: str) -> tuple[Uid, dict[str, str | int]]:
    [vector] = [vector for name, vector in PAIRS.items() if rule in name]
    return uid(vector["canonical_uid_hex"], technology=MIFARE), vector["readings"]


def written(notation: UidNotation, card: Uid) -> set[str]:
    return {str(alias) for alias in aliases(card) if alias.notation is notation}


# one card, other readers


def test_w34_in_reverse() -> None:
    card, readings = pair("byte-reversed")
    assert same_card(uid(str(readings["Wiegand34 hex"]), UidEncoding.W34_REVERSED), card)
    assert same_card(uid(str(readings["Wiegand34 hex"]), UidEncoding.W34), card), "without the setting it is found too"
    assert same_card(uid(str(readings["Wiegand34 dec"]), UidEncoding.DEC10), card)
    assert uid(str(readings["Wiegand34 hex"]), UidEncoding.HEX_REVERSED, MIFARE) == card


def test_w26_of_a_seven_byte_number_in_both_orders() -> None:
    card, readings = pair("first 3 bytes reversed")
    assert str(readings["W26 hex (BSTUOKEY)"]) == "68AF04"
    assert same_card(uid(f"{0x68:03d},{0xAF04:05d}", UidEncoding.W26), card)
    assert same_card(uid(f"{0x04:03d},{0xAF68:05d}", UidEncoding.W26), card), "as Iron Logic prints it"


def test_decimal_of_the_reversed_number() -> None:
    card, readings = pair("reversed then decimal")
    raw = str(readings["office reader (decimal of reversed)"])
    assert same_card(uid(raw, UidEncoding.DEC10), card)
    read = uid(raw, UidEncoding.DEC10_REVERSED)
    assert read.value == card.value
    assert read.partial, "a seven-byte card would have lost bytes on this reader"


def test_the_check_byte_is_refused_until_the_setting_says_that_it_is_there() -> None:
    card, readings = pair("BCC")
    raw = str(readings["naive RC522"])
    refused = to_uid(raw, UidEncoding.HEX, MIFARE)
    assert isinstance(refused, RejectedNumber)
    assert "hex-bcc" in refused.why
    assert uid(raw, UidEncoding.HEX_BCC, MIFARE) == card
    assert isinstance(to_uid("DB96007D31", UidEncoding.HEX_BCC, MIFARE), RejectedNumber)


def test_a_leaked_cascade_tag_is_no_number() -> None:
    _, readings = pair("cascade tag")
    refused = to_uid(str(readings["micropython-mfrc522"]), UidEncoding.HEX, MIFARE)
    assert isinstance(refused, RejectedNumber)
    assert "88" in refused.why


@pytest.mark.parametrize("value", ["8804A3C6", "8804A3C6E9", "8804A3C6CA2280", "8804A3C6E9CA22804F27"])
@pytest.mark.parametrize("technology", [MIFARE, UNKNOWN])
def test_a_cut_number_is_refused_whatever_is_known_of_the_card(technology: Technology, value: str) -> None:
    for raw, encoding in ((value, UidEncoding.HEX), (bytes.fromhex(value)[::-1].hex(), UidEncoding.HEX_REVERSED)):
        refused = to_uid(raw, encoding, technology)
        assert isinstance(refused, RejectedNumber)
        assert "cascade tag 88" in refused.why
    assert isinstance(from_roster(UidNotation.FULL, "8804A3C6", UNKNOWN), RejectedNumber)
    assert isinstance(to_uid("8804A3C6", UidEncoding.W34), RejectedNumber)
    assert isinstance(to_uid("C6A30488", UidEncoding.W34_REVERSED), RejectedNumber)


def test_a_check_byte_is_refused_where_nobody_said_what_card_it_is() -> None:
    for value in ("DB96007D30", "24D34F59E1"):
        refused = to_uid(value, UidEncoding.HEX)
        assert isinstance(refused, RejectedNumber)
        assert "hex-bcc" in refused.why
        assert "em4100" in refused.why
        assert uid(value, UidEncoding.HEX_BCC).hex == value[:8]
        assert uid(value, technology=EM).hex == value, "an EM4100 tag may look like it"
        in_roster = from_roster(UidNotation.FULL, value, UNKNOWN)
        assert isinstance(in_roster, Uid)
        assert same_card(in_roster, uid(value, technology=EM))
    assert uid("8800D507D0").hex == "8800D507D0", "an EM4100 tag may begin with 88"
    assert uid("880C87").bits == 24


def test_the_two_numbers_printed_on_one_card() -> None:
    _, readings = pair("dec of low 32 bits")
    card = uid("0100D507D0", technology=EM)
    assert written(UidNotation.DEC10, card) >= {readings["printed 10-digit"]}
    assert written(UidNotation.W26, card) == {readings["printed 3+5"]}
    assert same_card(uid(str(readings["printed 10-digit"]), UidEncoding.DEC10), card)
    assert same_card(uid(str(readings["printed 3+5"]), UidEncoding.W26), card)


def test_complemented_and_bit_reversed_bytes() -> None:
    readings = next(v for rule, v in PAIRS.items() if "bit-reverse" in rule)["readings"]
    for decimal, hexadecimal in zip(readings["wiegand dec"], readings["usb hex"], strict=True):
        text = f"{decimal:08d}"
        card = uid(hexadecimal, UidEncoding.HEX_INVERTED)
        assert same_card(uid(f"{text[:3]},{text[3:]}", UidEncoding.W26), card)


@pytest.mark.parametrize("vector", load_reader("em4100_serial")["vectors"], ids=lambda v: v["expected_uid_hex"])
def test_printed_numbers_of_em_cards(vector: dict[str, str]) -> None:
    card = uid(vector["expected_uid_hex"], technology=EM)
    assert card.bits == 40
    assert vector["dec10"] in written(UidNotation.DEC10, card)
    assert written(UidNotation.W26, card) == {vector["w26_fc_card"]}
    if vector["printed_on_card"]:
        assert same_card(uid(vector["printed_on_card"], UidEncoding.DEC10), card)


@pytest.mark.parametrize("vector", load_reader("ironlogic_text")["vectors"], ids=lambda v: v["line"])
def test_what_iron_logic_prints_beside_the_number(vector: dict[str, str]) -> None:
    technology = EM if vector["kind"] == "em-marine" else MIFARE
    card = uid(vector["expected_uid_hex"], technology=technology)
    assert vector["w26_fc_card"] in written(UidNotation.W26, card)
    if "printed_hex" in vector:
        assert uid(vector["printed_hex"], UidEncoding.IRONLOGIC, technology) == card


CANTEEN = [v for v in load_jsonl("canteen/card_reader_vectors.jsonl") if v["reader"] in {"mifare_4byte", "wiegand26"}]


@pytest.mark.parametrize("vector", [v for v in CANTEEN if "dec_little_endian" in v], ids=lambda v: v["uid_hex"])
def test_both_decimal_orders_of_a_four_byte_number(vector: dict[str, str]) -> None:
    card = uid(vector["uid_hex"], technology=MIFARE)
    for decimal in (vector["dec_big_endian"], vector["dec_little_endian"]):
        assert same_card(uid(decimal, UidEncoding.DEC10), card)
    assert uid(vector["dec_little_endian"], UidEncoding.DEC10_REVERSED).value == card.value
    assert uid(vector["uid_hex_reversed"], UidEncoding.HEX_REVERSED, MIFARE) == card


@pytest.mark.parametrize("vector", [v for v in CANTEEN if "printed" in v], ids=lambda v: v["printed"])
def test_the_two_printed_numbers_of_a_wiegand_card(vector: dict[str, str]) -> None:
    assert same_card(uid(vector["printed"], UidEncoding.W26), uid(vector["dec10"], UidEncoding.DEC10))


# what must not match


def test_two_full_numbers_that_share_their_low_bits_are_two_cards() -> None:
    assert not same_card(uid("1F00644BB6", technology=EM), uid("2F00644BB6", technology=EM))
    assert not same_card(uid("00644BB6"), uid("04112233644BB6"[:14]))


def test_a_ten_digit_number_is_held_against_all_of_its_32_bits() -> None:
    read = uid("0006572982", UidEncoding.DEC10)  # 00644BB6
    assert same_card(read, uid("1F00644BB6", technology=EM))
    assert not same_card(read, uid("1F01644BB6", technology=EM)), "the low 24 bits alone would be another child"


def test_a_w26_number_that_fits_two_cards_says_that_it_is_partial() -> None:
    read = uid("100,19382", UidEncoding.W26)
    assert read.partial
    assert same_card(read, uid("1F00644BB6", technology=EM))
    assert same_card(read, uid("1F07644BB6", technology=EM))


@given(value=st.binary(min_size=5, max_size=5).filter(lambda v: any(v) and set(v) != {0xFF}))
def test_the_index_finds_what_same_card_finds(value: bytes) -> None:
    card = whole(EM, value)
    assert isinstance(card, Uid)
    for alias in aliases(card) - {own(card)}:
        if alias.number == 0:
            continue
        partial = from_roster(alias.notation, str(alias))
        assert isinstance(partial, Uid)
        assert own(partial) == alias
        assert same_card(partial, card)


# what is no number


@pytest.mark.parametrize(
    ("technology", "value"),
    [
        (EM, "0000000000"),
        (EM, "FFFFFFFFFF"),
        (EM, "00644BB6"),
        (EM, "1F00644BB600"),
        (MIFARE, "00000000"),
        (MIFARE, "08A1B2C3"),
        (MIFARE, "8804A3C6"),
        (MIFARE, "DB96007D30"),
        (MIFARE, "112233445566"),
        (UNKNOWN, "11"),
        (UNKNOWN, "11" * 11),
        (UNKNOWN, "00"),
    ],
)
def test_a_number_that_identifies_nobody_is_rejected_without_being_told(technology: Technology, value: str) -> None:
    refused = whole(technology, bytes.fromhex(value))
    assert isinstance(refused, RejectedNumber)
    assert value not in refused.why


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ("", UidEncoding.HEX),
        ("1F0", UidEncoding.HEX),
        ("1F 0", UidEncoding.HEX),
        ("0x1F", UidEncoding.HEX),
        ("+123", UidEncoding.DEC10),
        ("4294967296", UidEncoding.DEC10),
        ("00000000001", UidEncoding.DEC10),
        ("١٢٣", UidEncoding.DEC10),
        ("0000000000", UidEncoding.DEC10),
        ("10019382", UidEncoding.W26),
        ("256,00001", UidEncoding.W26),
        ("001,65536", UidEncoding.W26),
        ("001,00001,", UidEncoding.W26),
        ("000,00000", UidEncoding.W26),
        ("7186A6", UidEncoding.W34),
        ("00000000", UidEncoding.W34),
    ],
)
def test_what_is_not_written_as_the_setting_says_is_rejected(raw: str, encoding: UidEncoding) -> None:
    assert isinstance(to_uid(raw, encoding), RejectedNumber)


@given(text=st.text(max_size=30), encoding=st.sampled_from(UidEncoding), technology=st.sampled_from(Technology))
def test_any_text_gives_a_number_or_a_reason(text: str, encoding: UidEncoding, technology: Technology) -> None:
    found = to_uid(text, encoding, technology)
    assert isinstance(found, Uid | RejectedNumber)


def test_an_alias_is_written_for_people_but_not_in_its_repr() -> None:
    assert "6572982" not in repr(Alias(UidNotation.DEC10, 32, 6572982))
    assert str(Alias(UidNotation.FULL, 40, 0x1F00644BB6)) == "1F00644BB6"
    assert str(Alias(UidNotation.W34, 32, 0x644BB6)) == "00644BB6"
