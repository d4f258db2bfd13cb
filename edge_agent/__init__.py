"""Lunch: what is decided, kept and shown at the canteen's kiosk."""
