"""The ledger's pages, for signed-in readers of school, caterer, city and auditor. No page changes an event."""
