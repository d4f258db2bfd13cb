"""The paired tablets in their file: found by their secret, which is kept nowhere, renewed, and revoked for good."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.domain.tablets import TABLETS_MAX, TabletFault, TabletRefused
from edge_agent.runtime.tablet_book import TABLETS_NAME, TabletBook

AT = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)


def open_book(folder: Path) -> TabletBook:
    return TabletBook(folder, lambda: AT)


def test_a_tablet_is_known_after_a_restart_and_the_file_holds_no_secret(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    secret = book.add("3 «Б»")
    tablet = book.find(secret)
    assert tablet is not None
    book.note_seen(tablet, "192.168.7.9")
    (listed,) = book.list_all()
    assert (listed.name, listed.paired_at, listed.seen_from) == ("3 «Б»", "2026-11-27T04:00:00+00:00", "192.168.7.9")
    assert open_book(tmp_path).find(secret) == tablet
    assert [open_book(tmp_path).find(other) for other in ("", "x", tablet)] == [None] * 3
    file = tmp_path / TABLETS_NAME
    assert secret.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_copied_secret_dies_at_the_second_renewal(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    copied = book.add("3 «Б»")
    tablet = book.find(copied)
    assert tablet is not None
    second = book.renew(tablet, copied)
    assert second is not None
    assert book.find(copied) == tablet  # the answer with the second one may have been lost
    third = book.renew(tablet, second)
    assert third is not None
    assert [book.find(secret) for secret in (copied, second, third)] == [None, tablet, tablet]
    assert [open_book(tmp_path).find(secret) for secret in (copied, second, third)] == [None, tablet, tablet]


def test_a_lost_answer_does_not_shut_the_tablet_out(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    secret = book.add("3 «Б»")
    tablet = book.find(secret)
    assert tablet is not None
    for _ in range(3):  # each time the tablet goes on with the secret that it has
        assert book.renew(tablet, secret) is not None
        assert book.find(secret) == tablet


def test_a_revoked_tablet_stays_revoked(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    secret, other = book.add("3 «Б»"), book.add("4 «А»")
    tablet = book.find(secret)
    assert tablet is not None
    book.revoke(tablet)
    assert (book.find(secret), book.is_paired(tablet), book.renew(tablet, secret)) == (None, False, None)
    assert open_book(tmp_path).find(secret) is None
    assert open_book(tmp_path).find(other) is not None
    with pytest.raises(TabletRefused) as refused:
        book.revoke(tablet)
    assert refused.value.fault is TabletFault.UNKNOWN_TABLET


def test_a_disk_that_takes_nothing_revokes_at_once_and_says_that_it_will_not_last(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    secret = book.add("3 «Б»")
    tablet = book.find(secret)
    assert tablet is not None
    (tmp_path / f"{TABLETS_NAME}.new").mkdir()  # nothing can be written there, by root neither
    assert book.renew(tablet, secret) is None
    assert book.find(secret) == tablet
    with pytest.raises(TabletRefused) as refused:
        book.revoke(tablet)
    assert refused.value.fault is TabletFault.TABLETS_NOT_STORED
    assert book.find(secret) is None


def test_the_tablets_are_counted(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    for number in range(TABLETS_MAX):
        book.add(f"tablet {number}")
    with pytest.raises(TabletRefused) as refused:
        book.add("one too many")
    assert refused.value.fault is TabletFault.TABLETS_FULL


@pytest.mark.parametrize("content", [b"{", b'[{"id": 1}]'])
def test_an_unreadable_file_lets_nobody_in_and_is_never_written_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TABLETS_NAME).write_bytes(content)
    book = open_book(tmp_path)
    assert (book.find("x"), list(book.list_all())) == (None, [])
    with pytest.raises(TabletRefused):
        book.add("3 «Б»")
    assert (tmp_path / TABLETS_NAME).read_bytes() == content
