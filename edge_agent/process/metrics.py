"""The counters behind `/metrics`. They hold no name, no card, and nothing about who pays."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Counters:
    """Everything that the kiosk counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.readings = Counter("canteen_readings", "What devices saw", ["reader"], registry=registry)
        self.frames = Counter("canteen_frames", "Pictures that a camera gave", ["reader"], registry=registry)
        self.stream_faults = Counter("canteen_stream_faults", "Bytes that were no frame", ["reader"], registry=registry)
        self.readings_lost = Counter("canteen_readings_lost", "Readings that could not be taken", registry=registry)
        self.feedback = Counter("canteen_feedback", "Feedback given", ["child"], registry=registry)
        self.scan_s = Histogram(
            "canteen_scan_seconds",
            "From a reading to its feedback, durable row included",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
            registry=registry,
        )
        self.palms_unfit = Counter("canteen_palm_unfit", "Pictures without a usable palm", ["why"], registry=registry)
        self.palm_s = Histogram(
            "canteen_palm_seconds",
            "From the last picture of a presentation to who it is",
            buckets=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2),
            registry=registry,
        )
        self.events_queued = Gauge("canteen_queue_events", "Events that no receipt covers", registry=registry)
        self.roster_age_s = Gauge("canteen_roster_age_seconds", "Since the ledger confirmed it", registry=registry)
        self.health = Gauge("canteen_health", "0: ok, 1: watch, 2: act", ["subject"], registry=registry)
        self.clock_steps = Counter("canteen_clock_steps", "Times that the wall clock jumped", registry=registry)
