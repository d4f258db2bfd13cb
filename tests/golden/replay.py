"""Plays the recorded days of `day/` to a real daemon, and writes down what it kept and what it showed.

The steps are data: one JSON object a line, in order. After each scan the player waits for the reading to be counted
and for the light, so that no two threads ever have something to do at the same time.

    {"do":"start"}                                     {"do":"stop"}   {"do":"kill"}   {"do":"power","boot":"…"}
    {"do":"roster","file":"roster-1.json"}             {"do":"damage"}   {"do":"identity","device":"…"}
    {"do":"scan","reader":"door","hex":"…"}            readings, lights: how many come of it
    {"do":"palm","number":"7","score":9731}
    {"do":"staff","path":"/staff/enter","body":{…}}    "$epoch" and "$head" stand for the journal's
    {"do":"clock","step_s":3600}                       {"do":"clock","synchronised":false}
    {"do":"pull","reader":"door"}                      {"do":"plug","reader":"door"}

With a ledger, on whose line the kiosk is:

    {"do":"register"}    {"do":"cut"}    {"do":"mend"}    {"do":"settle"}: wait until all is acknowledged and quiet

Before any step, `after` lets so many seconds pass, and `at` lets time pass until the wall clock says this.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.golden import adapter
from tests.golden.kiosk import Kiosk
from tests.golden.ledger import Ledger, Line
from tests.golden.shapes import of_value

DAY = Path(__file__).with_name("day")
ZONE = "+05:00"
BEGIN = datetime.fromisoformat("2026-09-07T07:55:00" + ZONE)  # a Monday
QUALITY_S = 5.0  # past the time for which the daemon trusts what it last heard of its clock

Step = dict[str, Any]


def steps(path: Path) -> list[Step]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


class Player:
    def __init__(self, kiosk: Kiosk, ledger: Ledger | None = None, line: Line | None = None) -> None:
        self.kiosk, self.ledger, self.line = kiosk, ledger, line
        self.shown: list[dict[str, object]] = []
        self._lights = 0  # of this start, as the steps say

    def play(self, script: list[Step]) -> None:
        for number, step in enumerate(script, 1):
            try:
                said = self._play(step)
            except AssertionError as error:
                raise AssertionError(f"step {number} {step}: {error}") from error
            self.shown += [{"step": number, "do": step["do"], **each} for each in said]

    def text(self) -> str:
        return "".join(json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n" for each in self.shown)

    def _play(self, step: Step) -> list[dict[str, object]]:
        kiosk = self.kiosk
        kiosk.script.advance(step.get("after", 0))
        if "at" in step:
            local = datetime.fromisoformat(step["at"] + ZONE)
            kiosk.script.advance(local.timestamp() - kiosk.script.wall_ns / 1e9)
        match step["do"]:
            case "start":
                kiosk.start()
                self._lights = 0
                return [{"epoch": kiosk.status()["journal"]["epoch"]}]
            case "stop":
                return [{"exit": kiosk.stop()}]
            case "kill":
                return [{"exit": kiosk.kill()}]
            case "power":
                kiosk.script.boot, kiosk.script.mono_ns = step["boot"], 60_000_000_000
                kiosk.script.write()
            case "roster":
                page = json.loads((DAY / step["file"]).read_text("utf-8"))
                return [{"answer": kiosk.ask("roster.apply", page=page)}]
            case "scan":
                return self._after_lights(step, lambda: kiosk.ports[step["reader"]].send(bytes.fromhex(step["hex"])))
            case "palm":
                line = {"number": step["number"], "score": step["score"]}
                return self._after_lights({"reader": "palm", **step}, lambda: kiosk.palm(**line))
            case "staff":
                return self._staff(step)
            case "clock":
                self._clock(step)
            case "pull":
                kiosk.ports[step["reader"]].pull()
                kiosk.until(lambda: not kiosk.there(step["reader"]))
            case "plug":
                kiosk.ports[step["reader"]].plug()
                kiosk.until(lambda: kiosk.there(step["reader"]))
            case "damage":
                damage(kiosk.journal)
            case "identity":
                (kiosk.state_dir / "identity.json").write_text(json.dumps(step["identity"]), "utf-8")
            case "register" | "cut" | "mend" | "settle":
                return self._ledger(step)
            case other:
                raise AssertionError(f"no step is named {other!r}")
        return []

    def _ledger(self, step: Step) -> list[dict[str, object]]:
        kiosk, ledger, line = self.kiosk, self.ledger, self.line
        assert ledger is not None
        assert line is not None
        match step["do"]:
            case "register":
                (code,) = ledger.command("ledger", "enrol-code", "sch-1", "--name", "left door", "--json")
                done = kiosk.command("register", line.url, code["code"], "--config", str(kiosk.config), "--json")
                return [{"keys": of_value(code) + of_value(json.loads(done.stdout))}]
            case "cut":
                line.down = True
            case "mend":
                line.down = False
            case "settle":
                head = step.get("head") or kiosk.head()
                kiosk.until(lambda: kiosk.status()["journal"]["acknowledged"] == head)
                kiosk.until(line.quiet)
        return []

    def _after_lights(self, step: Step, act: Any) -> list[dict[str, object]]:
        kiosk, reader = self.kiosk, step["reader"]
        readings = kiosk.readings(reader) + step.get("readings", 1)
        act()
        kiosk.until(lambda: kiosk.readings(reader) >= readings)
        return self._shown(step.get("lights", 1))

    def _shown(self, count: int) -> list[dict[str, object]]:
        """So many lights; the last one with what stands on both screens."""
        before, self._lights = self._lights, self._lights + count
        self.kiosk.until(lambda: len(self.kiosk.lights()) >= self._lights)
        lights = self.kiosk.lights()
        assert len(lights) == self._lights, f"more lights than the steps say: {lights[before:]}"
        said: list[dict[str, object]] = [{"light": light} for light in lights[before:]]
        if said:
            child, staff = self.kiosk.shown(len(lights))
            for varying in ("number", "left_ms"):
                del child[varying]
            said[-1] |= {"child": child, "staff": {"state": staff.get("state"), **staff.get("staff", {})}}
        return said

    def _staff(self, step: Step) -> list[dict[str, object]]:
        kiosk = self.kiosk
        kiosk.sign_in()
        journal = kiosk.status()["journal"]
        known = {"$epoch": journal["epoch"], "$head": journal["head"]}
        body = {key: known.get(value, value) for key, value in step["body"].items()}
        status, _, answer = kiosk.http("POST", step["path"], body)
        return [{"status": status, "answer": json.loads(answer)}, *self._shown(step.get("lights", 0))]

    def _clock(self, step: Step) -> None:
        kiosk = self.kiosk
        if "synchronised" in step:
            kiosk.script.synchronised = step["synchronised"]
            kiosk.script.advance(QUALITY_S)
        if "step_s" in step:
            kiosk.wait_tick()
            head = kiosk.head()
            kiosk.script.wall_ns += step["step_s"] * 1_000_000_000
            kiosk.script.write()
            kiosk.until(lambda: kiosk.head() == head + 1)


def damage(journal: Path) -> None:
    """Flip one letter of the last row's payload where it lies in the file, past every rule that SQLite could hold."""
    with closing(sqlite3.connect(journal)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        last = "SELECT payload FROM event ORDER BY epoch DESC, seq DESC LIMIT 1"
        (payload,) = database.execute(last).fetchone()
    content = journal.read_bytes()
    assert content.count(payload) == 1
    journal.write_bytes(content.replace(payload, payload.replace(b'"kind"', b'"kinb"')))
    journal.with_name(_NOTE).touch()


# The days were recorded by a kiosk that left the rows of a damaged journal where they lay. With this note beside the
# one that is set aside, a kiosk takes them for brought over, and the days stay as they were recorded.
_NOTE = "journal.db.damaged-20260907T075200Z.salvaged"


def kept(state_dir: Path, since: str = "") -> str:
    """Every journal of this state folder as text, the oldest first: epochs, then rows with hash and payload.

    `since`: only epochs that were opened on that day or later.
    """
    lines: list[str] = []
    journals = [path for path in state_dir.glob("journal.db*") if not path.name.endswith(_BESIDE)]
    for path in sorted(journals, key=lambda path: (path.name == "journal.db", path.name)):
        rows = list(_rows(path, since))
        if rows:
            lines += [f"== {path.name}", *rows]
    return "\n".join(lines) + "\n"


_BESIDE = ("-wal", "-shm", ".lock", ".ballast", ".mark", ".salvaged")


def _rows(path: Path, since: str) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as database:
        epochs = database.execute(
            "SELECT ordinal, id, device, hex(parent_head), hex(genesis), head_seq, hex(head_hash), acked_seq, "
            "carried_seq, opened_at, why FROM epoch WHERE opened_at >= ? ORDER BY ordinal",
            (since,),
        ).fetchall()
        for ordinal, *of in epochs:
            yield f"epoch {' '.join(str(each) or '-' for each in of)}"
            rows = database.execute("SELECT seq, hash, payload FROM event WHERE epoch = ? ORDER BY seq", (ordinal,))
            for seq, own, payload in rows:
                yield f"{seq} {own.hex()} {payload.decode('utf-8')}"
            yield "sightings"
            rows = database.execute(
                "SELECT person, seq, session, service_date, visit, voided FROM sighting WHERE epoch = ? ORDER BY seq",
                (ordinal,),
            )
            for row in rows:
                yield " ".join(str(each) or "-" for each in row)


def play_days(kiosk: Kiosk) -> dict[str, str]:
    """The golden files of the days without a ledger, as they come out now: name → text."""
    player = Player(kiosk)
    player.play(steps(DAY / "steps.jsonl"))
    return {"journal.txt": kept(kiosk.state_dir), "shown.jsonl": player.text()}


def play_with_ledger(kiosk: Kiosk) -> dict[str, str]:
    """The day after: the same kiosk is registered with a real ledger, which gets all that it has not given away yet."""
    kiosk.script.advance(3_600)
    with Ledger(kiosk) as ledger:
        ledger.start()
        ledger.command("ledger", "school", "sch-1", "Мектеп 1")
        # The kiosk has had its roster without a ledger, by the source's ids.
        words = ("--school", "sch-1", "--keep-ids", "--json")
        imported = ledger.command("roster", "import", str(DAY / "export"), *words)
        line = Line(ledger.url)
        try:
            player = Player(kiosk, ledger, line)
            player.play(steps(DAY / "ledger-steps.jsonl"))
        finally:
            line.close()
        days = ("--from", "2026-09-07", "--to", "2026-09-10")
        told = [*imported, *ledger.command("ledger", "report", *days, "--json")]
        return {
            "journal-with-ledger.txt": kept(kiosk.state_dir, since="2026-09-10"),
            "shown-with-ledger.jsonl": player.text(),
            "ledger.txt": "\n".join(json.dumps(each, ensure_ascii=False, indent=1) for each in told) + "\n",
            "ledger-facts.txt": ledger_facts(ledger),
            "ledger-json.txt": ledger_json(ledger),
            "wire-seen.txt": line.text(),
        }


def ledger_json(ledger: Ledger) -> str:
    """The keys of what the ledger's other commands print; the conformance check writes into a school of its own."""
    ledger.command("ledger", "school", "sch-2", "Мектеп 2")
    (code,) = ledger.command("ledger", "enrol-code", "sch-2", "--json")
    conformance = ledger.kiosk.command("ledger", "conformance", ledger.url, code["code"], "--json")
    parts = {
        "ledger devices": ledger.command("ledger", "devices", "--json"),
        "ledger enrol-code": [code],
        "ledger conformance": [json.loads(conformance.stdout)],
        "roster diff": ledger.command("roster", "diff", str(DAY / "export"), "--school", "sch-1", "--json"),
    }
    return "\n".join(
        "\n".join([f"== {name} --json", *sorted({line for value in values for line in of_value(value)}), ""])
        for name, values in parts.items()
    )


def ledger_facts(ledger: Ledger) -> str:
    """What the ledger has, a row each; the payloads are those of the journal, as their hashes say."""
    with adapter.ledger_database(ledger.data) as connection:
        rows = connection.execute(
            "SELECT device, epoch, seq, encode(hash, 'hex'), kind, day, flags, branch FROM fact "
            "ORDER BY device, epoch, seq, hash"
        ).fetchall()
    return "\n".join(" ".join(str(each) or "-" for each in row) for row in rows) + "\n"


__all__ = ["BEGIN", "DAY", "Player", "kept", "play_days", "play_with_ledger", "steps"]
