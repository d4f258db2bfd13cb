"""The numbers of the ledger's advisory locks: whoever waits for one waits for its purpose alone."""

import re

from tests.measure_names import ROOT

NUMBER = re.compile(r"^_LOCK\b.*= (0x[0-9A-Fa-f_]+)", re.MULTILINE)


def test_no_two_purposes_share_a_lock() -> None:
    numbers = {
        path: int(number, 16)
        for path in (ROOT / "sync").rglob("*.py")
        for number in NUMBER.findall(path.read_text("utf-8"))
    }
    assert len(numbers) >= 4
    assert len(set(numbers.values())) == len(numbers)
