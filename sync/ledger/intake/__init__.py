"""The way of an event into the ledger: batch, chain, columns, what comes late, and what is missing."""
