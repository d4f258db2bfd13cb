"""The staff's tablets put together, where the settings switch them on: what they need is loaded only then."""

import logging
import socket
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network

from edge_agent.domain.tablets import LanAddress, choose_addresses
from edge_agent.runtime.kiosk_authority import LOCAL_DOMAIN, FileAuthority
from edge_agent.runtime.lan_addresses import read_lan_addresses
from edge_agent.runtime.tablet_book import TabletBook
from edge_agent.screen.tablets.ports import TabletLan, TabletParts
from edge_agent.settings.tables import Settings

log = logging.getLogger(__name__)


def build_tablets(settings: Settings, wall: Callable[[], datetime]) -> TabletParts | None:
    """Returns what the tablets' door needs; None, told in the log, where the authority's key cannot be read or made."""
    state_dir, tablets = settings.kiosk.state_dir, settings.tablets
    try:
        authority = FileAuthority(state_dir, settings.kiosk.name)
    except (OSError, ValueError) as error:
        log.error("no staff's page on tablets: %s", error)  # noqa: TRY400
        return None
    networks = tuple(ip_network(network) for network in tablets.networks)

    def find_addresses() -> tuple[LanAddress, ...]:
        return choose_addresses(read_lan_addresses(), networks)

    name = tablets.name or f"{socket.gethostname().partition('.')[0].lower()}.{LOCAL_DOMAIN}"
    lan = TabletLan(name, tablets.port, tablets.certificate_port, find_addresses)
    return TabletParts(TabletBook(state_dir, wall), authority, lan)
