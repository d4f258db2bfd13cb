"""One card whose number is known names the setting of a reader; several that fit are never chosen from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.calibration import Fits, NoneFits, SeveralFit, accepted, calibrate, calibrate_all, choice
from drivers.cards.em4100 import Em4100Settings
from drivers.cards.ironlogic import IronLogicSettings
from drivers.cards.line import LineSettings
from drivers.errors import NotSupported
from drivers.readings import Technology, Uid
from drivers.registry import DRIVERS, DriverKind, reader_class
from drivers.settings import parse
from drivers.simulated.light import SimulatedLightSettings
from drivers.uid import RejectedNumber, UidEncoding, aliases, to_uid
from tests.vectors import load_reader

EM, MIFARE, UNKNOWN = Technology.EM4100, Technology.ISO14443A, Technology.UNKNOWN
ALL = tuple(UidEncoding)
PRINTED = [vector for vector in load_reader("em4100_serial")["vectors"] if vector["printed_on_card"]]


def uid(raw: str, encoding: UidEncoding = UidEncoding.HEX, technology: Technology = EM) -> Uid:
    found = to_uid(raw, encoding, technology)
    assert isinstance(found, Uid)
    return found


@pytest.mark.parametrize("vector", PRINTED, ids=lambda vector: vector["printed_on_card"])
def test_recorded_cards_with_their_printed_numbers(vector: dict[str, str]) -> None:
    read, encodings = uid(vector["expected_uid_hex"]), accepted(Em4100Settings)
    for known in (
        vector["printed_on_card"],
        vector["w26_fc_card"],
        vector["w26_fc_card"].replace(",", ""),
        f"{vector['dec10']} {vector['w26_fc_card']}",
        vector["expected_uid_hex"],
        vector["expected_uid_hex"][2:],  # without the customer's prefix
    ):
        outcome = calibrate(known, read, UidEncoding.HEX, encodings)
        assert isinstance(outcome, Fits), known
        assert outcome.settings == {"uid_encoding": "hex"}
        assert not outcome.candidate.partial


@pytest.mark.parametrize("right", accepted(Em4100Settings))
@pytest.mark.parametrize("now", accepted(Em4100Settings))
def test_the_setting_is_found_whatever_it_was(right: UidEncoding, now: UidEncoding) -> None:
    sent = {UidEncoding.HEX: "1F00644BB6", UidEncoding.HEX_REVERSED: "B64B64001F"}.get(right)
    if sent is None:
        sent = bytes(int(f"{byte:08b}"[::-1], 2) ^ 0xFF for byte in bytes.fromhex("1F00644BB6")).hex()
    outcome = calibrate("0006572982", uid(sent, now), now, accepted(Em4100Settings))
    assert isinstance(outcome, Fits)
    assert outcome.candidate.encoding is right


@given(st.sampled_from([4, 7]).flatmap(lambda size: st.binary(min_size=size, max_size=size)), st.sampled_from(ALL))
def test_what_a_reader_sent_is_found_again_from_what_was_read(value: bytes, encoding: UidEncoding) -> None:
    sent = to_uid(value.hex(), encoding, UNKNOWN)
    if isinstance(sent, RejectedNumber):
        return
    outcome = calibrate(sent.hex, sent, encoding, ALL)
    assert not isinstance(outcome, NoneFits)


def test_a_decimal_of_a_mifare_card_does_not_tell_the_order_of_its_bytes() -> None:
    read = uid("04A3C6CA", technology=MIFARE)
    orders = (UidEncoding.HEX, UidEncoding.HEX_REVERSED)
    outcome = calibrate(str(0x04A3C6CA), read, UidEncoding.HEX, orders)
    assert isinstance(outcome, SeveralFit)
    assert {candidate.encoding for candidate in outcome.candidates} == set(orders)
    assert "hex" in outcome.what_next
    settled = calibrate("04:A3:C6:CA", read, UidEncoding.HEX, orders)
    assert isinstance(settled, Fits)
    assert settled.candidate.encoding is UidEncoding.HEX


def test_iron_logics_rotation_shows_with_seven_bytes() -> None:
    read = uid("3AAC2280045646", UidEncoding.IRONLOGIC, MIFARE)
    outcome = calibrate("0456463AAC2280", read, UidEncoding.IRONLOGIC, accepted(IronLogicSettings))
    assert isinstance(outcome, Fits)
    assert outcome.candidate.encoding is UidEncoding.IRONLOGIC


def test_a_card_that_reads_the_same_in_both_orders_needs_a_second_one() -> None:
    same, other = uid("3412121234"), uid("1F00644BB6")
    orders = (UidEncoding.HEX, UidEncoding.HEX_REVERSED)
    assert isinstance(calibrate("3412121234", same, UidEncoding.HEX, orders), SeveralFit)
    cards = [("3412121234", same), ("0006572982", other)]
    assert isinstance(calibrate_all(cards, UidEncoding.HEX, orders), Fits)


def test_a_reader_of_parts_is_named_as_such() -> None:
    read = uid("100,19382", UidEncoding.W26, UNKNOWN)
    outcome = calibrate("0006572982", read, UidEncoding.W26, [UidEncoding.W26])
    assert isinstance(outcome, Fits)
    assert outcome.candidate.partial


def test_another_cards_number_fits_nothing() -> None:
    outcome = calibrate("0003887558", uid("1F00644BB6"), UidEncoding.HEX, accepted(Em4100Settings))
    assert isinstance(outcome, NoneFits)
    assert "digit by digit" in outcome.what_next


@pytest.mark.parametrize("known", ["", "  ", "hello", "99999999999", "1" * 65])
def test_what_is_no_number_is_refused(known: str) -> None:
    with pytest.raises(NotSupported):
        calibrate(known, uid("1F00644BB6"), UidEncoding.HEX, ALL)


@pytest.mark.parametrize("driver", [name for name, entry in DRIVERS.items() if entry.kind is DriverKind.READER])
def test_what_each_driver_accepts_is_found_or_it_has_none(driver: str) -> None:
    try:
        settings = reader_class(driver).Settings
    except NotSupported as error:
        pytest.skip(str(error))
    if "uid_encoding" not in settings.__struct_fields__:
        with pytest.raises(NotSupported):
            accepted(settings)
        return
    assert accepted(settings)


@pytest.mark.parametrize(
    ("options", "now", "count"),
    [
        ({"form": "dec10"}, UidEncoding.DEC10, 2),
        ({"form": "w34-hex", "uid_encoding": "w34-reversed"}, UidEncoding.W34_REVERSED, 2),
        ({"form": "hex"}, UidEncoding.HEX, 5),
        ({"pattern": "(?P<card>[0-9A-F]{8})"}, UidEncoding.HEX, 10),
    ],
)
def test_a_line_of_some_form_leaves_some_choice(options: dict[str, object], now: UidEncoding, count: int) -> None:
    found, encodings = choice(parse(LineSettings, {"port": "x"} | options))
    assert (found, len(encodings)) == (now, count)
    assert found in encodings


@pytest.mark.parametrize("form", ["code", "w26-hex", "w26-dec", "block"])
def test_a_line_of_another_form_leaves_none(form: str) -> None:
    with pytest.raises(NotSupported, match="nothing to find"):
        choice(parse(LineSettings, {"port": "x", "form": form}))


def test_other_readers_choose_from_all_that_they_accept() -> None:
    settings = Em4100Settings(port="x", uid_encoding="hex-reversed")
    assert choice(settings) == (UidEncoding.HEX_REVERSED, accepted(Em4100Settings))


@pytest.mark.parametrize(
    ("known", "sent", "now", "right"),
    [
        ("0006572982", "0006572982", UidEncoding.DEC10, UidEncoding.DEC10),
        ("0006572982", "1F00644BB6", UidEncoding.HEX, UidEncoding.HEX),
        ("1F00644BB6", "B64B64001F", UidEncoding.HEX, UidEncoding.HEX_REVERSED),
        ("90D752C5", "3310540688", UidEncoding.DEC10, UidEncoding.DEC10_REVERSED),
        ("04AF68DAC85A80", "68DAC85A8004AF", UidEncoding.HEX, None),
        ("213,02000", "213,02000", UidEncoding.W26, UidEncoding.W26),
    ],
)
def test_a_reader_that_may_be_set_to_anything(
    known: str, sent: str, now: UidEncoding, right: UidEncoding | None
) -> None:
    outcome = calibrate(known, uid(sent, now, UNKNOWN), now, ALL)
    if right is None:
        assert isinstance(outcome, NoneFits)
    else:
        assert isinstance(outcome, Fits), outcome
        assert outcome.candidate.encoding is right


def test_four_bytes_may_be_all_of_a_number_or_a_part_which_is_shown() -> None:
    outcome = calibrate("1E:A6:86:71", uid("7186A61E", technology=UNKNOWN), UidEncoding.HEX, ALL)
    assert isinstance(outcome, SeveralFit)
    assert {(one.encoding, one.partial) for one in outcome.candidates} == {
        (UidEncoding.HEX_REVERSED, False),
        (UidEncoding.W34_REVERSED, True),
    }


def test_ten_decimals_are_hex_only_with_colons() -> None:
    read = uid("0006572982", UidEncoding.DEC10, UNKNOWN)
    outcome = calibrate("00:06:57:29:82", read, UidEncoding.DEC10, ALL)
    assert isinstance(outcome, Fits)
    assert outcome.candidate.encoding is UidEncoding.HEX


def test_the_setting_stays_where_the_card_does_not_tell_it_from_another() -> None:
    for now in (UidEncoding.HEX, UidEncoding.IRONLOGIC):
        outcome = calibrate("BC:D1:42:64", uid("BCD14264", now, MIFARE), now, accepted(IronLogicSettings))
        assert isinstance(outcome, Fits)
        assert outcome.candidate.encoding is now


def test_a_driver_without_the_setting_says_so() -> None:
    with pytest.raises(NotSupported, match="has no uid_encoding"):
        accepted(SimulatedLightSettings)


def test_candidates_never_show_the_number() -> None:
    outcome = calibrate("1F00644BB6", uid("1F00644BB6"), UidEncoding.HEX, ALL)
    assert "644BB6" not in repr(outcome)
    assert aliases(uid("1F00644BB6"))
