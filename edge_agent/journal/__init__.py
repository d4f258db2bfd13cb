"""The journal: SQLite, append-only, hash-chained; the kiosk's memory, its evidence and its queue to the ledger."""
