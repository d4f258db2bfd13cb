"""The guide's ten steps, typed as they stand, with a simulated reader, a real daemon and a real ledger.

`systemctl` and the settings' place are stand-ins: systemd does not run where tests run.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from drivers.simulated.card_peer import CardPeer
from sync.contract.roster import Person, School
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer, utc_now
from tests.system.card_holding import held_card
from tests.system.daemon import Daemon

GUIDE = Path(__file__).parents[2] / "docs" / "technician.md"
CARD = bytes.fromhex("010A1B2C3D")
# What fails on a machine of tests: nothing, except where systemd runs it and our unit is not installed.
FAILURES = (
    [
        "unit: /etc/systemd/system/edge-agent.service is not installed",
        "unit: does not start with the machine",
    ]
    if Path("/run/systemd/system").exists()
    else []
)
PRINTED = f"{int.from_bytes(CARD[1:]):010}"


def steps() -> str:
    text = GUIDE.read_text("utf-8")
    return text[text.index("## Ten steps") : text.index("## Where the kiosk stands")]


def blocks(kind: str) -> list[str]:
    """Returns the code blocks of the ten steps in this language, without their indent."""
    found = re.findall(rf"^ +```{kind}\n(.*?)^ +```", steps(), re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ {3,4}", "", block, flags=re.MULTILINE) for block in found]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CardPeer]:
    with CardPeer(tmp_path / "door") as reader:
        yield reader


@pytest.fixture
def daemon(tmp_path: Path, peer: CardPeer) -> Iterator[Daemon]:
    with Daemon(tmp_path) as kiosk:
        yield kiosk


def test_the_ten_steps_lead_from_a_reader_to_a_receipt(
    tmp_path: Path, peer: CardPeer, daemon: Daemon, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    pupil = Person(id="u1", given_name="Арман", family_name="Ким")
    rosters.apply_changes(db, school, [School(id=school, name="School"), pupil])
    code = schools.issue_code(db, school, "left door", utc_now())
    (answers,) = blocks("toml")
    place = {"LEDGER": server.url, "CODE": code, "PORT": str(peer.port), "NUMBER": PRINTED}
    for word, value in place.items():
        answers = answers.replace(f'"{word}"', f'"{value}"')
    (tmp_path / "answers.toml").write_text(answers, "utf-8")
    programs = stand_ins(tmp_path / "bin", daemon)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "EDGE_AGENT_CONFIG": str(daemon.config)}
    seen = {}
    with held_card(peer, CARD):
        for block in blocks("sh"):
            typed = block.replace("/etc/edge-agent/answers.toml", str(tmp_path / "answers.toml"))
            done = subprocess.run(
                ["bash", "-c", typed], env=environment, capture_output=True, text=True, check=False, timeout=120
            )
            seen[block.strip()] = done
    os.kill(int((programs / "pid").read_text()), signal.SIGTERM)
    texts = {block: done.stdout + done.stderr for block, done in seen.items()}
    assert len(texts) == 8
    (set_up,) = (text for block, text in texts.items() if block.startswith("edge-agent setup"))
    assert "9/9" in set_up, set_up
    assert "PIN" in set_up
    assert "door" in texts["edge-agent devices list"]
    assert re.search(r"person +1\n", texts["edge-agent roster show"])
    assert "HEAD OF THE CANTEEN" in texts["edge-agent operators list"]
    assert "reachable" in texts["systemctl restart edge-agent\nedge-agent sync status"]
    assert " fail" in texts["edge-agent doctor"]
    assert re.findall(r"^fails  (.*)", texts["edge-agent doctor"], re.MULTILINE) == FAILURES
    assert len(re.findall(r"^сбой ", set_up, re.MULTILINE)) == len(FAILURES)
    reporting = {"edge-agent doctor", *(block for block in texts if block.startswith("edge-agent setup"))}
    failed = {block for block, done in seen.items() if done.returncode}
    assert failed == (reporting if FAILURES else set())


def stand_ins(folder: Path, daemon: Daemon) -> Path:
    """Returns a folder with `edge-agent`, and a `systemctl` that starts, or stops and starts, the daemon."""
    folder.mkdir()
    agent = f'{sys.executable} -P -c "from edge_agent.cli.main import main; main()"'
    start = f"{agent} run --config {daemon.config} >>{daemon.folder}/log 2>&1 & echo $! >{folder}/pid"
    stop = f'pid=$(cat {folder}/pid); kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done'
    wait = f"until {agent} sync status --config {daemon.config} >/dev/null 2>&1; do sleep 0.1; done"
    scripts = {
        "edge-agent": f'exec {agent} "$@"',
        "systemctl": f'case "$*" in *screen) exit 0;; restart*) {stop};; esac\n{start}\n{wait}',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    return folder
