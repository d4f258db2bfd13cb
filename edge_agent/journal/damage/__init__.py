"""Damage of a journal: finding it out, mending it, and bringing over what still holds."""
