"""A folder that the PostgreSQL of a benchmark can reach."""

from tests.sync.ledger.conftest import open_folder

__all__ = ["open_folder"]
