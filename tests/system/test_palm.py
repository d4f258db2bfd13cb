"""Real hands before the daemon: enrolled, recognised, and forgotten when the parents say so.

The pictures are of a public research set and no part of the clone; they are played by the `folder` driver.
"""

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from drivers.protocols.picture import decode
from drivers.simulated.card_peer import CardPeer
from edge_agent.journal.verify import verify_journal
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.permutation import protect
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.protection.school_key import to_paper
from edge_agent.palms import keys as palm_keys
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogate
from sync.ledger.server import LedgerServer
from tests.outside import find_palms, needs_palms
from tests.system.daemon import AGENT, START_S, Daemon, edge_agent, facts, school_export, serial_reader

HANDS = "full_hands11k"
ENROLLED, STRANGER = "0000061_L", "0000559_R"
CARDS = {f"u-{number}": ("em4100", f"01{number:08X}") for number in (1, 2, 3)}
AGREED = {"u-1": "", "u-2": ""}
WITHDRAWN = AGREED | {"u-1": "2026-11-01T08:00:00+05:00"}

needs_hands = needs_palms(HANDS)


def pictures(hand: str) -> list[Path]:
    return sorted((find_palms(HANDS) / hand).iterdir())


class Camera:
    """The folder that the daemon plays: what is laid into it is shown once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown = 0
        folder.mkdir()

    @property
    def settings(self) -> str:
        return f'[[readers]]\nname = "palm"\ndriver = "folder"\nfolder = "{self.folder}"\nfps = 1.5\n'

    def clear(self) -> None:
        """Removes what was shown, because a daemon that starts again plays the folder from its beginning."""
        for shown in self.folder.iterdir():
            shutil.rmtree(shown)

    def show(self, burst: Sequence[Path]) -> None:
        """Shows one hand: these pictures, one after the other. The burst gets its name only when it is whole."""
        self.shown += 1
        laid = self.folder / f".{self.shown:04}"
        laid.mkdir()
        for number, picture in enumerate(burst):
            shutil.copy(picture, laid / f"{number}.jpg")
        laid.rename(self.folder / f"{self.shown:04}")


class PalmKiosk(Daemon):
    def __init__(self, folder: Path, kiosk: str = "", *, readers: str = "", palm: str = "") -> None:
        self.camera = Camera(folder / "pictures")
        super().__init__(folder, self.camera.settings + readers, kiosk=kiosk, tables=palm)
        self.nurse = ""  # her id, once she is an operator here

    def name_nurse(self) -> None:
        """Makes the operator who enrols, if there is none yet."""
        if not self.nurse:
            added = edge_agent("operators", "add", "Nurse", "--role", "head", "--json", "--config", str(self.config))
            self.nurse = json.loads(added.stdout)["id"]

    def enrol(
        self, person: str, samples: Sequence[Path], operator: str = "Nurse", language: str = "en"
    ) -> tuple[int, str]:
        """Returns the exit code and what was said; a picture is shown whenever the command asks for one."""
        self.name_nurse()
        unshown = list(samples)
        command = [*AGENT, "palm", "enrol", person, "--operator", operator, "--timeout", "30", "--json"]
        command += ["--language", language]
        said = ""
        with subprocess.Popen(
            [*command, "--config", str(self.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                step = json.loads(line)
                if not step["done"] and unshown and step["step"] in ("show", "good_again", "not_clear"):
                    self.camera.show([unshown.pop(0)])
            assert process.stderr is not None
            said += process.stderr.read()
        return process.returncode, said

    def see(self, burst: Sequence[Path]) -> str:
        """Returns the light's signal for one hand."""
        before = len(self.lights())
        self.camera.show(burst)
        return self.wait_lights(before + 1)[before]

    def __enter__(self) -> "PalmKiosk":
        return self

    def stored_palms(self) -> list[tuple[str, str, int, bytes]]:
        with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as database:
            return database.execute("SELECT person, hand, samples, sealed FROM template").fetchall()


def export(folder: Path, school: str, consents: dict[str, str]) -> Path:
    return school_export(folder, school, CARDS, consents)


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[PalmKiosk]:
    """A kiosk without a ledger, with a key; u-1 and u-2 may be known by their palms, u-3 may not."""
    with PalmKiosk(tmp_path, kiosk='school = "sch-1"') as kiosk:
        roster = export(tmp_path / "export", "sch-1", AGREED)
        edge_agent("roster", "import", str(roster), "--local", "--config", str(kiosk.config))
        key = edge_agent("palm", "key", "make", "--yes", "--config", str(kiosk.config))
        assert key.stdout.index("enrolled again") < key.stdout.index("exists now"), "what losing it means comes first"
        yield kiosk


@needs_hands
def test_a_hand_is_enrolled_recognised_and_forgotten(kiosk: PalmKiosk, tmp_path: Path) -> None:
    owner, stranger = pictures(ENROLLED), pictures(STRANGER)
    kiosk.start()

    code, said = kiosk.enrol("u-1", owner, operator="Nobody")
    assert (code, "--operator names one of: Nurse" in said) == (1, True), said
    code, said = kiosk.enrol("u-3", owner)
    assert (code, "not agreed" in said) == (1, True), said
    assert kiosk.camera.shown == 0, "no hand is looked at without consent"

    code, said = kiosk.enrol("u-1", owner[:3])
    assert code == 0, said
    ((person, hand, samples, sealed),) = kiosk.stored_palms()
    assert (person, hand, samples) == ("u-1", "left", 3)
    (enrolled,) = facts(kiosk.rows(), "palm_enrolled")
    assert (enrolled["person"], enrolled["operator"], enrolled["templates"]) == ("u-1", kiosk.nurse, 3)

    assert kiosk.see(owner[3:5]) == "welcome"
    kiosk.kill()  # at once: the light has promised the row
    kiosk.camera.clear()
    kiosk.start()
    (entry,) = facts(kiosk.rows(), "entry")
    assert (entry["person"], entry["method"], entry["credential"], entry["reader"]) == (
        "u-1",
        "palm",
        "palm-left",
        "palm",
    )
    assert 2_500 < entry["score"] < 10_000
    assert kiosk.until(lambda status: status["palm"]["ready"])["palm"]["templates"] == 3

    assert kiosk.see(stranger[:2]) == "ask"
    (refusal,) = facts(kiosk.rows(), "refusal")
    assert (refusal["reason"], refusal.get("person", "")) == ("palm_unknown", "")

    code, said = kiosk.enrol("u-2", owner[3:])  # a dead soul: the same palm under another name
    assert (code, "known here already, as u-1" in said) == (1, True), said
    assert len(kiosk.stored_palms()) == 1

    forgotten = edge_agent("palm", "forget", "u-2", "--json", "--config", str(kiosk.config))
    assert json.loads(forgotten.stdout) == {"person": "u-2", "deleted": 0}

    _nothing_leaks(kiosk, owner[:3], sealed)

    withdrawn = export(tmp_path / "withdrawn", "sch-1", WITHDRAWN)
    edge_agent("roster", "import", str(withdrawn), "--local", "--config", str(kiosk.config))
    assert kiosk.stored_palms() == []
    (receipt,) = facts(kiosk.rows(), "consent_withdrawn")
    assert (receipt["person"], receipt["templates_deleted"]) == ("u-1", 3)
    assert kiosk.status()["palm"]["people"] == 0
    assert kiosk.see(owner[3:5]) == "ask"
    for file in kiosk.state_dir.iterdir():
        assert sealed[20:60] not in file.read_bytes(), f"{file} still holds what was deleted"
    assert kiosk.stop() == 0
    assert verify_journal(kiosk.journal).whole


def _nothing_leaks(kiosk: PalmKiosk, enrolled: Sequence[Path], sealed: bytes) -> None:
    """No code of the enrolled pictures lies anywhere, plain or permuted; neither seal nor key is told to anybody."""
    key = palm_keys.load(kiosk.state_dir, {})
    files = b"".join(file.read_bytes() for file in kiosk.state_dir.iterdir() if file.name.startswith("journal"))
    assert sealed[20:60] in files
    for path in enrolled:
        picture = decode(path.read_bytes())
        palm = find_region(picture)  # type: ignore[arg-type]  # it was enrolled a moment ago
        assert isinstance(palm, FramedPalm)
        code = encode(respond(palm.region), palm.region.hand)
        for cells in (code.fine, code.coarse, protect(code, key.scrambles()).fine):
            assert cells[100:140].tobytes() not in files
    target = kiosk.folder / "export.jsonl"
    edge_agent("journal", "export", str(target), "--config", str(kiosk.config))
    url = kiosk.status()["screen"]
    texts = [target.read_text("utf-8"), kiosk.log, json.dumps(kiosk.status()), json.dumps(kiosk.rows())]
    texts += [httpx.get(url + page).text for page in ("", "staff", "health", "metrics")]
    for text in texts:
        assert sealed[20:40].hex() not in text.lower()
        assert key.secret.hex() not in text.lower()


@needs_hands
def test_a_card_counts_once_its_owners_palm_has_confirmed_it(tmp_path: Path) -> None:
    owner, stranger = pictures(ENROLLED), pictures(STRANGER)
    port = tmp_path / "cards"
    with (
        CardPeer(port) as cards,
        PalmKiosk(
            tmp_path,
            'school = "sch-1"',
            readers=serial_reader("door", "em4100", port),
            palm='[palm]\nwith_card = "confirm"\nwith_card_s = 30\n',
        ) as kiosk,
    ):
        roster = export(tmp_path / "export", "sch-1", AGREED)
        edge_agent("roster", "import", str(roster), "--local", "--config", str(kiosk.config))
        edge_agent("palm", "key", "make", "--yes", "--config", str(kiosk.config))
        kiosk.start()
        code, said = kiosk.enrol("u-1", owner[:3])
        assert code == 0, said

        def card(person: str) -> str:
            before = len(kiosk.lights())
            cards.present(bytes.fromhex(CARDS[person][1]))
            return kiosk.wait_lights(before + 1)[before]

        assert card("u-3") == "welcome"  # known by no palm here: nothing to wait for
        assert card("u-1") == "ask"
        assert list(facts(kiosk.rows(), "refusal")) == []
        assert kiosk.see(stranger[:1]) == "ask"
        (refusal,) = facts(kiosk.rows(), "refusal")
        assert (refusal["reason"], refusal.get("person", ""), refusal["candidates"]) == ("mismatch", "", "u-1")
        assert card("u-1") == "ask"
        assert kiosk.see(owner[3:4]) == "welcome"
        _, entry = facts(kiosk.rows(), "entry")
        assert (entry["person"], entry.get("method", "card"), entry["reader"]) == ("u-1", "card", "door")
        assert entry["score"] >= 3_000
        assert entry.get("reason", "") != "palm_unconfirmed"
        assert kiosk.stop() == 0


@needs_hands
def test_a_card_without_its_palm_is_settled_in_time_and_when_the_day_ends(tmp_path: Path) -> None:
    port = tmp_path / "cards"
    with (
        CardPeer(port) as cards,
        PalmKiosk(
            tmp_path,
            'school = "sch-1"',
            readers=serial_reader("door", "em4100", port),
            palm='[palm]\nwith_card = "confirm"\nwith_card_s = 2\n',
        ) as kiosk,
    ):
        roster = export(tmp_path / "export", "sch-1", AGREED)
        edge_agent("roster", "import", str(roster), "--local", "--config", str(kiosk.config))
        edge_agent("palm", "key", "make", "--yes", "--config", str(kiosk.config))
        kiosk.start()
        for person, hand in (("u-1", ENROLLED), ("u-2", STRANGER)):
            code, said = kiosk.enrol(person, pictures(hand)[:3])
            assert code == 0, said
        before = len(kiosk.lights())
        cards.present(bytes.fromhex(CARDS["u-1"][1]))
        assert kiosk.wait_lights(before + 2)[before:] == ["ask", "welcome"]
        cards.present(bytes.fromhex(CARDS["u-2"][1]))
        assert kiosk.wait_lights(before + 3)[before + 2 :] == ["ask"]
        assert kiosk.stop() == 0
        kiosk.camera.clear()
        kiosk.start()
        reasons = {entry["person"]: entry["reason"] for entry in facts(kiosk.rows(), "entry")}
        assert reasons == dict.fromkeys(("u-1", "u-2"), "palm_unconfirmed")


def test_without_a_key_cards_are_invited_and_the_reason_is_said(tmp_path: Path) -> None:
    with PalmKiosk(tmp_path, kiosk='school = "sch-1"') as kiosk:
        status = kiosk.start()
        assert not status["palm"]["ready"]
        assert "palm key make" in status["palm"]["why"]
        code, said = kiosk.enrol("u-1", [])
        assert (code, "palm key make" in said) == (1, True), said


@needs_hands
def test_a_palm_travels_from_enrolment_to_the_ledger_and_a_withdrawal_comes_back(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    owner = pictures(ENROLLED)
    today = datetime.now(UTC).date().isoformat()
    import_export(db, read_export(export(tmp_path / "export", school, AGREED)), [school], date=today)
    person = find_surrogate(db, school, "u-1")
    code = schools.issue_code(db, school, "door", datetime.now(UTC))
    with PalmKiosk(tmp_path) as kiosk:
        edge_agent("register", server.url, code, "--config", str(kiosk.config))
        edge_agent("palm", "key", "make", "--yes", "--config", str(kiosk.config))
        kiosk.start()
        kiosk.until(lambda status: status["roster"]["people"] == 3)
        exit_code, said = kiosk.enrol(person, owner[:3])
        assert exit_code == 0, said
        assert kiosk.see(owner[3:5]) == "welcome"
        kiosk.until(lambda status: status["journal"]["queue"] == 0)
        (entry,) = _in_the_ledger(db, school, "entry")
        assert (entry["person"], entry["method"]) == (person, "palm")
        import_export(db, read_export(export(tmp_path / "withdrawn", school, WITHDRAWN)), [school], date=today)
        until = time.monotonic() + START_S
        while not (receipts := _in_the_ledger(db, school, "consent_withdrawn")):
            assert time.monotonic() < until, kiosk.log
            time.sleep(0.05)
        assert receipts[0]["templates_deleted"] == 3
        assert kiosk.stored_palms() == []


@needs_hands
def test_a_child_enrolled_at_a_door_is_recognised_behind_the_next(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    owner, today = pictures(ENROLLED), datetime.now(UTC).date().isoformat()
    import_export(db, read_export(export(tmp_path / "export", school, AGREED)), [school], date=today)
    person = find_surrogate(db, school, "u-1")
    for door in ("one", "two"):
        (tmp_path / door).mkdir()
    with PalmKiosk(tmp_path / "one") as first, PalmKiosk(tmp_path / "two") as second:
        for kiosk in (first, second):
            code = schools.issue_code(db, school, "door", datetime.now(UTC))
            edge_agent("register", server.url, code, "--config", str(kiosk.config))
        edge_agent("palm", "key", "make", "--yes", "--config", str(first.config))
        (tmp_path / "stick").mkdir()
        palm_keys.restore(second.state_dir, " ".join(to_paper(palm_keys.load(first.state_dir, {}))))
        for kiosk in (first, second):
            kiosk.start()
            kiosk.until(lambda status: status["roster"]["people"] == 3)
        exit_code, said = first.enrol(person, owner[:3])
        assert exit_code == 0, said
        second.until(lambda status: status["palm"]["people"] == 1)
        assert second.see(owner[3:4]) == "welcome"
        (stored,) = db.execute("SELECT person, hand, sealed FROM palm WHERE school = %s", (school,)).fetchall()
        assert stored[:2] == (person, "left")

        stick = tmp_path / "stick" / "palms"
        edge_agent("palm", "export", str(stick), "--config", str(first.config))
        assert len(stick.read_text().splitlines()) == 2
        assert person not in stick.read_text()
        again = edge_agent("palm", "import", str(stick), "--json", "--config", str(second.config))
        assert json.loads(again.stdout) == {"taken": 0, "passed_over": 1, "unreadable": 0}
        _what_is_no_export_is_refused(second, stick.read_bytes())
        forgotten = edge_agent("palm", "forget", person, "--json", "--config", str(second.config))
        assert json.loads(forgotten.stdout)["deleted"] == 3
        first.until(lambda status: status["palm"]["people"] == 0)
        back = edge_agent("palm", "import", str(stick), "--json", "--config", str(second.config))
        assert json.loads(back.stdout) == {"taken": 1, "passed_over": 0, "unreadable": 0}
        first.until(lambda status: status["palm"]["people"] == 1)

        import_export(db, read_export(export(tmp_path / "withdrawn", school, WITHDRAWN)), [school], date=today)
        assert db.execute("SELECT 1 FROM palm WHERE school = %s AND sealed IS NOT NULL", (school,)).fetchall() == []
        for kiosk in (first, second):
            kiosk.until(lambda status: status["palm"]["people"] == 0)
            assert kiosk.stored_palms() == []
        edge_agent("palm", "import", str(stick), "--config", str(first.config))
        assert first.stored_palms() == [], "a stick is no consent"


def _what_is_no_export_is_refused(kiosk: PalmKiosk, good: bytes) -> None:
    wrong = kiosk.folder / "wrong"
    for content, why in (
        (b"\xff\x00 rubbish", "no export of palms"),
        (b"[]\n[]\n", "no export of palms"),
        (good[:-40], "no export of palms"),
        (good.replace(b'"version":1', b'"version":2'), "version 2"),
        (good.replace(b'"school":"', b'"school":"x'), "this kiosk stands in"),
        (good.replace(b'"key":"', b'"key":"0'), "palm key import"),
    ):
        wrong.write_bytes(content)
        done = edge_agent("palm", "import", str(wrong), "--config", str(kiosk.config), check=False)
        assert (done.returncode, why in " ".join(done.stderr.split())) == (1, True), done.stderr


def _in_the_ledger(db: psycopg.Connection, school: str, kind: str) -> list[dict[str, object]]:
    rows = db.execute("SELECT payload FROM event WHERE school = %s ORDER BY seq", (school,)).fetchall()
    events = [json.loads(bytes(payload)) for (payload,) in rows]
    return [event for event in events if event["kind"] == kind]
