"""A real ledger on a real PostgreSQL, for the tests in which whole processes meet."""

from tests.sync.ledger.conftest import db, school, server

__all__ = ["db", "school", "server"]
