"""Secrets of this kiosk, each for one use: made of the school's sealing key where there is one."""

import hmac
from pathlib import Path

from edge_agent.settings.credentials import read_credential


def derive_school_secret(state_dir: Path, use: bytes) -> bytes | None:
    """Returns a secret for this use, the same at every kiosk that has the school's sealing key; None without a key.

    What reads that key is large, so it is imported late.
    """
    if not (state_dir / "palm.key").exists() and not read_credential("palm-key"):
        return None
    from edge_agent.errors import RequestRefused
    from edge_agent.palms.keys import NoSchoolKey, load

    try:
        return hmac.digest(load(state_dir).secret, use, "sha256")
    except (NoSchoolKey, RequestRefused):
        return None  # the palms' own check says what is wrong with it
