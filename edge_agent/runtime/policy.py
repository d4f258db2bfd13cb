"""The station's policy, read from the settings."""

from collections.abc import Mapping
from datetime import timedelta

from drivers import registry
from drivers.registry import DriverEntry
from edge_agent.domain.confirmation import ConfirmationLimits
from edge_agent.domain.decision import DecisionRules
from edge_agent.settings.tables import Settings
from edge_agent.station.ports import StationPolicy
from sync.contract.movements import Direction


def build_policy(settings: Settings, drivers: Mapping[str, DriverEntry]) -> StationPolicy:
    """Returns what the settings say about scans, in the station's units."""
    rules = settings.rules
    return StationPolicy(
        rules=DecisionRules(
            debounce_ms=int(rules.debounce_s * 1000),
            stay_min_ms=int(rules.stay_min_s * 1000),
            leave_ms=int(rules.leave_s * 1000),
            roster_age_max_s=int(rules.roster_age_max_s),
            unplaced_ms=int(rules.unplaced_s * 1000),
        ),
        confirmation_limits=ConfirmationLimits(rules.confirm_unknown_ms * 1_000_000, rules.unknown_per_minute),
        early_grace=timedelta(seconds=rules.early_s),
        late_grace=timedelta(seconds=rules.late_s),
        palm_with_card=settings.palm.with_card == "confirm",
        pairing_ms=int(settings.palm.with_card_s * 1000),
        directions={reader.name: Direction(reader.direction) for reader in settings.readers},
        keeps_rules=any(registry.entry(reader.driver, drivers).keeps_rows for reader in settings.readers),
    )
