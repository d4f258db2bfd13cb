"""The seeds of a run: the usual ones, or those that the environment names."""

import os


def choose_seeds(usual: range) -> range:
    """Returns the seeds of SIMULATION_SEEDS, one (17) or a range (1000-1999); else the usual ones."""
    named = os.environ.get("SIMULATION_SEEDS", "")
    first, _, last = named.partition("-")
    return range(int(first), int(last or first) + 1) if named else usual
