"""Recorded bytes of real readers, through a pseudo-terminal into a running daemon, to a row in the ledger."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from drivers.simulated.card_peer import CardPeer, ReaderModel
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogates
from sync.ledger.server import LedgerServer
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader
from tests.vectors import load_reader

HOLD_S = 0.55  # a reader's hysteresis: what comes sooner is the same card still lying there


def test_every_recorded_frame_is_a_row_in_the_ledger_and_no_phantom_is(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    em4100, ironlogic = load_reader("em4100_serial"), load_reader("ironlogic_text")
    frames = {"em4100": [bytes.fromhex(vector["frame_hex"]) for vector in em4100["vectors"]]}
    frames["ironlogic"] = [bytes.fromhex(vector["frame_hex"]) for vector in ironlogic["vectors"]]
    cards = {}
    for name, content in (("em4100", em4100), ("ironlogic", ironlogic)):
        for number, vector in enumerate(content["vectors"]):
            technology = "iso14443a" if vector.get("kind") == "mifare" else "em4100"
            cards[f"{name}-{number}"] = (technology, vector["expected_uid_hex"])
    export = school_export(tmp_path / "export", school, cards)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    code = schools.issue_code(db, school, "door", datetime.now(UTC))
    ports = {"em4100": tmp_path / "em", "ironlogic": tmp_path / "il"}
    readers = "".join(serial_reader(name, name, port) for name, port in ports.items())
    with (
        CardPeer(ports["em4100"], ReaderModel.RDM6300) as em,
        CardPeer(ports["ironlogic"], ReaderModel.IRONLOGIC) as il,
        Daemon(tmp_path, readers) as daemon,
    ):
        edge_agent("register", server.url, code, "--config", str(daemon.config))
        daemon.start()
        daemon.until(lambda status: status["roster"]["people"] == len(cards))
        for phantom in em4100["phantoms"]:
            em.send(bytes.fromhex(phantom["frame_hex"]))
            time.sleep(HOLD_S)
        for invalid in em4100["invalid"]:
            em.send(bytes.fromhex(invalid["frame_hex"]))
        for frame in frames["em4100"]:
            em.send(frame)
        for frame in frames["ironlogic"]:
            il.send(frame)
        for status_line in ironlogic["status_lines"]:
            il.send(bytes.fromhex(status_line["frame_hex"]))
        daemon.until(lambda status: sum(reader["readings"] for reader in status["readers"]) >= len(cards))
        daemon.until(lambda status: status["journal"]["queue"] == 0 and status["journal"]["head"] > len(cards))
        assert daemon.stop() == 0
    rows = db.execute("SELECT kind, payload FROM event WHERE school = %s ORDER BY seq", (school,)).fetchall()
    sightings = [json.loads(bytes(payload)) for kind, payload in rows if kind in {"entry", "refusal", "repeat", "exit"}]
    assert sorted(fact["person"] for fact in sightings) == sorted(find_surrogates(db, school, cards).values())
    assert {fact["kind"] for fact in sightings} == {"entry"}
    assert {fact["reader"] for fact in sightings} == {"em4100", "ironlogic"}
