"""The drain's measurement works; its figures are for `make bench`."""

from pathlib import Path

import pytest

from tests.sync.client.drain import measure

pytestmark = pytest.mark.slow


@pytest.mark.timeout(60)
def test_a_small_backlog_leaves_the_journal_over_a_real_socket(tmp_path: Path) -> None:
    client, floor = measure(3_000, tmp_path)
    assert client > 0
    assert floor > 0
