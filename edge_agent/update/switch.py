"""Changes the version that runs, and goes back by itself. Root's part: nothing here trusts the agent's word."""

import errno
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge_agent.domain.update_plan import (
    UpdateCause,
    UpdateFault,
    UpdateRecord,
    UpdateRequest,
    UpdateState,
    judge_crashes,
    judge_start,
)
from edge_agent.update.errors import UpdateBusy, UpdateRefused
from edge_agent.update.probe import AgentProbe
from edge_agent.update.release import ReleaseManifest, read_manifest
from edge_agent.update.requests import RequestFolder
from edge_agent.update.versions import InstalledVersions, open_release

log = logging.getLogger(__name__)

CALM_WAIT_S = 900.0
CALM_POLL_S = 1.0
UNIT = "edge-agent.service"
CRASH_NAME = ".crash"  # how the agent ended by itself while it was on trial; the unit's guard writes it


def restart_agent() -> None:
    """Has systemd start the agent anew, and does not wait for it. Raises `UpdateRefused`."""
    done = subprocess.run(["systemctl", "restart", "--no-block", UNIT], check=False, capture_output=True, text=True)
    if done.returncode:
        raise UpdateRefused(f"systemd did not restart the agent: {done.stderr.strip()}", "see systemctl status")


@dataclass(frozen=True, slots=True)
class VersionSwitch:
    """Applies releases to these versions and judges each by the probe."""

    versions: InstalledVersions
    probe: AgentProbe
    restart: Callable[[], None] = restart_agent

    def apply(self, release: Path, keys: list[bytes], *, takes_older: bool = False) -> UpdateRecord:
        """Runs the release, or the version before it again where it is not healthy. Returns the record of it.

        Raises `UpdateRefused` where nothing was changed, and `UpdateBusy`.
        """
        with self.versions.lock():
            before = self.versions.read_record()
            if before.is_on_trial:
                raise UpdateRefused(
                    f"version {before.version} has not had its first session yet",
                    "wait for it, or go back: edge-agent update back",
                )
            obstacle = self.probe.find_obstacle()
            if obstacle:
                raise UpdateRefused(obstacle, "free the disk first: edge-agent doctor")
            version = ""
            self.versions.keep_spare()
            try:
                with open_release(release) as file:
                    manifest = read_manifest(file, keys)
                version = manifest.version
                self._admit(manifest, before, takes_older)
                self.versions.remove_all_but(self.versions.version_at("current"), self.versions.version_at("good"))
                self.versions.unpack(release, keys, manifest)
            except UpdateRefused as error:
                refused = UpdateRecord(
                    state=UpdateState.REFUSED, version=version, reason=str(error), at=_now(), serial=before.serial
                )
                self._write(refused)
                raise
            return self._try_version(manifest, before)

    def _try_version(self, manifest: ReleaseManifest, before: UpdateRecord) -> UpdateRecord:
        previous = self.versions.version_at("current")
        self.versions.point("good", previous)
        (self.versions.folder / CRASH_NAME).unlink(missing_ok=True)
        serial = max(before.serial, manifest.serial)
        trial = UpdateRecord(
            state=UpdateState.TRIAL, version=manifest.version, previous=previous, at=_now(), serial=before.serial
        )
        self._write(trial)
        self.versions.point("current", manifest.version)
        log.info("version %s is tried in the place of %s", manifest.version, previous)
        try:
            self.restart()
            fault = self.probe.judge(manifest.version, self._read_crash)
        except UpdateRefused as error:
            fault = UpdateFault(UpdateCause.NO_START, str(error))
        if fault is not None:
            return self._roll_back(trial, fault)
        passed = msgspec.structs.replace(trial, state=UpdateState.FIRST_SESSION, at=_now(), serial=serial)
        self._write(passed)
        log.info("version %s has passed its self-test", manifest.version)
        return passed

    def go_back(self, reason: str, cause: UpdateCause = UpdateCause.BY_HAND) -> UpdateRecord:
        """Runs the version before the last update again. Raises `UpdateRefused`, `UpdateBusy`."""
        with self.versions.lock():
            record = self.versions.read_record()
            if record.state not in {UpdateState.TRIAL, UpdateState.FIRST_SESSION, UpdateState.CONFIRMED}:
                raise UpdateRefused("there is no update to go back from", "see edge-agent update status")
            if not (self.versions.folder / "versions" / record.previous).is_dir():
                raise UpdateRefused(f"version {record.previous} is not here any more", "install its Debian package")
            return self._roll_back(record, UpdateFault(cause, reason))

    def serve(self, requests: RequestFolder, keys: list[bytes]) -> UpdateRecord:
        """Does what the agent has asked for. Raises `UpdateRefused`, `UpdateBusy`."""
        match requests.take():
            case UpdateRequest.APPLY:
                record = self.versions.read_record()
                if record.is_on_trial or not requests.staged.exists():
                    return record  # asked for again while it was under way
                try:
                    return self.apply(requests.staged, keys)
                finally:
                    requests.staged.unlink(missing_ok=True)  # it runs, or is known not to be healthy
            case UpdateRequest.CONFIRM:
                return self.confirm()
            case UpdateRequest.ROLL_BACK:
                why = "the journal took no rows in the version's first session"
                return self.go_back(why, UpdateCause.NO_RECORDING)

    def confirm(self) -> UpdateRecord:
        """Ends the trial after the first session: the version judges others from now on, and the one before stays.

        Raises `UpdateRefused`, `UpdateBusy`.
        """
        with self.versions.lock():
            record = self.versions.read_record()
            if record.state is not UpdateState.FIRST_SESSION:
                raise UpdateRefused("no version waits for its first session", "see edge-agent update status")
            fault = self.probe.judge(record.version, lambda: "")
            if fault is not None:
                return self._roll_back(record, fault)
            confirmed = msgspec.structs.replace(record, state=UpdateState.CONFIRMED, at=_now())
            self._write(confirmed)
            self.versions.point("good", record.version)
            self.versions.end_trial()
            return confirmed

    def guard_start(self) -> UpdateRecord:
        """Makes sure, before the agent starts, that the link names the version that the record wants."""
        try:
            with self.versions.lock():
                record = self.versions.read_record()
                fault = judge_start(record)
                if fault is not None:
                    return self._roll_back(record, fault, restarts=False)
                if record.wanted_version and (self.versions.folder / "versions" / record.wanted_version).is_dir():
                    self.versions.point("current", record.wanted_version)
                return record
        except UpdateBusy:
            return self.versions.read_record()  # whoever holds the lock judges this start

    def guard_end(self, result: str) -> UpdateRecord:
        """Counts an agent that ended by itself in its first session; one that did so too often is rolled back.

        `result`: systemd's SERVICE_RESULT.
        """
        try:
            with self.versions.lock():
                record = self.versions.read_record()
                if record.state is not UpdateState.FIRST_SESSION or result in {"", "success"}:
                    return record
                counted = msgspec.structs.replace(record, crashes=record.crashes + 1)
                fault = judge_crashes(counted)
                if fault is not None:
                    return self._roll_back(counted, fault, restarts=False)
                self._write(counted)
                return counted
        except UpdateBusy:
            return self.versions.read_record()

    def _admit(self, manifest: ReleaseManifest, before: UpdateRecord, takes_older: bool) -> None:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        if (manifest.python, manifest.machine) != (python, platform.machine()):
            raise UpdateRefused(
                f"the release is for Python {manifest.python} on {manifest.machine}, and this is {python} on "
                f"{platform.machine()}",
                "get the one for this Debian release",
            )
        if manifest.version == self.versions.version_at("current"):
            raise UpdateRefused(f"version {manifest.version} runs already", "nothing is to be done")
        if manifest.serial < before.serial and not takes_older:
            raise UpdateRefused(
                f"the release is older than one that ran here ({manifest.serial} < {before.serial})",
                "to go back, say so: --older",
            )

    def _roll_back(self, record: UpdateRecord, fault: UpdateFault, *, restarts: bool = True) -> UpdateRecord:
        log.error("version %s is rolled back to %s: %s", record.version, record.previous, fault.reason)
        back = msgspec.structs.replace(
            record, state=UpdateState.ROLLED_BACK, cause=fault.cause, reason=fault.reason, at=_now()
        )
        self._write(back)
        self.versions.point("current", record.previous)
        self.versions.point("good", record.previous)
        self.versions.end_trial()
        if restarts:
            self._await_calm()
            self.restart()
        return back

    def _write(self, record: UpdateRecord) -> None:
        """Writes the record, on a full disk in the room that was kept for it."""
        try:
            self.versions.write_record(record)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.versions.give_up_spare()
            self.versions.write_record(record)

    def _await_calm(self) -> None:
        """Waits until no scan is in memory only: a restart would lose it. A disk that stays full ends the wait."""
        until = time.monotonic() + CALM_WAIT_S
        while self.probe.find_obstacle() and time.monotonic() < until:
            time.sleep(CALM_POLL_S)

    def _read_crash(self) -> str:
        try:
            return (self.versions.folder / CRASH_NAME).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""


def read_service_result() -> str:
    """Returns how the unit's process ended, as systemd tells the commands of ExecStopPost."""
    return os.environ.get("SERVICE_RESULT", "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
