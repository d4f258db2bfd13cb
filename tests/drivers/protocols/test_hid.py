import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols import hid
from drivers.protocols.fault import Fault
from drivers.protocols.hid import Decoder, Typist, encode, retyped
from drivers.protocols.line import Code, LineText, code
from drivers.protocols.line_forms import guess
from drivers.readings import FaultCause, Uid
from tests.drivers.protocols import cutting
from tests.vectors import load_jsonl, load_reader

SIZES = pytest.mark.parametrize("size", hid.SIZES)
TYPED = [
    vector for vector in load_jsonl("canteen/card_reader_vectors.jsonl") if vector["reader"] == "hid_keyboard_wedge"
]
# HID usage page 7 → Linux key code (drivers/hid/hid-input.c, hid_keyboard), as far as a scanner presses them
_FROM_A = (30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44)
_FROM_1 = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53)
USAGES = dict(enumerate((*_FROM_A, *_FROM_1), 4)) | {83: 69}
LEFT_SHIFT_BIT, SHIFT, CTRL, MS = 2, 42, 29, 1_000


def events(data: bytes, size: int = 0) -> list[LineText | Fault]:
    return cutting.every_way(lambda: Decoder(size=size).feed, data)


def press(*keys: tuple[int, int], size: int = 24, gap_us: int = 4 * MS) -> bytes:
    """(code, value) of each key event, one after another."""
    out = b""
    for number, (code_, value) in enumerate(keys):
        seconds, micros = divmod(number * gap_us, 1_000_000)
        out += hid._LAYOUT[size].pack(seconds, micros, hid.EV_KEY, code_, value)
    return out


def tap(*codes: int) -> list[tuple[int, int]]:
    return [event for each in codes for event in ((each, 1), (each, 0))]


@SIZES
def test_the_published_log_of_a_scanner(size: int) -> None:
    vector = load_reader("hid_wedge")["vectors"][0]
    keys: list[tuple[int, int]] = []
    usages = iter(vector["hid_usages"])
    for usage in usages:
        if usage == LEFT_SHIFT_BIT:  # the log gives the modifier byte twice, before the key and with it
            assert next(usages) == LEFT_SHIFT_BIT
            keys += [(SHIFT, 1), *tap(USAGES[next(usages)]), (SHIFT, 0)]
        else:
            keys += tap(USAGES[usage])
    [text] = events(press(*keys, size=size))
    assert isinstance(text, LineText)
    assert code(text.content) == Code(vector["expected_text"])


def test_the_published_speeds_are_one_text_and_a_person_is_many() -> None:
    for key_us in (4 * MS, 16 * MS):
        assert events(encode("0012345678", key_us=key_us)) == [LineText(b"0012345678")]
    assert len(events(encode("0012345678", key_us=300 * MS))) == 11 - 1


@pytest.mark.parametrize("vector", TYPED, ids=lambda v: v["layout"][:2] + v.get("uid_dec", v.get("uid_hex")))
def test_what_a_kazakh_layout_typed_is_the_same_number(vector: dict[str, str]) -> None:
    keys = retyped(vector["raw"].rstrip("\n"))
    assert keys.isascii()
    found = guess(LineText(vector["raw"].rstrip("\n").encode()), typed=True)
    if "uid_hex" in vector:
        assert keys.upper() == vector["uid_hex"]
        assert isinstance(found, Uid)
        assert found.hex == vector["uid_hex"]
        assert not found.partial
        return
    assert str(int(keys)) == vector["uid_dec"]
    if int(keys) >= 1 << 32:
        assert found == Code(keys), "ten decimals, but no number of 32 bits"
        return
    assert isinstance(found, Uid)
    assert int.from_bytes(found.value, "big") == int(vector["uid_dec"])


@pytest.mark.parametrize("vector", TYPED, ids=lambda v: v["layout"][:2] + v.get("uid_dec", v.get("uid_hex")))
@SIZES
def test_the_keys_behind_it_say_the_number_under_any_layout(vector: dict[str, str], size: int) -> None:
    typed = retyped(vector["raw"].rstrip("\n"))
    assert events(encode(typed, size=size)) == [LineText(typed.encode())]


def test_a_russian_layout_and_a_kazakh_code() -> None:
    assert retyped("АФ09") == "FA09"
    assert guess(LineText("Әлия".encode())) == Code("Әлия")
    assert guess(LineText("вуфвиууа".encode()), typed=True) == guess(LineText(b"deadbeef"), typed=True)


def test_the_keypad_types_the_same_digits_and_its_enter_ends_them() -> None:
    keypad = {digit: code_ for code_, digit in hid.KEYPAD.items()}
    assert events(press(*tap(69, *(keypad[digit] for digit in "0012345678"), 69, 96))) == [LineText(b"0012345678")]


def test_repeats_locks_and_releases_type_nothing() -> None:
    assert events(press((58, 1), (2, 1), (2, 2), (2, 2), (2, 0), (3, 0), *tap(28))) == [LineText(b"1")]


def test_shift_holds_for_the_keys_under_it_alone() -> None:
    assert events(press(*tap(30), (SHIFT, 1), *tap(30), (54, 1), (SHIFT, 0), *tap(2), (54, 0), *tap(2, 28))) == [
        LineText(b"aA!1")
    ]


A, B, ONE, ENTER = 30, 48, 2, 28


def test_a_lost_release_of_shift_spoils_its_own_text_at_most() -> None:
    lost = [(SHIFT, 1), *tap(A, ONE, ENTER)]
    card = [*tap(ONE), (SHIFT, 1), *tap(B), (SHIFT, 0), *tap(ONE, ENTER)]
    fault, text = events(press(*lost, *card))
    assert isinstance(fault, Fault)
    assert "Shift" in fault.what
    assert text == LineText(b"1B1")
    assert events(press(*lost, (SHIFT, 0), *card))[1:] == [LineText(b"1B1")], "it is let go late"


def test_a_lost_release_behind_the_last_character_spoils_nothing() -> None:
    assert events(press(*tap(ONE), (SHIFT, 1), *tap(A, ENTER), *tap(ONE, A, ENTER))) == [
        LineText(b"1A"), LineText(b"1a"),
    ]  # fmt: skip
    once_more = [(SHIFT, 1), *tap(A), (SHIFT, 1), *tap(B), (SHIFT, 0), *tap(ENTER)]
    assert events(press(*once_more)) == [LineText(b"AB")]


def test_a_text_in_which_shift_is_not_sure_is_a_fault() -> None:
    lost_release = [(SHIFT, 1), *tap(A, B), (SHIFT, 1), *tap(A), (SHIFT, 0), *tap(ENTER)]
    lost_press = [*tap(A, B), (SHIFT, 0), *tap(ENTER)]
    for keys in (lost_release, lost_press):
        fault, text = events(press(*keys, *tap(ONE, ENTER)))
        assert isinstance(fault, Fault)
        assert text == LineText(b"1")


def test_no_modifier_outlives_a_silence() -> None:
    for modifier in (SHIFT, CTRL):
        assert events(press((modifier, 1)) + encode("1", start_us=250 * MS)) == [LineText(b"1")]


@given(st.data())
def test_texts_behind_any_lost_key_event_are_read_right(data: st.DataObject) -> None:
    number = data.draw(st.text("0123456789ABCDEF", min_size=1, max_size=14))
    whole = encode(number)
    size = 24
    drop = data.draw(st.integers(0, len(whole) // size - 1))
    damaged = whole[: drop * size] + whole[(drop + 1) * size :]
    *_, second, third = events(damaged + encode(number, start_us=1_000_000) + encode(number, start_us=2_000_000))
    assert second == third == LineText(number.encode())


def test_a_key_that_is_missing_makes_no_other_number() -> None:
    dropped = hid._LAYOUT[24].pack(0, 0, hid.EV_SYN, hid.SYN_DROPPED, 0)
    assert events(encode("0012", enter=False) + dropped + encode("345678")) == [
        Fault("the kernel dropped keys: the number is incomplete", FaultCause.CARD)
    ]
    for strange in (press(*tap(104)), press((CTRL, 1), *tap(2), (CTRL, 0))):
        [fault] = events(strange + encode("0012345678"))
        assert isinstance(fault, Fault)
        assert "plain text" in fault.what
    assert events(press(*tap(104)) + encode("1") + encode("2"))[-1] == LineText(b"2")


def test_silence_ends_a_text_that_has_no_enter() -> None:
    decoder = Decoder()
    assert not decoder.feed(encode("0012345678", enter=False))
    assert decoder.pending
    assert decoder.flush() == [LineText(b"0012345678", ended=False)]
    assert decoder.flush() == []
    later = encode("0012345678", enter=False) + encode("77", start_us=1_000_000)
    assert events(later) == [LineText(b"0012345678", ended=False), LineText(b"77")]


def test_the_size_of_an_event_is_found_out() -> None:
    for size in hid.SIZES:
        for start_us in (0, 1_763_800_000_123_456):
            assert events(encode("1F00644BB6", size=size, start_us=start_us)) == [LineText(b"1F00644BB6")]
    short = Decoder()
    assert not short.feed(press((2, 1), size=16))
    assert short.flush() == [LineText(b"1", ended=False)]


def test_the_typist_is_a_function_of_type_code_and_value() -> None:
    typist = Typist()
    found = [
        event
        for at, (code_, value) in enumerate([*tap(2, 3, 28)])
        for event in typist.event(hid.EV_KEY, code_, value, at)
    ]
    assert found == [LineText(b"12")]
    assert not list(typist.event(hid.EV_MSC, 4, 0x7001E, 0))


@SIZES
@given(
    texts=st.lists(st.text("0123456789ABCDEFabcdef:/.-", min_size=1, max_size=20), max_size=5), places=cutting.places
)
def test_any_cut_gives_the_same_texts(size: int, texts: list[str], places: list[int]) -> None:
    stream = b"".join(encode(text, size=size, start_us=at * 100_000) for at, text in enumerate(texts))
    decoder = Decoder()
    found = [*cutting.run(decoder.feed, cutting.cut(stream, places)), *decoder.flush()]
    assert found == [LineText(text.encode()) for text in texts]


@SIZES
@given(before=st.binary(max_size=60), between=st.binary(max_size=60))
def test_noise_around_events_hides_no_text(size: int, before: bytes, between: bytes) -> None:
    typed = encode("0012345678", size=size, start_us=1_763_800_000_000_000)
    decoder = Decoder(size=size)
    found = [*decoder.feed(before + typed + between + typed), *decoder.flush()]
    assert found.count(LineText(b"0012345678")) == 2


@given(data=st.binary(max_size=300))
def test_rubbish_gives_no_more_events_than_bytes_and_no_exception(data: bytes) -> None:
    decoder = Decoder()
    assert len([*decoder.feed(data), *decoder.flush()]) <= len(data) + 2


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"\x00", b"\x00\x01", b"\x00\x01\x02\x1c"])
def test_long_noise_leaves_nothing_behind_and_the_next_number_is_read(alphabet: bytes) -> None:
    dice, decoder = random.Random(1), Decoder(size=24)
    tracemalloc.start()
    try:
        for _ in range(20):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert LineText(b"77") in [*decoder.feed(encode("1\t2", start_us=10**15) + encode("77", start_us=10**15 + 10**6))]
