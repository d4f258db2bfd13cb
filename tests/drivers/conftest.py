"""Hypothesis measures no time here: the machine is shared, and a slow example is no fault of a parser's."""

from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
