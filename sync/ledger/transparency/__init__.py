"""Logs, checkpoints and witnesses, statements of days and their proofs, and what leaves the ledger."""
