"""A check of anybody's ledger against the contract."""
