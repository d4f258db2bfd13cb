"""The mark of a terminal's rows: on the disk, and harmless when it cannot be."""

from pathlib import Path

from edge_agent.runtime.row_mark_file import RowMarkFile


def test_a_mark_outlives_the_daemon_and_a_bad_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "marks" / "old"
    mark = RowMarkFile(path)
    assert mark.read() == ""
    mark.write("A1 2026-11-30 12:00:00")
    mark.write("A1 2026-11-30 12:05:00")
    assert RowMarkFile(path).read() == "A1 2026-11-30 12:05:00"
    path.write_bytes(b"\xff")
    assert mark.read() == ""
    blocked = RowMarkFile(path / "below-a-file")
    blocked.write("A1 2026-11-30 12:00:00")
    assert blocked.read() == ""
