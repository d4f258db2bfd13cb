"""`edge-agent setup` on a machine without systemd: simulated reader, real daemon, real ledger."""

import subprocess
from pathlib import Path

import psycopg
import pytest

from drivers.simulated.card_peer import CardPeer
from sync.contract.roster import School
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer, utc_now
from tests.system.card_holding import held_card
from tests.system.daemon import AGENT, Daemon, edge_agent, facts

CARD = bytes.fromhex("010A1B2C3D")
PRINTED = f"{int.from_bytes(CARD[1:]):010}"


@pytest.fixture
def answers(tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str) -> Path:
    """A file with all answers for a kiosk of this test's school."""
    rosters.apply_changes(db, school, [School(id=school, name="School", timezone="Asia/Almaty")])
    path = tmp_path / "answers.toml"
    path.write_text(
        f"""
        language = "ru"
        name = "canteen, left door"
        head = "Айгүл Сейтова"
        [ledger]
        url = "{server.url}"
        code = "{schools.issue_code(db, school, "left door", utc_now())}"
        [[readers]]
        name = "door"
        driver = "em4100"
        port = "{tmp_path}/door"
        card = "{PRINTED}"
        """,
        "utf-8",
    )
    return path


class SetupRun:
    """One run of the setup beside the test, which holds cards to the reader when it is asked to."""

    def __init__(self, config: Path, answers: Path) -> None:
        self._process = subprocess.Popen(
            [*AGENT, "setup", "--from", str(answers), "--config", str(config)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.text = ""

    def read_until(self, words: str) -> None:
        """Reads until a line has these words, or the run ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.text += line
            if words in line:
                return
        raise AssertionError(f"no line with {words!r}:\n{self.text}")

    def end(self) -> int:
        """Returns the exit code."""
        rest, _ = self._process.communicate(timeout=60)
        self.text += rest
        return self._process.returncode


def test_from_a_file_of_answers_to_the_ledgers_receipt(tmp_path: Path, answers: Path, db: psycopg.Connection) -> None:
    with CardPeer(tmp_path / "door") as peer, Daemon(tmp_path) as daemon:
        first = SetupRun(daemon.config, answers)
        first.read_until(" 30 ")
        with held_card(peer, CARD):
            first.read_until("3/9")
        assert first.end() == 4, first.text  # systemd does not run here: a person starts the agent
        daemon.start()
        second = SetupRun(daemon.config, answers)
        second.read_until(" 30 ")
        with held_card(peer, CARD):
            second.read_until("9/9")
        assert second.end() in {0, 1}, second.text  # 1: the doctor's findings on a machine of tests
        assert daemon.status()["journal"]["queue"] == 0
        test = next(facts(daemon.rows(), "refusal"))
        assert (test["reason"], test["reader"]) == ("test_scan", "door")
        assert "person" not in test
        listed = edge_agent("operators", "list", "--json", "--config", str(daemon.config)).stdout
        assert "Айгүл Сейтова" in listed
        assert "uid_encoding" in daemon.config.read_text("utf-8")
        third = SetupRun(daemon.config, answers)
        third.read_until(" 30 ")
        with held_card(peer, CARD):
            third.read_until("9/9")
        assert third.end() in {0, 1}, third.text
        assert third.text.count("Сделано раньше") >= 4
    (count,) = db.execute("SELECT count(*) FROM event WHERE payload LIKE '%%test_scan%%'").fetchone() or (0,)
    assert count >= 2
