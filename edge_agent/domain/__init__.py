"""People, meals, decision, feedback. Pure: no I/O, no clocks, no threads; the time zone is an argument."""
