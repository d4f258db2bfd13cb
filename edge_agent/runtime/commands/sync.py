"""The commands `sync.…`: how the journal travels to the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Asker, Handler, bind
from edge_agent.control_api import SYNC_NOW, SYNC_QUARANTINE, NoArguments, QuarantinedEvent, QueueDepth
from edge_agent.errors import RequestRefused
from edge_agent.identity import Identity
from edge_agent.journal.journal import Journal
from edge_agent.runtime.uplink import UplinkHandle


@dataclass(frozen=True, slots=True)
class SyncCommands:
    """Hurries the uplink, and shows what the ledger found odd."""

    identity: Identity
    journal: Journal
    uplink: UplinkHandle

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict([bind(SYNC_NOW, self.send_now), bind(SYNC_QUARANTINE, self.list_quarantine)])

    def send_now(self, _: NoArguments, asker: Asker) -> Iterator[QueueDepth]:
        """Sends without waiting for the next attempt; yields how much there is to send."""
        if self.identity.registration is None:
            raise RequestRefused("this kiosk is not registered with a ledger; run edge-agent register URL CODE")
        self.uplink.hurry()
        yield QueueDepth(queue=self.journal.outbox.queue_depth())

    def list_quarantine(self, _: NoArguments, asker: Asker) -> Iterator[QuarantinedEvent]:
        """Yields every event that the ledger found odd or refused, with the reason."""
        for row in self.journal.outbox.read_quarantine():
            yield QuarantinedEvent(
                epoch=row.epoch,
                seq=row.seq,
                code=row.code,
                detail=row.detail,
                tombstone=row.tombstone,
                at=row.noted_utc.isoformat(),
                event=row.payload.decode("utf-8", "replace"),
            )
