"""The last refusal of a reader in one line for a technician, at the time of the school."""

from datetime import datetime
from zoneinfo import ZoneInfo

from edge_agent.control_api import RefusalStatus


def describe_refusal(refusal: RefusalStatus, zone: ZoneInfo) -> str:
    """Returns when a reader refused something last, how often, and the driver's sentence."""
    seen_at = datetime.fromisoformat(refusal.time).astimezone(zone)
    often = "once" if refusal.count == 1 else f"{refusal.count} times"
    return f"refused {often}, last at {seen_at:%H:%M:%S}: {refusal.what}"
