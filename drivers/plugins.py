"""Drivers from elsewhere: packages that declare them in the entry-point group `edge_agent.drivers`.

    [project.entry-points."edge_agent.drivers"]
    acme-cards = "acme_cards:PLUGIN"

The name is the driver's; the value leads to a `Plugin`. Installed does not mean trusted: nothing of a package is
imported before the settings name its distribution. A plugin that cannot be used is left out
and reported; it never stops the agent.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

from drivers.obstacle import Obstacle
from drivers.registry import DRIVERS, DriverEntry

GROUP = "edge_agent.drivers"
API = 1  # of `drivers.base`, `drivers.readings`, `drivers.errors` and what the template uses of `drivers.transports`

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A driver in a package, as its entry point gives it. Its module should import nothing that is slow or touches a
    device.
    """

    api: int
    entry: DriverEntry


@dataclass(frozen=True, slots=True)
class RefusedPlugin:
    """A driver that is not used, or a package that is missing, with the obstacle and its next step."""

    name: str
    distribution: str
    obstacle: Obstacle

    @property
    def why(self) -> str:
        """The obstacle in words: what is wrong, and what to do."""
        return str(self.obstacle)


@dataclass(frozen=True, slots=True)
class InstalledPlugins:
    drivers: Mapping[str, DriverEntry]
    refused: tuple[RefusedPlugin, ...]


def installed() -> Iterable[EntryPoint]:
    """Returns every declaration on this machine. It reads metadata and imports nothing of the packages."""
    return entry_points(group=GROUP)


def load(
    allowed: Collection[str], declared: Iterable[EntryPoint] | None = None, own: Mapping[str, DriverEntry] = DRIVERS
) -> InstalledPlugins:
    """Returns the drivers of the allowed distributions by name, and the refused ones. Add `drivers` to `own`."""
    names_allowed = {_normal(name) for name in allowed} - {""}
    points = sorted(installed() if declared is None else declared, key=lambda point: (point.name, _from(point)))
    claims = Counter(point.name for point in points if _from(point) in names_allowed)
    drivers: dict[str, DriverEntry] = {}
    refused: list[RefusedPlugin] = []
    for point in points:
        result = _find_obstacle(point, names_allowed, own, claims) or _load_entry(point)
        if isinstance(result, Obstacle):
            refused.append(RefusedPlugin(point.name, _from(point), result))
        else:
            drivers[point.name] = result
    missing = names_allowed - {_from(point) for point in points}
    not_installed = Obstacle("allowed, but not installed", "install it, or correct its name")
    refused += [RefusedPlugin("", name, not_installed) for name in missing]
    return InstalledPlugins(drivers, tuple(refused))


def _find_obstacle(
    point: EntryPoint, allowed: Collection[str], own: Mapping[str, DriverEntry], claims: Counter[str]
) -> Obstacle | None:
    """Returns why a declaration must not be imported; None if it may be."""
    if _from(point) not in allowed:
        return Obstacle("not allowed", f'if you trust it, set drivers.allowed = ["{_from(point)}"] in the settings')
    if not _NAME.fullmatch(point.name):
        return Obstacle("a driver's name has small letters, digits and hyphens", "tell its maker")
    if point.name in own:
        return Obstacle("has the name of one of our own drivers, and is not taken for it", "tell its maker")
    if claims[point.name] > 1:
        reason = "two packages bring a driver of this name, and neither is taken"
        return Obstacle(reason, "remove one from drivers.allowed")
    return None


def _load_entry(point: EntryPoint) -> DriverEntry | Obstacle:
    try:
        plugin = point.load()
    except Exception as error:  # noqa: BLE001  another's code runs here, and may raise anything
        reason = f"cannot be imported: {type(error).__name__}: {error}"
        return Obstacle(reason, "install it anew, or tell its maker")
    if not isinstance(plugin, Plugin):
        return Obstacle(f"{point.value} is no drivers.plugins.Plugin", "tell its maker")
    if plugin.api != API:
        reason = f"is made for version {plugin.api} of the drivers' interface and this is {API}"
        return Obstacle(reason, "update the older one")
    return replace(plugin.entry, distribution=_from(point))


def _from(point: EntryPoint) -> str:
    """Returns the distribution, as package indexes compare names. It is empty, and so never allowed, for a declaration
    without one.
    """
    return _normal(point.dist.name) if point.dist is not None else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
