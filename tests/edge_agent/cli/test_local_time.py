"""The times that people read on the command line are those of the school's clock, with their offset."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.cli.options import show_local
from tests.edge_agent.journal.samples import build_entry, open_journal
from tests.system.daemon import edge_agent


def test_a_time_is_local_with_its_offset_and_what_is_none_stays() -> None:
    almaty = ZoneInfo("Asia/Almaty")
    assert show_local("2026-11-22T19:40:00.123Z", almaty) == "2026-11-23 00:40:00+05:00"
    assert show_local("2023-11-22T19:40:00.123Z", almaty) == "2023-11-23 01:40:00+06:00", "the law of that year"
    assert show_local("", almaty) == ""
    assert show_local("yesterday", almaty) == "yesterday"


def test_the_journals_list_shows_local_time_to_people_and_utc_to_machines(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\ntimezone = "Asia/Almaty"\n')
    with open_journal(tmp_path / "journal.db") as journal:
        journal.append(build_entry(1))
    words = ("journal", "list", "--config", str(config))
    assert "2026-11-23 09:40:00+05:00" in edge_agent(*words).stdout
    assert json.loads(edge_agent(*words, "--json").stdout)["event"]["at"] == "2026-11-23T04:40:00.123Z"
