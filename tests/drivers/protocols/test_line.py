import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import wiegand
from drivers.protocols.fault import Fault
from drivers.protocols.line import LINE_BYTES_MAX, Code, Decoder, Event, LineText, code, encode_block
from drivers.protocols.line_forms import Form, guess, meaning
from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, UidEncoding
from tests.drivers.protocols import cutting
from tests.vectors import load_jsonl, load_reader

S4A = next(vector for vector in load_reader("other_devices")["vectors"] if vector["name"].startswith("S4A"))
PARALLAX = next(each for each in load_jsonl("canteen/card_reader_vectors.jsonl") if each["reader"] == "parallax_serial")
printable = (
    st.binary(min_size=1, max_size=40).map(lambda data: bytes(32 + byte % 95 for byte in data)).filter(bytes.strip)
)


def events(data: bytes, *, blocks: bool = False) -> list[Event]:
    return cutting.every_way(lambda: Decoder(blocks=blocks).feed, data)


def uid(content: str, form: Form, encoding: UidEncoding | None = None) -> Uid:
    found = meaning(LineText(content.encode()), form, encoding)
    assert isinstance(found, Uid), found
    return found


def test_the_published_ten_decimals() -> None:
    [text] = events(bytes.fromhex(S4A["frame_hex"]))
    assert isinstance(text, LineText)
    for found in (meaning(text, Form.DEC10), guess(text)):
        assert isinstance(found, Uid)
        assert int.from_bytes(found.value, "big") == S4A["expected_dec"]
        assert found.hex == f"{S4A['expected_hex']:0>8}"
        assert found.notation is UidNotation.DEC10


def test_the_published_whole_number_between_lf_and_cr() -> None:
    [text] = events(bytes.fromhex(PARALLAX["raw_hex"]))
    assert isinstance(text, LineText)
    # this published tag looks by chance like four bytes and their check byte: the settings say what it is
    assert isinstance(meaning(text, Form.HEX), RejectedNumber)
    for found in (meaning(text, Form.HEX, technology=Technology.EM4100), guess(text)):
        assert isinstance(found, Uid)
        assert (found.hex, found.bits, found.partial) == (PARALLAX["uid_hex"], 40, False)


@pytest.mark.parametrize(
    ("content", "form", "hex_", "notation"),
    [
        ("1293D8", Form.W26_HEX, "1293D8", UidNotation.W26),
        ("1293d8", Form.W26_HEX, "1293D8", UidNotation.W26),
        ("02527B1", Form.W26_HEX, "1293D8", UidNotation.W26),  # all 26 bits
        ("7186A61E", Form.W34_HEX, "7186A61E", UidNotation.W34),
        ("018,37848", Form.W26_DEC, "1293D8", UidNotation.W26),
        ("00001001010010011110110001", Form.W26_BITS, "1293D8", UidNotation.W26),
        (wiegand.encode(bytes.fromhex("04AF68DAC85A80")), Form.W58_BITS, "04AF68DAC85A80", UidNotation.FULL),
        ("04AF68DAC85A80", Form.HEX, "04AF68DAC85A80", UidNotation.FULL),
        ("xx 04AF68DAC85A80 ", Form.HEX, "04AF68DAC85A80", UidNotation.FULL),
    ],
)
def test_every_form_of_a_number(content: str, form: Form, hex_: str, notation: UidNotation) -> None:
    found = uid(content, form)
    assert (found.hex, found.notation) == (hex_, notation)
    guessed = guess(LineText(content.encode()))
    assert guessed == found or len(content) == 7, "odd hex is guessed to be a code"


@pytest.mark.parametrize(
    ("form", "encoding", "content", "hex_"),
    [
        (Form.W34_HEX, UidEncoding.W34_REVERSED, "7186A61E", "1EA68671"),
        (Form.DEC10, UidEncoding.DEC10_REVERSED, "3310540688", "90D752C5"),
        (Form.W32_BITS, UidEncoding.W34_REVERSED, wiegand.encode_bare(bytes.fromhex("7186A61E")), "1EA68671"),
        (Form.W58_BITS, UidEncoding.HEX_REVERSED, wiegand.encode(b"\x80ABCDE\x04"), "044544434241" + "80"),
        (Form.HEX, UidEncoding.HEX_REVERSED, "7186A61E", "1EA68671"),
        (Form.HEX, UidEncoding.HEX_BCC, "DB96007D30", "DB96007D"),
    ],
)
def test_the_same_card_from_readers_that_write_it_otherwise(
    form: Form, encoding: UidEncoding, content: str, hex_: str
) -> None:
    assert uid(content, form, encoding).hex == hex_


@pytest.mark.parametrize("form", [form for form in Form if form not in (Form.CODE, Form.BLOCK)])
@pytest.mark.parametrize(
    "content", ["", "x", "12345", "0x1293D8", "_", "1293D8 1", "999,99999", "G" * 8, "00000000000"]
)
def test_a_line_of_another_form_is_a_fault_that_says_where_to_look(form: Form, content: str) -> None:
    found = meaning(LineText(content.encode()), form)
    assert isinstance(found, Fault | RejectedNumber)
    assert "setting" in str(found) or "uid_encoding" in str(found) or "zeros" in str(found)


def test_swapped_wires_are_said() -> None:
    found = meaning(LineText(b"11110110101101100001001110"), Form.W26_BITS)
    assert isinstance(found, Fault)
    assert "swap the wires" in found.what
    assert isinstance(meaning(LineText(b"3DAD84E"), Form.W26_HEX), Fault)


def test_a_block_with_any_check_byte() -> None:
    for number in range(300):
        content = f"{number:010d}".encode()
        assert events(encode_block(content), blocks=True) == [LineText(content, block=True)]


@pytest.mark.parametrize(("content", "hex_"), [(b"0001217496", "001293D8"), (b"01837848", "1293D8")])
def test_what_a_block_says(content: bytes, hex_: str) -> None:
    text = LineText(content, block=True)
    for found in (meaning(text, Form.BLOCK), guess(text)):
        assert isinstance(found, Uid)
        assert found.hex == hex_
    assert isinstance(meaning(LineText(content), Form.BLOCK), Fault)
    assert isinstance(meaning(LineText(b"123", block=True), Form.BLOCK), Fault)


def test_a_damaged_block_is_a_fault_and_the_next_is_read() -> None:
    good = encode_block(b"0012345678")
    bad = good[:4] + b"9" + good[5:]
    assert events(bad + good, blocks=True)[-1] == LineText(b"0012345678", block=True)
    assert events(good[:5] + good, blocks=True)[-1] == LineText(b"0012345678", block=True)
    assert events(good[:-1] + good, blocks=True)[-1] == LineText(b"0012345678", block=True), "the check byte was lost"
    assert events(b"\x02\xff\xff 0012345678\r", blocks=True)[-1] == LineText(b"\xff\xff 0012345678")
    assert events(b"\x02" + b"9" * 5000 + b"\r" + good, blocks=True) == [
        Fault("a block is too long"),
        LineText(b"0012345678", block=True),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("https://example.org/1?a=б", "https://example.org/1?a=б"),
        ("]Q1https://e", "https://e"),
        ("]C10123456789", "0123456789"),
        ("]E04606453849072", "4606453849072"),
        ("Әлия Қ. 5 «Б»", "Әлия Қ. 5 «Б»"),
        ("\x02wrapped\x03", "wrapped"),
        ("]C101046\x1d21ab", "01046\x1d21ab"),
        ("]", "]"),
    ],
)
def test_codes_without_their_aim_id(content: str, text: str) -> None:
    assert code(content.encode()) == Code(text)
    assert guess(LineText(content.encode())) == Code(text)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"]C1", b"a\x00b", b"\x1bZ", b"  "])
def test_what_is_no_code(content: bytes) -> None:
    assert isinstance(code(content), Fault)


@pytest.mark.parametrize(("content", "form"), [(b"4606453849072", "ean"), (b"00012345600012", "itf"), (b"1234567", "")])
def test_bar_codes_are_not_guessed_to_be_cards(content: bytes, form: str) -> None:
    assert guess(LineText(content)) == Code(content.decode()), form


def test_a_line_without_an_end_counts_when_it_falls_silent() -> None:
    decoder = Decoder()
    assert not decoder.feed(b"0000123478")
    assert decoder.pending
    assert decoder.flush() == [LineText(b"0000123478", ended=False)]
    assert decoder.flush() == [], "nothing is pending any more"
    blocks = Decoder(blocks=True)
    blocks.feed(b"\x02123")
    assert blocks.flush() == [Fault("a block broke off")]


def test_a_line_at_and_over_its_limit() -> None:
    assert events(b"x" * LINE_BYTES_MAX + b"\n") == [LineText(b"x" * LINE_BYTES_MAX)]
    assert events(b"x" * (LINE_BYTES_MAX + 1) + b"\nnext\n") == [Fault("a line is too long"), LineText(b"next")]


@given(contents=st.lists(printable, max_size=6), blocks=st.booleans(), places=cutting.places)
def test_any_cut_gives_the_same_lines(contents: list[bytes], blocks: bool, places: list[int]) -> None:
    stream = b"".join(encode_block(each) if blocks else each + b"\r\n" for each in contents)
    assert cutting.run(Decoder(blocks=blocks).feed, cutting.cut(stream, places)) == [
        LineText(each, block=blocks) for each in contents
    ]


@given(number=st.binary(min_size=7, max_size=7), before=st.binary(max_size=60), places=cutting.places)
def test_noise_before_a_line_hides_no_number(number: bytes, before: bytes, places: list[int]) -> None:
    stream = before + b"\x80" + number.hex().upper().encode() + b"\r"
    found = cutting.run(Decoder(blocks=True).feed, cutting.cut(stream, places))
    assert found == cutting.run(Decoder(blocks=True).feed, [stream])
    if b"\x03" not in before:  # an ETX makes a block of what stands before it, and a line never has one
        last = found[-1]
        assert isinstance(last, LineText)
        assert meaning(last, Form.HEX) == meaning(LineText(number.hex().encode()), Form.HEX)


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    found = Decoder(blocks=True).feed(data)
    assert len(found) <= len(data)
    for text in found:
        if isinstance(text, LineText):
            guess(text)
            guess(text, typed=True)
            for form in Form:
                meaning(text, form)


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"\x02\x03", b"0123456789ABCDEF\x02\x03\r", b"x"])
def test_long_noise_leaves_nothing_behind_and_the_next_line_is_read(alphabet: bytes) -> None:
    dice, decoder = random.Random(1), Decoder(blocks=True)
    tracemalloc.start()
    try:
        for _ in range(20):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(b"\r\r0000123478\r")[-1] == LineText(b"0000123478")


def test_no_repr_shows_a_number() -> None:
    assert "1234" not in repr(LineText(b"1234")) + repr(Code("1234"))
