"""The ledger's and its kiosks' figures as Prometheus reads them: made at each question, from the database's rows.

A kiosk's own `/metrics` is on its loopback, where a city's Prometheus does not come; what it tells the ledger is here.
No figure is about a child or a meal.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import psycopg
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sync.ledger.fleet.listing import KioskRow, list_kiosks
from sync.ledger.fleet.reading import read_kiosks

CONNECT_TIMEOUT_S: Final = 5  # Prometheus gives up after ten
_KIOSK: Final = ("school", "kiosk")

# Of the city: one number, how many days of all schools wait to be judged.
_MARKED_DAYS: Final = "SELECT count(*) FROM dirty_day"


def _wall() -> datetime:
    return datetime.now(UTC)


class FleetCollector(Collector):
    """Reads the database when Prometheus asks. One that does not answer is a figure, too."""

    def __init__(self, database_url: str, clock: Callable[[], datetime] = _wall) -> None:
        self._database_url = database_url
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: the names are not checked against others by asking the database at the start."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yields the figures of this moment."""
        now = self._clock()
        try:
            with psycopg.connect(self._database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                rows = list_kiosks(read_kiosks(connection, now), now)
                marked = connection.execute(_MARKED_DAYS).fetchone()
        except psycopg.Error:
            yield GaugeMetricFamily("ledger_database_up", "1 while the database answers", 0)
            return
        assert marked is not None, "a count is one row"
        yield GaugeMetricFamily("ledger_database_up", "1 while the database answers", 1)
        yield GaugeMetricFamily("ledger_marked_days", "Days of schools that wait to be judged", marked[0])
        yield from build_kiosk_metrics(rows)


def build_kiosk_metrics(rows: Iterable[KioskRow]) -> Iterable[Metric]:
    """Returns the figures of these kiosks; what one has not told is left out."""
    info = GaugeMetricFamily("ledger_kiosk_info", "A kiosk and its version", labels=(*_KIOSK, "status", "version"))
    heard = GaugeMetricFamily("ledger_kiosk_heard_timestamp_seconds", "When it was last heard", labels=_KIOSK)
    scanned = GaugeMetricFamily("ledger_kiosk_scan_timestamp_seconds", "When somebody was last there", labels=_KIOSK)
    queue = GaugeMetricFamily("ledger_kiosk_queue_events", "Events that it has not sent", labels=_KIOSK)
    roster = GaugeMetricFamily("ledger_kiosk_roster_age_seconds", "Since its roster was confirmed", labels=_KIOSK)
    gone = GaugeMetricFamily("ledger_kiosk_readers_gone", "Readers that do not work", labels=_KIOSK)
    alarm = GaugeMetricFamily("ledger_kiosk_alarm", "1 while it lasts", labels=(*_KIOSK, "alarm", "level"))
    for row in rows:
        state = row.state
        kiosk = (state.school, state.device)
        info.add_metric((*kiosk, state.status, state.version), 1)
        if state.heard is not None:
            heard.add_metric(kiosk, state.heard.timestamp())
            gone.add_metric(kiosk, len(state.readers_gone))
        if state.scanned is not None:
            scanned.add_metric(kiosk, state.scanned.timestamp())
        if state.queue >= 0:
            queue.add_metric(kiosk, state.queue)
        if row.roster_age_s >= 0:
            roster.add_metric(kiosk, row.roster_age_s)
        for kind, level in sorted({(each.kind, each.level) for each in row.alarms}):
            alarm.add_metric((*kiosk, kind, level), 1)
    return (info, heard, scanned, queue, roster, gone, alarm)
