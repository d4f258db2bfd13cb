"""The ports of the tablets' door: what the runtime keeps for it, and where the kiosk is in the network."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from edge_agent.domain.tablets import LanAddress, PairedTablet

LOOK_S = 5.0


class TabletDirectory(Protocol):
    """The paired tablets. The door's event loop calls `find`; worker threads call the rest."""

    def find(self, secret: str) -> str | None:
        """Returns the id of the tablet with this secret; None: it is not paired, or no more."""
        ...

    def note_seen(self, tablet: str, address: str) -> None:
        """Notes that this tablet was here just now. It never raises."""
        ...

    def is_paired(self, tablet: str) -> bool:
        """Returns True while this tablet is paired."""
        ...

    def list_all(self) -> Sequence[PairedTablet]:
        """Returns every paired tablet, by name."""
        ...

    def add(self, name: str) -> str:
        """Pairs a tablet and returns its secret, which is kept nowhere. Raises TabletRefused."""
        ...

    def renew(self, tablet: str, secret: str) -> str | None:
        """Returns a new secret for the one in use; the one before that ends. None: nothing could be stored."""
        ...

    def revoke(self, tablet: str) -> None:
        """Ends this tablet's pairing. Raises TabletRefused."""
        ...


class KioskAuthority(Protocol):
    """The kiosk's own certificate authority."""

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, DER."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as devices show it: `3F 2A …`."""
        ...

    def renew(
        self, context: ssl.SSLContext, name: str, addresses: Sequence[LanAddress], wall: datetime
    ) -> tuple[datetime, datetime]:
        """Gives the context a new key and certificate for name and addresses; returns from and until when it holds."""
        ...


@dataclass(frozen=True, slots=True)
class TabletLan:
    """The kiosk in the school's network: its name there, its two ports, and how its addresses are found."""

    name: str  # `kiosk.local`
    port: int
    certificate_port: int
    addresses: Callable[[], tuple[LanAddress, ...]]  # raises OSError
    look_s: float = LOOK_S  # between two looks at addresses and certificate


@dataclass(frozen=True, slots=True)
class TabletParts:
    """Everything that the tablets' door needs from the runtime."""

    directory: TabletDirectory
    authority: KioskAuthority
    lan: TabletLan


def host_in_url(address: LanAddress) -> str:
    """Returns the address as it stands in a URL."""
    return f"[{address}]" if address.version == 6 else str(address)
