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

Before any step, `after` lets so many seconds pass, and `at` lets time pass until the wall clock says this.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.golden.kiosk import BOOT, Kiosk

DAY = Path(__file__).with_name("day")
ZONE = "+05:00"
BEGIN = datetime.fromisoformat("2026-09-07T07:55:00" + ZONE)  # a Monday
QUALITY_S = 5.0  # past the time for which the daemon trusts what it last heard of its clock

Step = dict[str, Any]


def steps(path: Path = DAY / "steps.jsonl") -> list[Step]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


class Player:
    def __init__(self, kiosk: Kiosk) -> None:
        self.kiosk = kiosk
        self.shown: list[dict[str, object]] = []
        self._lights = 0  # of this start, as the steps say

    def play(self, script: list[Step]) -> None:
        for number, step in enumerate(script, 1):
            try:
                said = self._play(step)
            except AssertionError as error:
                raise AssertionError(f"step {number} {step}: {error}") from error
            self.shown += [{"step": number, "do": step["do"], **each} for each in said]

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
            case other:
                raise AssertionError(f"no step is named {other!r}")
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


def kept(state_dir: Path) -> str:
    """Every journal of this state folder as text: epochs, then rows with the hash and the payload's bytes."""
    lines: list[str] = []
    for path in sorted(state_dir.glob("journal.db*")):
        if not path.name.endswith(("-wal", "-shm", ".lock", ".ballast")):
            lines += [f"== {path.name.replace('journal.db', 'journal', 1)}", *_rows(path)]
    return "\n".join(lines) + "\n"


def _rows(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as database:
        epochs = database.execute(
            "SELECT ordinal, id, device, hex(parent_head), hex(genesis), head_seq, hex(head_hash), acked_seq, "
            "carried_seq, opened_at, why FROM epoch ORDER BY ordinal"
        ).fetchall()
        for ordinal, *of in epochs:
            yield f"epoch {' '.join(str(each) or '-' for each in of)}"
            rows = database.execute("SELECT seq, hash, payload FROM event WHERE epoch = ? ORDER BY seq", (ordinal,))
            for seq, own, payload in rows:
                yield f"{seq} {own.hex()} {payload.decode('utf-8')}"
        yield "sightings"
        for row in database.execute(
            "SELECT person, epoch, seq, session, service_date, visit, voided FROM sighting ORDER BY epoch, seq"
        ):
            yield " ".join(str(each) or "-" for each in row)


def play(folder: Path) -> dict[str, str]:
    """The golden files of the days as they come out now: name → text."""
    with Kiosk(folder, int(BEGIN.timestamp() * 1e9)) as kiosk:
        player = Player(kiosk)
        player.play(steps())
        shown = "".join(json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n" for each in player.shown)
        return {"journal.txt": kept(kiosk.state_dir), "shown.jsonl": shown}


__all__ = ["BOOT", "DAY", "Player", "kept", "play", "steps"]
