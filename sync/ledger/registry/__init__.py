"""Schools, their kiosks and their people: what the ledger knows before an event comes."""
