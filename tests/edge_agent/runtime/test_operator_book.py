"""The operators' file: the first head, PINs for one sign-in, blocks, restarts, and files that cannot be used."""

from pathlib import Path

import pytest

from edge_agent.domain.operators import Operator, OperatorFault, OperatorRefused, OperatorRole, PinFault
from edge_agent.palms import keys
from edge_agent.runtime.operator_book import OPERATORS_NAME, CommonPin, OperatorBook
from edge_agent.runtime.pin_hashes import KIOSK_SECRET_NAME
from edge_agent.screen.ports import PinVerdict

COMMON = CommonPin("2468", ("Cook", "  Анна   Ли "))
HEAD, COOK = (OperatorRole.HEAD,), (OperatorRole.COOK,)


def open_book(folder: Path, common: CommonPin = COMMON) -> OperatorBook:
    return OperatorBook(folder, common)


def fault_of(refused: pytest.ExceptionInfo[OperatorRefused]) -> str:
    return refused.value.fault


def test_until_the_first_head_the_settings_names_sign_in_with_the_common_pin(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    assert [choice.id for choice in book.choices()] == ["Cook", "Анна Ли"]
    assert book.check_pin("Cook", "2468") is PinVerdict.RIGHT
    assert book.check_pin("Cook", "1111") is PinVerdict.WRONG
    assert book.check_pin("Somebody", "2468") is PinVerdict.WRONG

    head = book.add_first("Гүлнар  Ахметова", "314159")
    assert head.name == "Гүлнар Ахметова"
    for again in (book, open_book(tmp_path)):
        assert not again.is_first_awaited
        assert list(again.choices()) == [head]
        assert again.check_pin(head.id, "314159") is PinVerdict.RIGHT
        assert again.check_pin("Cook", "2468") is PinVerdict.WRONG
        assert not again.check_common_pin("2468")
    with pytest.raises(OperatorRefused):
        book.add_first("Somebody", "271828")


@pytest.mark.parametrize("pin", [None, "", "123"])
def test_without_a_usable_common_pin_nobody_is_there(tmp_path: Path, pin: str | None) -> None:
    book = open_book(tmp_path, CommonPin(pin, ("Cook",)))
    assert not book.is_first_awaited
    assert list(book.choices()) == []
    assert book.check_pin("Cook", pin or "") is PinVerdict.WRONG


def test_a_given_pin_is_for_one_sign_in_and_must_be_changed(tmp_path: Path) -> None:
    book = open_book(tmp_path, CommonPin(None))
    with pytest.raises(OperatorRefused) as refused:
        book.add("Анна Ли", COOK)
    assert fault_of(refused) == OperatorFault.FIRST_IS_HEAD
    head, given = book.add("Гүлнар", HEAD)
    assert book.check_pin(head.id, given) is PinVerdict.TO_CHANGE
    with pytest.raises(OperatorRefused) as refused:
        book.change_pin(head.id, given, given)
    assert fault_of(refused) in (PinFault.UNCHANGED, PinFault.EASY)
    book.change_pin(head.id, given, "314159")
    assert book.check_pin(head.id, given) is PinVerdict.WRONG
    assert book.check_pin(head.id, "314159") is PinVerdict.RIGHT
    anew = book.renew_pin(head.id)
    assert book.check_pin(head.id, "314159") is PinVerdict.WRONG
    assert book.check_pin(head.id, anew) is PinVerdict.TO_CHANGE


def test_a_blocked_operator_stays_by_name_and_the_last_head_is_not_blocked(tmp_path: Path) -> None:
    book = open_book(tmp_path, CommonPin(None))
    head, _ = book.add("Гүлнар", HEAD)
    cook, pin = book.add("Анна Ли", COOK)
    with pytest.raises(OperatorRefused) as refused:
        book.add("анна ли", COOK)
    assert fault_of(refused) == OperatorFault.NAME_TAKEN
    book.block(cook.id)
    assert book.check_pin(cook.id, pin) is PinVerdict.WRONG
    assert [(row.operator.name, row.is_blocked) for row in book.list_all()] == [("Анна Ли", True), ("Гүлнар", False)]
    with pytest.raises(OperatorRefused) as refused:
        book.block(head.id)
    assert fault_of(refused) == OperatorFault.LAST_HEAD
    assert book.add("Анна Ли", COOK)[0].id != cook.id


def test_the_file_holds_no_pin_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    _, pin = open_book(tmp_path).add("Гүлнар", HEAD)
    for name in (OPERATORS_NAME, KIOSK_SECRET_NAME):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert pin.encode() not in (tmp_path / name).read_bytes()


def test_a_copied_file_is_of_no_use_without_the_kiosks_secret(tmp_path: Path) -> None:
    head, pin = open_book(tmp_path).add("Гүлнар", HEAD)
    (tmp_path / KIOSK_SECRET_NAME).unlink()
    assert open_book(tmp_path).check_pin(head.id, pin) is PinVerdict.WRONG


def test_pins_are_keyed_by_the_schools_key_where_there_is_one(tmp_path: Path) -> None:
    early, early_pin = open_book(tmp_path).add("Гүлнар", HEAD)
    keys.make(tmp_path)
    book = open_book(tmp_path)
    late, late_pin = book.add("Анна Ли", COOK)
    assert book.check_pin(early.id, early_pin) is PinVerdict.TO_CHANGE
    assert book.check_pin(late.id, late_pin) is PinVerdict.TO_CHANGE
    (tmp_path / KIOSK_SECRET_NAME).unlink()
    assert book.check_pin(late.id, late_pin) is PinVerdict.TO_CHANGE
    (tmp_path / keys.PALM_KEY_NAME).unlink()
    assert book.check_pin(late.id, late_pin) is PinVerdict.WRONG


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / OPERATORS_NAME).write_bytes(content)
    book = open_book(tmp_path)
    assert not book.is_first_awaited
    assert list(book.choices()) == []
    with pytest.raises(OperatorRefused) as refused:
        book.add("Гүлнар", HEAD)
    assert fault_of(refused) == OperatorFault.OPERATORS_UNREADABLE
    assert (tmp_path / OPERATORS_NAME).read_bytes() == content


def test_what_cannot_be_stored_changes_nothing(tmp_path: Path) -> None:
    book = open_book(tmp_path / "file" / "state", CommonPin(None))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperatorRefused) as refused:
        book.add("Гүлнар", HEAD)
    assert fault_of(refused) == OperatorFault.OPERATORS_NOT_STORED
    assert list(book.list_all()) == []


ANNA = Operator("t-7", "Анна Ли", frozenset({OperatorRole.COOK}))
GULNAR = Operator("t-1", "Гүлнар", frozenset({OperatorRole.HEAD}))


def test_a_rosters_operator_signs_in_once_a_pin_is_given_here_and_not_off_the_roster(tmp_path: Path) -> None:
    listed: list[Operator] | None = [ANNA, GULNAR]
    book = OperatorBook(tmp_path, CommonPin(None), lambda: listed)
    assert list(book.choices()) == []
    assert [(row.operator, row.has_own_pin) for row in book.list_all()] == [(ANNA, False), (GULNAR, False)]
    with pytest.raises(OperatorRefused) as refused:
        book.renew_pin("t-7")
    assert fault_of(refused) == OperatorFault.FIRST_IS_HEAD
    book.change_pin("t-1", book.renew_pin("t-1"), "314159")
    given = book.renew_pin("t-7")
    assert book.check_pin("t-7", given) is PinVerdict.TO_CHANGE
    with pytest.raises(OperatorRefused) as refused:
        book.add("анна ли", COOK)
    assert fault_of(refused) == OperatorFault.NAME_TAKEN

    listed = [Operator("t-7", "Анна Ким", frozenset({OperatorRole.CLASS_TEACHER}), "3 «Б»"), GULNAR]
    assert book.find("t-7") == listed[0], "the roster says who somebody is"
    listed = [GULNAR]
    again = OperatorBook(tmp_path, CommonPin(None), lambda: listed)
    for after in (book, again):
        assert list(after.choices()) == [GULNAR]
        assert after.check_pin("t-7", given) is PinVerdict.WRONG
        assert ("Анна Ли", True) in [(row.operator.name, row.is_blocked) for row in after.list_all()], "for old events"
        with pytest.raises(OperatorRefused):
            after.renew_pin("t-7")
    listed = None  # the journal was set aside, and no ledger is reachable: the staff go on
    assert list(again.choices()) == [ANNA, GULNAR]
    assert again.check_pin("t-1", "314159") is PinVerdict.RIGHT


def test_a_rosters_operator_is_blocked_here_before_the_first_pin(tmp_path: Path) -> None:
    book = OperatorBook(tmp_path, CommonPin(None), lambda: [ANNA])
    head, _ = book.add("Гүлнар", HEAD)
    book.block("t-7")
    with pytest.raises(OperatorRefused):
        book.renew_pin("t-7")
    assert [choice.id for choice in book.choices()] == [head.id]
