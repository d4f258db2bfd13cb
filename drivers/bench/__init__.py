"""A technician's bench: what is plugged in, what it sends, and which settings fit it. No driver needs it."""
