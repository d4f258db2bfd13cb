"""What the log looks like: entries with fields for journald (a real one), lines with local time for people."""

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.process.journald import FIELDS, JournaldHandler, encode_entry, is_journald_listening

JOURNALD = next((path for path in ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")
                 if Path(path).exists()), "")  # fmt: skip
HERE = Path(__file__).parents[3]

# Journald in a mount namespace of its own: its /run is empty, and nothing of the machine's is touched.
NAMESPACE = """
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
"$JOURNALD" 2>/run/journald.log & journald=$!
while [ ! -S /run/systemd/journal/socket ]; do kill -0 $journald || { cat /run/journald.log >&2; exit 1; }; done
"$PYTHON" -c "$SCRIPT" 2>/run/stderr
list="journalctl --directory=/run/log/journal SYSLOG_IDENTIFIER=edge-agent --all --no-pager"
until $list --output=cat | grep -q "^the end"; do kill -0 $journald; done
kill $journald
cat /run/stderr >&2
exec $list --output=json
"""

SCRIPT = """
import logging, os, sys
stream = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino}"
from edge_agent.process.logs import set_up_logging
from edge_agent.process.repeated_faults import RepeatedFaults
set_up_logging("INFO")
log = logging.getLogger("kiosk.part")
log.info("ready")
now = [0.0]
faults = RepeatedFaults(log, lambda: now[0])
for now[0] in (0.0, 1.0, 2.0, 3601.0):
    faults.note("door", logging.ERROR, "went away")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two\\nlines, Әлия")
log.warning("long " + "x" * 1_000_000)
log.info("the end")
"""


def test_a_real_journald_takes_the_fields() -> None:
    if not JOURNALD or shutil.which("journalctl") is None or shutil.which("unshare") is None:
        pytest.skip("systemd and util-linux are not installed")
    if os.getuid() != 0:
        pytest.skip("only root can give journald a /run of its own")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", NAMESPACE], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"JOURNALD": JOURNALD, "PYTHON": sys.executable, "SCRIPT": SCRIPT, "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "journald has taken everything: nothing goes to standard error"
    ready, fault, again, trace, long, _ = (json.loads(line) for line in done.stdout.splitlines())
    assert (ready["MESSAGE"], ready["PRIORITY"], ready["LOGGER"]) == ("ready", "6", "kiosk.part")
    assert (fault["PRIORITY"], fault["CANTEEN_SUBJECT"], fault["CANTEEN_COUNT"]) == ("3", "door", "1")
    assert (again["CANTEEN_COUNT"], again["CODE_FUNC"]) == ("3", "note")
    assert trace["MESSAGE"].startswith("two\nlines, Әлия\nTraceback")
    assert (len(long["MESSAGE"]), long["PRIORITY"]) == (1_000_005, "4")


def test_an_entry_that_journald_does_not_take_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = logging.StreamHandler(sys.stderr)
    handler = JournaldHandler(lines, "edge-agent", str(tmp_path / "nobody"))
    handler.handle(logging.LogRecord("kiosk", logging.ERROR, "file", 1, "the disk is full", (), None))
    handler.close()
    assert capsys.readouterr().err == "the disk is full\n"


def test_fields_are_text_and_a_line_feed_makes_no_other_field(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        handler = JournaldHandler(logging.NullHandler(), "edge-agent", str(tmp_path / "journal"))
        record = logging.LogRecord("kiosk", logging.INFO, "file", 1, "%s", ("a\nPRIORITY=0",), None)
        setattr(record, FIELDS, {"CANTEEN_COUNT": 3})
        handler.handle(record)
        handler.close()
        entry = journal.recv(65_536)
    assert entry.startswith(b"MESSAGE\n" + (12).to_bytes(8, "little") + b"a\nPRIORITY=0\nPRIORITY=6\n")
    assert entry.endswith(b"CANTEEN_COUNT=3\n")


def test_no_text_breaks_the_encoding() -> None:
    assert encode_entry({"MESSAGE": "\udc80"}) == b"MESSAGE=\\udc80\n"


def test_an_inherited_variable_of_another_stream_is_no_journald() -> None:
    assert not is_journald_listening({"JOURNAL_STREAM": "1:2"})
    assert not is_journald_listening({})


def test_a_line_for_people_begins_with_local_time_and_offset() -> None:
    script = "from edge_agent.process.logs import *; set_up_logging('INFO'); logging.getLogger('kiosk').error('gone')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"TZ": "Asia/Almaty", "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0[56]:00"  # the zone of 2024 and later, or an old data base's
    assert re.fullmatch(time + r" ERROR   kiosk: gone\n", done.stderr), done.stderr
