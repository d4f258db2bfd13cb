"""The contract between kiosk and ledger. Pure: no I/O, no clocks, no threads."""
