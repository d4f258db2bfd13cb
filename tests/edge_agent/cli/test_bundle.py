"""`edge-agent doctor --bundle`: its bytes are searched for everything private that was planted on the kiosk."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.bundle.archive import write_bundle
from edge_agent.cli.bundle.redaction import PrivateMask, PrivateWords
from edge_agent.cli.doctor import examine_kiosk
from edge_agent.cli.main import build
from sync.client.keys import DeviceKey
from sync.contract.roster import Credential, Person, Record
from tests.edge_agent.cli.checks.kiosk import write_file
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal
from tests.edge_agent.journal.test_roster_table import build_page

CHILD = Person(id="u-1", given_name="Әлия", family_name="Қасымова")
TEACHER = Person(id="u-2", given_name="Ким", family_name="Ан")
CARD = "04A3C6CA9B2280"
EM_CARD = "010A1B2C3D"
PRINTED, FACILITY = f"{0x0A1B2C3D:010}", f"{0x1B},{0x2C3D:05}"
PIN, PASSWORD, OPERATOR = "8471", "hunter2hunter2", "Сауле Ержанова"
LOG = f"""\
2026-11-20T08:00:01+0500 kiosk edge-agent[7]: door: card {CARD} of Әлия Қасымова is unknown
2026-11-20T08:00:02+0500 kiosk edge-agent[7]: door: 04 A3 C6 CA 9B 22 80, printed {PRINTED} or {FACILITY}
2026-11-20T08:00:03+0500 kiosk edge-agent[7]: ҚАСЫМОВА signed in with {PIN}; Ан, Ким
2026-11-20T08:00:04+0500 kiosk edge-agent[7]: camera rtsp://admin:{PASSWORD}@192.168.1.9/h264 gives no pictures
2026-11-20T08:00:05+0500 kiosk edge-agent[7]: a strange card 99AABBCCDD11 and the code 4815162342
2026-11-20T08:00:06+0500 kiosk edge-agent[7]: edge-agent 0.1.0: 1a86:7523 is away, no permission on /dev/ttyUSB0
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The settings of a kiosk on which everything private is planted that a kiosk has."""
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    journal = open_journal(state / "journal.db")
    records: list[Record] = [CHILD, TEACHER, Credential(id="c-1", person="u-1", value=CARD)]
    journal.roster.apply([build_page(0, 1, *records, Credential(id="c-2", person="u-2", value=EM_CARD))], NOON)
    journal.append(build_entry(1, "u-1", note="Әлия forgot the card"))
    journal.close()
    DeviceKey.make().write(state / "device.key")
    write_file(state, "palm.key", "c2Nob29sLXBhbG0ta2V5LW9mLXRoaXMtc2Nob29s", 0o600)
    write_file(state, "operators.json", json.dumps([{"id": "o1", "name": OPERATOR, "pin": {"hash": "x" * 43}}]))
    write_file(tmp_path, "etc/credstore/edge-agent.staff-pin", PIN, 0o600)
    write_file(tmp_path, "etc/credstore/edge-agent.password", PASSWORD, 0o600)
    write_file(tmp_path, "edge-agent.log", LOG)
    return write_file(
        tmp_path,
        "agent.toml",
        f'[kiosk]\nname = "door of {OPERATOR}"\nstate_dir = "{state}"\nrun_dir = "{tmp_path}/run"\n'
        f'[screen]\noperators = ["Сауле Ержанова"]\n[[readers]]\nname = "door"\ndriver = "em4100"\nport = "/dev/x"\n'
        f'[[readers]]\nname = "gate"\ndriver = "mqtt"\nhost = "broker"\nuser = "{PASSWORD}"\ntopics = "plain"\n',
    )


def make_bundle(config: Path) -> Result:
    arguments = ["doctor", "--config", str(config), "--bundle", str(config.parent / "bundle.tar.gz")]
    return CliRunner().invoke(build("doctor"), [*arguments, "--log", str(config.parent / "edge-agent.log")])


def read_parts(config: Path) -> dict[str, bytes]:
    with tarfile.open(config.parent / "bundle.tar.gz") as archive:
        members = {member.name.rpartition("/")[2]: archive.extractfile(member) for member in archive.getmembers()}
        return {name: member.read() for name, member in members.items() if member is not None}


def test_nothing_private_is_in_its_bytes(config: Path) -> None:
    folder = config.parent
    examined, findings = examine_kiosk(config)
    names = write_bundle(folder / "bundle.tar.gz", replace(examined, root=folder), findings, folder / "edge-agent.log")
    assert names == list(read_parts(config))
    body = b"\n".join(read_parts(config).values())
    key = (config.parent / "state" / "device.key").read_text().splitlines()[1]
    planted = [
        "Әлия", "Қасымова", "ҚАСЫМОВА", "Ким,", "Ан,", "Сауле", "Ержанова",
        CARD, "04 A3 C6", EM_CARD, PRINTED, FACILITY, "99AABBCCDD11", "4815162342",
        f"in with {PIN}", PASSWORD, key, "c2Nob29sLXBhbG0ta2V5", "x" * 43, "forgot the card", "u-1",
    ]  # fmt: skip
    for word in planted:
        assert word.encode() not in body, word
        assert word.lower().encode() not in body.lower(), word
    assert (config.parent / "bundle.tar.gz").stat().st_mode & 0o077 == 0


def test_it_has_what_support_asks_for(config: Path) -> None:
    assert "settings.json" in make_bundle(config).output
    parts = read_parts(config)
    findings = json.loads(parts["findings.json"])
    assert {"settings", "daemon", "journal", "device door"} <= {finding["part"] for finding in findings}
    assert json.loads(parts["settings.json"])["readers[0].driver"].startswith("em4100")
    assert json.loads(parts["settings.json"])["screen.operators"].startswith("1 names")
    assert "msgspec" in json.loads(parts["versions.json"])
    journal = json.loads(parts["journal.json"])
    assert journal["rows"]["roster"] == 4
    assert journal["kinds"]["entry"] == 1
    readings = json.loads(parts["readings.json"])
    assert next(reading for reading in readings if reading["kind"] == "entry")["reader"] == "left"
    log = parts["log.txt"].decode()
    assert "door: card ‹number› of ‹name› ‹name› is unknown" in log
    assert "edge-agent 0.1.0: 1a86:7523 is away, no permission on /dev/ttyUSB0" in log
    assert log.startswith("2026-11-20T08:00:01+0500 kiosk"), "times stay"


def test_a_file_that_is_there_is_not_replaced(config: Path) -> None:
    make_bundle(config)
    before = (config.parent / "bundle.tar.gz").read_bytes()
    result = make_bundle(config)
    assert "is there already" in str(result.exception)
    assert (config.parent / "bundle.tar.gz").read_bytes() == before


def test_without_the_names_there_is_no_bundle(config: Path) -> None:
    """A roster that cannot be read could not be searched for: nothing goes out then."""
    (config.parent / "state" / "journal.db").write_bytes(b"rubbish" * 1000)
    result = make_bundle(config)
    assert "the bundle cannot be made" in str(result.exception)
    assert not (config.parent / "bundle.tar.gz").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ли ушёл, липа стоит", "‹name› ушёл, липа стоит"),
        ("pin 0042, row 42", "pin ‹secret›, row 42"),
        ("at 08:00:01 on 2026-11-20, epoch abcdef, 1 of 400", "at 08:00:01 on 2026-11-20, epoch abcdef, 1 of 400"),
        ("facade and deadbeef are words, dead0beef is none", "facade and deadbeef are words, ‹number› is none"),
        ("rtsp://me:pw@host/x", "rtsp://‹secret›@host/x"),
        ("12,345 cards", "‹number› cards"),
    ],
)
def test_what_is_masked_and_what_stays(text: str, shown: str) -> None:
    mask = PrivateMask(PrivateWords.collect(["Ли"], [], ["0042"]))
    assert mask.redact(text) == shown
    assert not mask.find_private(shown)
    assert mask.find_private(text) is (("Ли" in text) or ("0042" in text))
