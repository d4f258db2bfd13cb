"""Wiring, supervision, all waiting. What lies below neither sleeps nor loops."""
