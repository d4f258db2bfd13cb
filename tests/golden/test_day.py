"""Two recorded school days through the real daemon: every byte that it kept, and all that it showed."""

from pathlib import Path

import pytest

from tests.golden import replay
from tests.golden.golden import difference


@pytest.mark.timeout(300)
def test_recorded_days_give_the_same_journal_and_the_same_screens(tmp_path: Path) -> None:
    found = [difference(replay.DAY / name, now) for name, now in replay.play(tmp_path).items()]
    assert not any(found), "\n\n".join(each for each in found if each)
