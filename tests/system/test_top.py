"""`edge-agent top` on a real daemon: readers, the last readings and the curve; and on an agent that does not run."""

import os
import pty
import subprocess
from pathlib import Path

from drivers.simulated.card_peer import CardPeer
from tests.system.daemon import AGENT, Daemon, edge_agent, school_export, serial_reader

KNOWN = "015A3C9601"


def test_it_shows_the_agent_and_names_nobody(tmp_path: Path) -> None:
    with (
        CardPeer(tmp_path / "door") as door,
        Daemon(tmp_path, serial_reader("door", "em4100", door.port), kiosk='school = "sch-1"') as daemon,
    ):
        config = ("--config", str(daemon.config))
        export = school_export(tmp_path / "export", "sch-1", {"u-1": ("em4100", KNOWN)})
        edge_agent("roster", "import", str(export), "--local", *config)
        daemon.start()
        door.present(bytes.fromhex(KNOWN), frames=3)
        daemon.until(lambda status: status["readers"][0]["readings"] > 0)
        shown = edge_agent("top", "--times", "2", "--every", "0.2", "--language", "en", *config).stdout
        for words in ("door", "em4100 is present", "every visit is written down", "entry", "between two looks", "MiB"):
            assert words in shown, shown
        for private in ("Family-u-1", "Әлия", "u-1", KNOWN):
            assert private not in shown
        assert "запись" in edge_agent("top", "--times", "1", "--language", "ru", *config).stdout
        assert daemon.stop() == 0
        assert "does not run" in edge_agent("top", "--times", "1", "--language", "en", *config).stdout


def test_in_a_terminal_it_takes_the_whole_screen(tmp_path: Path) -> None:
    """A real terminal gets the sequences that keep what was there before."""
    config = tmp_path / "agent.toml"
    config.write_text(f'[kiosk]\nstate_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n')
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*AGENT, "top", "--times", "1", "--language", "en", "--config", str(config)], stdout=theirs, check=False
    )
    os.close(theirs)
    drawn = os.read(ours, 65_536)
    os.close(ours)
    assert done.returncode == 0
    assert b"\x1b[?1049h" in drawn
    assert b"does not run" in drawn
