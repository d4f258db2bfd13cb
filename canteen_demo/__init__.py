"""A school day through the real code: real processes, bytes and PostgreSQL; only people and time are made up."""
