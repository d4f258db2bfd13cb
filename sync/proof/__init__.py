"""Append-only logs, and proofs that a stranger checks. Pure: no files, no clock, no random source."""
