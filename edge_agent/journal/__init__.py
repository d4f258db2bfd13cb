"""The journal: SQLite, append-only, hash-chained; the kiosk's memory, its evidence and its queue to the ledger."""

from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import Appended, Kept, Kiosk

__all__ = ["Appended", "Journal", "Kept", "Kiosk"]
