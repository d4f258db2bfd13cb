"""Answers with card numbers in them are given to root and to the daemon's own user alone."""

import os

from edge_agent.control import Requester
from edge_agent.errors import RequestRefused


def require_owner(requester: Requester) -> None:
    """Raises `Refused` unless root or the daemon's own user asks."""
    if requester.uid not in {0, os.getuid()}:
        raise RequestRefused("card numbers are in the answer; ask as root")
