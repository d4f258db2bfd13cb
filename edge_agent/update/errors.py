"""Errors of an update, named by what the caller can do."""

from edge_agent.errors import AgentError


class UpdateRefused(AgentError):
    """The release was not taken, and nothing was changed. The message says why."""


class UpdateBusy(AgentError):
    """Another process is changing the version at this moment."""
