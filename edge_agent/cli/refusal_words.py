"""The last refusal of a reader in one line for a technician, at the time of the school."""

from datetime import datetime
from zoneinfo import ZoneInfo

from edge_agent.cli.phrases import Phrase, phrase
from edge_agent.control_api import RefusalStatus


def describe_refusal(refusal: RefusalStatus, zone: ZoneInfo) -> Phrase:
    """Returns when a reader refused something last, how often, and the driver's sentence."""
    seen_at = datetime.fromisoformat(refusal.time).astimezone(zone)
    time = f"{seen_at:%H:%M:%S}"
    if refusal.count == 1:
        return phrase("refused once, at {time}: {what}", time=time, what=refusal.what)
    return phrase("refused {count} times, last at {time}: {what}", count=refusal.count, time=time, what=refusal.what)
