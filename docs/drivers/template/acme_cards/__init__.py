"""Acme's card reader for the canteen edge agent. This file is imported to list the driver: keep it light."""

from drivers.plugins import Plugin
from drivers.registry import DriverEntry, DriverKind

PLUGIN = Plugin(api=1, entry=DriverEntry(DriverKind.READER, "acme_cards.driver:AcmeCards", "Acme card reader (serial)"))
