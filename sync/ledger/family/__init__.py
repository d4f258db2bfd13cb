"""The pages of a family: what the ledger has of its child, proofs to take away, and the right to object."""
