"""Updates of the kiosk's program: signed releases, versions side by side, and the way back. Decision 71."""
