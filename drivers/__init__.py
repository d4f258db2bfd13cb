"""Devices: how to open them, what their bytes mean, what they saw."""
