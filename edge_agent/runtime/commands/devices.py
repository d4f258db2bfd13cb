"""The commands `devices.…`: bytes as they pass, a terminal's own log, and what nobody understood."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from drivers.bench.described import describe_event
from drivers.protocols.adms import clock_suspect
from drivers.readings import IMPOSSIBLE_RUN, PersonMatched
from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    DEVICES_IMPORT,
    DEVICES_TEST,
    DEVICES_UNREAD,
    DEVICES_WATCH,
    DeviceImportArguments,
    DeviceTestArguments,
    DeviceTestRow,
    DeviceTraffic,
    DeviceUnreadArguments,
    DeviceWatchArguments,
    ImportedMatches,
    TerminalMatch,
    UnreadRow,
)
from edge_agent.domain.moment import MomentSource
from edge_agent.errors import RequestRefused
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.inbox import Inbox, Scan
from edge_agent.runtime.scan_test import TEST_SCAN_S_MAX, ScanTest
from edge_agent.runtime.taps import DeviceTaps
from edge_agent.runtime.unread_requests import RereadableReader, StoredRequest, UnreadDesk

WATCH_S_MAX = 3_600.0
WATCH_WAIT_S = 0.5
IMPORT_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class DeviceCommands:
    """Shows a device's bytes, and takes over what a terminal kept while nobody listened."""

    taps: DeviceTaps
    inbox: Inbox
    shutdown: ShutdownFlag
    now: MomentSource
    unread: UnreadDesk
    scan_test: ScanTest

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        handlers = (
            bind_handler(DEVICES_WATCH, self.watch),
            bind_handler(DEVICES_IMPORT, self.import_matches),
            bind_handler(DEVICES_UNREAD, self.show_unread),
            bind_handler(DEVICES_TEST, self.test),
        )
        return dict(handlers)

    def test(self, arguments: DeviceTestArguments, requester: Requester) -> Iterator[DeviceTestRow]:
        """Keeps the next reading as a test, and yields its place; it bills nobody."""
        require_owner(requester)
        recorded = self.scan_test.wait(arguments.within_s)
        if recorded is None:
            seconds = min(arguments.within_s, TEST_SCAN_S_MAX)
            raise RequestRefused(
                f"no card, code or person within {seconds:.0f} s",
                "take the card away and hold it there again; or look at its line: edge-agent devices watch NAME",
            )
        yield DeviceTestRow(reader=recorded.reader, epoch=recorded.place.epoch, seq=recorded.place.seq)

    def watch(self, arguments: DeviceWatchArguments, requester: Requester) -> Iterator[DeviceTraffic]:
        """Yields bytes as they pass, until the time is over or the requester hangs up. They hold card numbers."""
        require_owner(requester)
        until_ns = time.monotonic_ns() + int(min(arguments.seconds, WATCH_S_MAX) * 1e9)
        with self.taps.watch() as watcher:
            while time.monotonic_ns() < until_ns and not self.shutdown.is_set():
                for traffic in watcher.drain(WATCH_WAIT_S):
                    if not arguments.device or traffic.device == arguments.device:
                        direction: Literal["RECV", "SEND"] = "SEND" if traffic.direction == "SEND" else "RECV"
                        yield DeviceTraffic(
                            t_ns=traffic.monotonic_ns,
                            device=traffic.device,
                            direction=direction,
                            hex=traffic.chunk.hex(),
                            events=tuple(map(describe_event, traffic.events)),
                        )

    def import_matches(self, arguments: DeviceImportArguments, requester: Requester) -> Iterator[ImportedMatches]:
        """Puts the rows into the station's queue in order; yields how many it took."""
        require_owner(requester)
        for queued, match in enumerate(arguments.matches):
            moment = self.now()
            reading = _reading(arguments.device, match, moment.utc)
            if not self.inbox.add_work(Scan(reading, moment), IMPORT_WAIT_S):
                raise RequestRefused(
                    f"the station does not keep up; {queued} rows were taken, import the file again later"
                )
        yield ImportedMatches(imported=len(arguments.matches))

    def show_unread(self, arguments: DeviceUnreadArguments, requester: Requester) -> Iterator[UnreadRow]:
        """Yields the requests that nobody understood; reads them again or removes them where that is asked for."""
        require_owner(requester)
        for name, reader in self.unread.readers.items():
            if arguments.device in ("", name):
                for request in reader.store.list_all():
                    matches = self._reread(reader, request) if arguments.again else 0
                    if arguments.discard:
                        reader.store.replace({request.digest})
                    yield UnreadRow(device=name, matches=matches, **msgspec.structs.asdict(request))

    def _reread(self, reader: RereadableReader, request: StoredRequest) -> int:
        """Records what the reader understands by now, and stores the rows that it still does not. Returns how many
        matches there were.
        """
        moment = self.now()
        matches_by_row = {row: reader.reread_row(request, row) for row in request.rows}
        matches = [match for found in matches_by_row.values() for match in found or ()]
        for match in matches:
            if not self.inbox.add_work(Scan(match, moment), IMPORT_WAIT_S):
                raise RequestRefused("the station does not keep up; read them again later")
        remaining = tuple(row for row in request.rows if matches_by_row[row] is None)
        if remaining != request.rows:
            rest = [msgspec.structs.replace(request, rows=remaining)] if remaining else []
            reader.store.replace({request.digest}, rest)
        return len(matches)


def _reading(device: str, match: TerminalMatch, now: datetime) -> PersonMatched:
    try:
        seen_at = datetime.fromisoformat(match.time)
    except ValueError as error:
        raise RequestRefused(
            f"a terminal's row has the time {match.time!r}; write it as 2026-09-07T08:06:00+05:00"
        ) from error
    impossible = clock_suspect(seen_at, now)
    return PersonMatched(
        device, match.number, 0, match.method, 0, seen_at, impossible, clock_run=IMPOSSIBLE_RUN if impossible else ""
    )
