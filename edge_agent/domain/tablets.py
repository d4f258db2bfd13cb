"""The staff's tablets: which addresses of the kiosk they may reach, and the code by which one is paired.

A code has eight digits, works once and for five minutes. Whoever guesses in the network has five tries at one address
and a hundred in all: a prank with one phone ends nobody's pairing, and nobody's chance exceeds one in a million.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

PAIRING_CODE_DIGITS: Final = 8
PAIRING_S: Final = 300.0
WRONG_CODES_MAX: Final = 100  # of one pairing
WRONG_CODES_MAX_ADDRESS: Final = 5  # of one pairing, from one address
TABLETS_MAX: Final = 16
TABLET_NAME_CHARS_MAX: Final = 40

LanAddress = IPv4Address | IPv6Address
LanNetwork = IPv4Network | IPv6Network

# Where a school's own machines are (RFC 1918, RFC 4193). The kiosk's authority vouches for nothing else.
PRIVATE_NETWORKS: Final[tuple[LanNetwork, ...]] = tuple(
    ip_network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
LOOPBACK_NETWORKS: Final[tuple[LanNetwork, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class TabletFault(StrEnum):
    """The reason why an act on tablets changed nothing. The catalogues hold its words, and what to do next."""

    NO_PAIRING = "no_pairing"  # no code is open, or it was used, or its time is over
    WRONG_CODE = "wrong_code"
    TOO_MANY_CODES = "too_many_codes"
    TABLETS_FULL = "tablets_full"
    TABLETS_NOT_STORED = "tablets_not_stored"
    UNKNOWN_TABLET = "unknown_tablet"
    ONLY_AT_KIOSK = "only_at_kiosk"
    NO_LAN = "no_lan"


class DoorFault(StrEnum):
    """The reason why no tablet can come in, or not everywhere. Doctor says what to do."""

    NONE = ""
    NO_ADDRESS = "no_address"  # the kiosk has no private address
    NOT_LISTENING = "not_listening"  # at an address another program holds the port, or the address has just gone
    NO_AUTHORITY = "no_authority"  # the authority's key cannot be read or made, or vouches for nothing
    STOPPED = "stopped"  # by an error of ours


class TabletRefused(Exception):
    """The act on tablets changed nothing; `fault` says why."""

    def __init__(self, fault: TabletFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class PairedTablet:
    """A tablet or phone of the staff that may open their page. Times are in UTC, ISO 8601."""

    id: str
    name: str
    paired_at: str
    seen_at: str
    seen_from: str  # the address it was last seen at; empty since the last start


def choose_addresses(present: Iterable[LanAddress], networks: Sequence[LanNetwork]) -> tuple[LanAddress, ...]:
    """Returns those of the kiosk's addresses on which tablets are heard: IPv4 first, else in order.

    `networks` narrows the private networks; loopback counts only where it is named.
    """
    allowed = networks or PRIVATE_NETWORKS
    vouched = (*PRIVATE_NETWORKS, *LOOPBACK_NETWORKS)
    chosen = {address for address in present if _lies_in(address, allowed) and _lies_in(address, vouched)}
    return tuple(sorted(chosen, key=lambda address: (address.version, int(address))))


def _lies_in(address: LanAddress, networks: Iterable[LanNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@dataclass(frozen=True, slots=True)
class OpenPairing:
    """A pairing that waits for its tablet."""

    name: str
    code: str
    until_s: float


@dataclass(slots=True)
class PairingCodes:
    """The one pairing that may be open. Times are monotonic seconds."""

    _open: OpenPairing | None = None
    _wrong: dict[str, int] = field(default_factory=dict)

    def open(self, name: str, code: str, now_s: float) -> OpenPairing:
        """Opens a pairing in place of the one before."""
        self._open, self._wrong = OpenPairing(name, code, now_s + PAIRING_S), {}
        return self._open

    def close(self) -> None:
        """Ends the open pairing, if there is one."""
        self._open = None

    def current(self, now_s: float) -> OpenPairing | None:
        """Returns the pairing that is open."""
        if self._open is not None and now_s >= self._open.until_s:
            self._open = None
        return self._open

    def use(self, code: str, address: str, now_s: float) -> str:
        """Returns the name of the tablet that sent the right code, and ends the pairing. Raises TabletRefused."""
        pairing = self.current(now_s)
        if pairing is None:
            raise TabletRefused(TabletFault.NO_PAIRING)
        if self._wrong.get(address, 0) >= WRONG_CODES_MAX_ADDRESS:
            raise TabletRefused(TabletFault.TOO_MANY_CODES)
        if not hmac.compare_digest(code.encode(), pairing.code.encode()):
            self._wrong[address] = self._wrong.get(address, 0) + 1
            if sum(self._wrong.values()) >= WRONG_CODES_MAX:
                self._open = None
            raise TabletRefused(TabletFault.WRONG_CODE)
        self._open = None
        return pairing.name
