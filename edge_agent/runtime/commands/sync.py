"""The commands `sync.…`: how the journal travels to the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import SYNC_NOW, SYNC_QUARANTINE, NoArguments, QuarantineListRow, QueueDepth
from edge_agent.errors import RequestRefused
from edge_agent.identity import DeviceIdentity
from edge_agent.journal.journal import Journal
from edge_agent.runtime.uplink import UplinkHandle


@dataclass(frozen=True, slots=True)
class SyncCommands:
    """Hurries the uplink, and shows what the ledger found odd."""

    identity: DeviceIdentity
    journal: Journal
    uplink: UplinkHandle

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict([bind_handler(SYNC_NOW, self.send_now), bind_handler(SYNC_QUARANTINE, self.list_quarantine)])

    def send_now(self, _: NoArguments, requester: Requester) -> Iterator[QueueDepth]:
        """Sends without waiting for the next attempt; yields how much there is to send."""
        if self.identity.registration is None:
            raise RequestRefused("this kiosk is not registered with a ledger; run edge-agent register URL CODE")
        self.uplink.hurry()
        yield QueueDepth(queue=self.journal.outbox.queue_depth())

    def list_quarantine(self, _: NoArguments, requester: Requester) -> Iterator[QuarantineListRow]:
        """Yields every event that the ledger found odd or refused, with the reason."""
        for row in self.journal.outbox.read_quarantine():
            yield QuarantineListRow(
                epoch=row.epoch,
                seq=row.seq,
                code=row.code,
                detail=row.detail,
                tombstone=row.tombstone,
                noted_utc=row.noted_utc.isoformat(),
                event=row.payload.decode("utf-8", "replace"),
            )
