"""Both ends of the wire between a kiosk and the city's ledger."""
