"""A driver from its table in the settings file, not yet open, as the agent makes one."""

import time
from collections.abc import Mapping

from drivers.base import Indicator, Monotonic, Reader, Tap
from drivers.registry import indicator_class, reader_class
from drivers.settings import parse


def build_reader(
    driver: str,
    name: str,
    options: Mapping[str, object],
    *,
    clock: Monotonic = time.monotonic_ns,
    tap: Tap | None = None,
) -> Reader:
    """Raises NotSupported for what the driver does not accept."""
    cls = reader_class(driver)
    return cls(name, parse(cls.Settings, options), clock=clock, tap=tap)


def build_indicator(driver: str, name: str, options: Mapping[str, object], *, tap: Tap | None = None) -> Indicator:
    cls = indicator_class(driver)
    return cls(name, parse(cls.Settings, options), tap=tap)
