"""The numbers of the door: requests a second, each with its burst, seconds, connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much is let in, and how long it may take."""

    rate_per_s: float = 400.0  # requests of all devices together
    burst: int = 800
    device_rate_per_s: float = 100.0
    device_burst: int = 300
    stranger_rate_per_s: float = 20.0  # of one address
    stranger_burst: int = 200  # a city's kiosks register behind one address
    strangers_max: int = 3_000  # connections on which no device has signed; some 20 KiB each
    header_s: float = 10.0  # from the connection, or a request's first byte, to the end of its header
    body_s: float = 60.0  # for a whole body; 1 MiB over a line of 150 kbit/s
    answer_s: float = 300.0  # from the header to the end of the answer; a roster page over 2G takes less than a minute
