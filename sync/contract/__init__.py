"""What kiosk and ledger agree on. Pure: no I/O, no clocks, no threads."""
