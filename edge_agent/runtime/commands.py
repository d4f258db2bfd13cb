"""What the running daemon answers on its control socket. Each handler yields rows that JSON can hold."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from drivers.protocols.adms import clock_suspect
from drivers.readings import PersonMatched
from edge_agent.control import Asker, Handler
from edge_agent.errors import RequestRefused
from edge_agent.journal.backup import backup
from edge_agent.journal.export import export
from edge_agent.journal.verify import verify
from edge_agent.runtime.agent import Agent
from edge_agent.runtime.inbox import Scan
from edge_agent.runtime.palm_commands import PalmCommands, palm_state
from sync.contract.roster import Page, record_type

ROWS_MAX = 10_000
WATCH_S_MAX = 3_600.0
IMPORT_WAIT_S = 30.0

Arguments = Mapping[str, Any]


class Commands:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def table(self) -> dict[str, Handler]:
        return {
            "status": self.status,
            "journal.list": self.journal_list,
            "journal.verify": self.journal_verify,
            "journal.export": self.journal_export,
            "journal.backup": self.journal_backup,
            "sync.now": self.sync_now,
            "sync.quarantine": self.sync_quarantine,
            "roster.show": self.roster_show,
            "roster.records": self.roster_records,
            "roster.apply": self.roster_apply,
            "devices.watch": self.devices_watch,
            "devices.import": self.devices_import,
            **PalmCommands(self._agent).table(),
        }

    def status(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """One row: everything that a technician asks first."""
        agent = self._agent
        moment = agent.now()
        journal, roster = agent.journal, agent.station.roster
        verdict = agent.upkeep.verdict
        uplink = agent.uplink
        yield {
            "device": agent.identity.device,
            "school": agent.identity.school,
            "recording": agent.recording,
            "faults": agent.supervisor.faults(),
            "clock": moment.clock.value,
            "time": moment.text,
            "journal": {
                "epoch": journal.epoch,
                "head": journal.head.seq,
                "acknowledged": journal.acknowledged().seq,
                "queue": journal.queue_depth(),
                "checked": None if verdict is None else {"rows": verdict.rows, "whole": verdict.whole},
            },
            "ledger": None
            if uplink is None
            else {
                "state": uplink.state().value,
                "last": uplink.last.outcome.value,
                "why": uplink.last.why,
                "alarm": uplink.last.alarm.value,
                "next_s": round(uplink.last.due_s, 1),
                "sent": uplink.sent,
            },
            "roster": {
                "version": roster.version,
                "age_s": roster.age_s(moment.utc),
                "people": len(roster.people),
                "problems": len(roster.problems),
                "last": uplink.last_pull.why if uplink else "no ledger",
            },
            "palm": palm_state(agent),
            "readers": [asdict(each) for each in agent.readers],
            "indicators": [asdict(each.presence) for each in agent.indicators],
            "screen": f"http://127.0.0.1:{agent.screen.port}/" if agent.settings.screen.enabled else "",
        }

    def journal_list(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """The last rows, oldest first: identity and payload."""
        for row in reversed(self._agent.journal.recent(_number(arguments, "limit", 20, ROWS_MAX))):
            yield {"epoch": row.epoch, "seq": row.seq, "event": json.loads(row.payload)}

    def journal_verify(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """The verdict on the whole chain, as it is now."""
        yield asdict(verify(self._agent.journal.path))

    def journal_export(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Where the export stands, and how many rows are in it."""
        target = self._fresh_file("export", ".jsonl")
        rows = export(self._agent.journal.path, target)
        yield {"path": str(target), "rows": rows}

    def journal_backup(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Where the backup stands, and the verdict on it."""
        target = self._fresh_file("backup", ".db")
        yield {"path": str(target), "verdict": asdict(backup(self._agent.journal.path, target))}

    def sync_now(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Do not wait for what is due; what is to be sent now."""
        agent = self._agent
        if agent.uplink is None or agent.uplink_part is None:
            raise RequestRefused("this kiosk is not registered with a ledger; run edge-agent register URL CODE")
        agent.uplink.hurry()
        agent.uplink_part.pulse.wake()
        yield {"queue": agent.journal.queue_depth()}

    def sync_quarantine(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Every event that the ledger found odd or refused, with the reason."""
        for row in self._agent.journal.quarantined():
            yield {
                "epoch": row.epoch,
                "seq": row.seq,
                "code": row.code,
                "detail": row.detail,
                "tombstone": row.tombstone,
                "at": row.at.isoformat(),
                "event": row.payload.decode("utf-8", "replace"),
            }

    def roster_show(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """One row: version, age, how many of each kind, what is wrong with it."""
        agent = self._agent
        roster = agent.station.roster
        kinds = Counter(record_type(record) for record in agent.journal.roster_records())
        yield {
            "school": roster.school,
            "version": roster.version,
            "age_s": roster.age_s(agent.now().utc),
            "records": dict(sorted(kinds.items())),
            "problems": [asdict(problem) for problem in roster.problems],
        }

    def roster_records(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Every record, for a comparison. Card numbers are in them: only for root and the agent's own user."""
        self._only_owner(asker)
        for record in self._agent.journal.roster_records():
            yield msgspec.to_builtins(record)

    def roster_apply(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Bring a roster from a stick into force, whole or not at all; for a kiosk without a ledger."""
        self._only_owner(asker)
        agent = self._agent
        if agent.identity.registration is not None:
            raise RequestRefused("this kiosk gets its roster from the ledger; import it there")
        page = msgspec.convert(arguments["page"], Page)
        agent.new_roster((page,), agent.now().utc)
        yield {"version": agent.journal.roster_version()}

    def devices_watch(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Bytes as they pass, until the time is over or the asker hangs up. They hold card numbers."""
        self._only_owner(asker)
        wanted = arguments.get("device", "")
        until_ns = time.monotonic_ns() + int(min(float(arguments.get("seconds", 60)), WATCH_S_MAX) * 1e9)
        with self._agent.taps.watching() as watcher:
            while time.monotonic_ns() < until_ns and not self._agent.ending.is_set():
                for traffic in watcher.get(0.5):
                    if not wanted or traffic.device == wanted:
                        yield {
                            "t_ns": traffic.monotonic_ns,
                            "device": traffic.device,
                            "dir": traffic.direction,
                            "hex": traffic.data.hex(),
                        }

    def devices_import(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """What a terminal kept while nobody listened, into the station's queue in order; how many were taken."""
        self._only_owner(asker)
        agent = self._agent
        taken = 0
        for number, method, seen_at in arguments["matches"]:
            moment, at = agent.now(), datetime.fromisoformat(seen_at)
            suspect = clock_suspect(at, moment.utc)
            reading = PersonMatched(arguments["device"], number, 0, method, 0, at, suspect)
            if not agent.inbox.put(Scan(reading, moment), IMPORT_WAIT_S):
                raise RequestRefused(
                    f"the station does not keep up; {taken} rows were taken, import the file again later"
                )
            taken += 1
        yield {"taken": taken}

    def _only_owner(self, asker: Asker) -> None:
        if asker.uid not in {0, os.getuid()}:
            raise RequestRefused("card numbers are in the answer; ask as root")

    def _fresh_file(self, what: str, suffix: str) -> Path:
        """In the state folder: the daemon may write nowhere else, and whoever asked moves it to a stick."""
        return self._agent.settings.kiosk.state_dir / f"{what}-{self._agent.now().utc:%Y%m%dT%H%M%S}{suffix}"


def _number(arguments: Arguments, name: str, default: int, most: int) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise RequestRefused(f"{name}: found {value!r}; accepted is a whole number from 1 to {most}")
    return value
