"""OneRoster 1.2 files and what of them becomes a roster."""
