"""The paired tablets, in one file of the state folder: names, times and digests of their secrets."""

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.domain.tablets import TABLETS_MAX, PairedTablet, TabletFault, TabletRefused
from edge_agent.runtime.pin_hashes import write_secret_file

log = logging.getLogger(__name__)

TABLETS_NAME: Final = "tablets.json"


class _StoredTablet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    digest: str  # hex, of the secret in use
    former: str  # of the one before, which holds until the next one is given: a tablet may have lost the answer
    paired_at: str
    seen_at: str  # as of the last sign-in; the newer times are in memory, to spare the card


class TabletBook:
    """Keeps the paired tablets. Any thread may use it.

    A file that cannot be read lets no tablet in and is never written over.
    """

    def __init__(self, state_dir: Path, wall: Callable[[], datetime]) -> None:
        self._path = state_dir / TABLETS_NAME
        self._wall = wall
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[datetime, str]] = {}
        self._stored = self._read()

    def find(self, secret: str) -> str | None:
        """Returns the id of the tablet with this secret; None: it is not paired, or no more."""
        digest = _digest(secret)
        for tablet in self._stored or ():
            if compare_digest(digest, tablet.digest) or compare_digest(digest, tablet.former):
                return tablet.id
        return None

    def is_paired(self, tablet: str) -> bool:
        """Returns True while this tablet is paired."""
        return any(stored.id == tablet for stored in self._stored or ())

    def note_seen(self, tablet: str, address: str) -> None:
        """Notes that this tablet was here just now. It never raises."""
        self._seen[tablet] = (self._wall(), address)

    def list_all(self) -> Sequence[PairedTablet]:
        """Returns every paired tablet, by name."""
        return [self._describe(stored) for stored in sorted(self._stored or (), key=lambda stored: stored.name)]

    def add(self, name: str) -> str:
        """Pairs a tablet and returns its secret, which is kept nowhere. Raises TabletRefused."""
        secret, now = secrets.token_urlsafe(32), _write_time(self._wall())
        with self._lock:
            present = self._readable()
            if len(present) >= TABLETS_MAX:
                raise TabletRefused(TabletFault.TABLETS_FULL)
            tablet = _StoredTablet("tab-" + secrets.token_hex(4), name, _digest(secret), "", now, now)
            self._write((*present, tablet))
        log.info("tablet %s is paired", tablet.id)
        return secret

    def renew(self, tablet: str, secret: str) -> str | None:
        """Returns a new secret for the one in use; the one before that ends. None: nothing could be stored."""
        anew = secrets.token_urlsafe(32)
        with self._lock:
            kept = [stored for stored in self._stored or () if stored.id != tablet]
            found = next((stored for stored in self._stored or () if stored.id == tablet), None)
            if found is None:
                return None
            changed = msgspec.structs.replace(
                found, digest=_digest(anew), former=_digest(secret), seen_at=self._describe(found).seen_at
            )
            try:
                self._write((*kept, changed))
            except TabletRefused:
                return None  # the old secret goes on: nobody is kept from the lunch by a full disk
        return anew

    def revoke(self, tablet: str) -> None:
        """Ends this tablet's pairing. Raises TabletRefused."""
        with self._lock:
            present = self._readable()
            kept = tuple(stored for stored in present if stored.id != tablet)
            if len(kept) == len(present):
                raise TabletRefused(TabletFault.UNKNOWN_TABLET)
            self._stored = kept  # at once, even where the disk refuses it
            self._write(kept)
        log.info("tablet %s is no longer paired", tablet)

    def _describe(self, stored: _StoredTablet) -> PairedTablet:
        seen = self._seen.get(stored.id)
        seen_at, seen_from = (_write_time(seen[0]), seen[1]) if seen else (stored.seen_at, "")
        return PairedTablet(stored.id, stored.name, stored.paired_at, seen_at, seen_from)

    def _readable(self) -> tuple[_StoredTablet, ...]:
        if self._stored is None:
            raise TabletRefused(TabletFault.TABLETS_NOT_STORED)
        return self._stored

    def _read(self) -> tuple[_StoredTablet, ...] | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[_StoredTablet, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s: no tablet is let in until it is moved away: %s", self._path, error)
            return None

    def _write(self, stored: tuple[_StoredTablet, ...]) -> None:
        try:
            write_secret_file(self._path, msgspec.json.encode(stored))
        except OSError as error:
            log.warning("%s: %s", self._path, error)
            raise TabletRefused(TabletFault.TABLETS_NOT_STORED) from error
        self._stored = stored


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _write_time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
