"""A school day through the real code, with real processes, bytes and PostgreSQL. Only people and time are invented."""
