"""One key is set; everything that a technician wrote beside it stays."""

from pathlib import Path

import pytest

from drivers.errors import NotSupported
from edge_agent.errors import SettingsWrong
from edge_agent.settings.reading import load_settings
from edge_agent.settings_file import set_reader_key

TEXT = """\
# our school
[kiosk]
name = "left"

[[readers]]   # the old one
driver = "em4100"
name = "exit"
port = "/dev/b"

[[readers]]
name = "door"  # by the window
driver = "em4100"
port = "/dev/a"
uid_encoding = "hex"  # as printed
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(TEXT)
    return file


@pytest.mark.parametrize("reader", ["door", "exit"])
def test_only_this_readers_key_changes(path: Path, reader: str) -> None:
    set_reader_key(path, reader, "uid_encoding", "hex-reversed")
    readers = load_settings(path).settings.readers
    encodings = {table.name: getattr(table.options, "uid_encoding") for table in readers}  # noqa: B009
    assert encodings == {"door": "hex", "exit": "hex"} | {reader: "hex-reversed"}
    assert "# our school" in path.read_text()
    assert "# by the window" in path.read_text()
    assert path.with_name("agent.toml.bak").read_text() == TEXT


def test_what_would_not_be_sound_changes_nothing(path: Path) -> None:
    for wrong in (("door", "uid_encoding", "sideways"), ("gate", "uid_encoding", "hex")):
        with pytest.raises((SettingsWrong, NotSupported)):
            set_reader_key(path, *wrong)
    assert path.read_text() == TEXT


def test_a_value_keeps_the_comment_beside_it_and_an_inline_table_is_understood(path: Path) -> None:
    set_reader_key(path, "door", "uid_encoding", "hex-reversed")
    assert 'uid_encoding = "hex-reversed"  # as printed' in path.read_text()
    path.write_text('readers = [{ name = "door", driver = "em4100", port = "/dev/a" }]  # one line\n')
    set_reader_key(path, "door", "uid_encoding", "hex-reversed")
    (table,) = load_settings(path).settings.readers
    assert getattr(table.options, "uid_encoding") == "hex-reversed"  # noqa: B009
    assert "# one line" in path.read_text()


def test_a_file_that_is_no_toml_is_refused_and_stays(path: Path) -> None:
    path.write_text("[[readers]\n")
    with pytest.raises(SettingsWrong):
        set_reader_key(path, "door", "uid_encoding", "hex")
    assert path.read_text() == "[[readers]\n"
