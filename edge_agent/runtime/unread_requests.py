"""The store of what devices told and nobody understood: one file a reader, read again after an update.

A line of the file is one request as JSON. It is on the disk before the device is answered. The file is bounded; a
request that came before is not stored twice. A line that is no JSON was cut short by a loss of power: the device got no
answer and sends it again.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from drivers.readings import PersonMatched
from drivers.unread import UnreadRequest, UnreadSource
from edge_agent.domain.moment import MomentSource
from edge_agent.journal.store import sync_folder

log = logging.getLogger(__name__)

UNREAD_FOLDER = "unread"
UNREAD_REQUESTS_MAX = 1_000
UNREAD_BYTES_MAX = 1024 * 1024


class StoredRequest(msgspec.Struct, frozen=True):
    """One request as it stands in the file."""

    at: str  # when it came, by the kiosk's clock
    serial: str
    path: str
    table: str
    rows: tuple[str, ...]

    def __repr__(self) -> str:
        return f"StoredRequest({self.table or self.path}, {len(self.rows)} rows)"

    @property
    def digest(self) -> bytes:
        """Returns what two requests have in common that say the same, whenever they came."""
        return hashlib.sha256(msgspec.json.encode((self.serial, self.path, self.table, self.rows))).digest()


_decoder = msgspec.json.Decoder(StoredRequest)


class UnreadRequests:
    """The store of one reader. Its methods may be called from any thread."""

    def __init__(self, path: Path, now: MomentSource) -> None:
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._digests: set[bytes] | None = None  # of what is stored; None: the file was not read yet
        self._bytes = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._known_digests())

    def keep(self, request: UnreadRequest) -> bool:
        """Returns True once the request is on the disk, or was there before; False where there is no room for it."""
        at = self._now().utc.isoformat(timespec="seconds")
        stored = StoredRequest(at, request.serial, request.path, request.table, request.rows)
        line = msgspec.json.encode(stored) + b"\n"
        with self._lock:
            try:
                return self._keep(stored.digest, line)
            except OSError as error:
                log.warning("%s: %s", self._path, error)
                return False

    def list_all(self) -> tuple[StoredRequest, ...]:
        """Returns every stored request, oldest first."""
        with self._lock:
            return self._read()

    def replace(self, removed: Collection[bytes], added: Collection[StoredRequest] = ()) -> None:
        """Removes the requests with these digests, and stores what is left of them. Raises OSError."""
        with self._lock:
            remaining = [*(stored for stored in self._read() if stored.digest not in removed), *added]
            if remaining:
                self._write(b"".join(msgspec.json.encode(stored) + b"\n" for stored in remaining))
            else:
                self._path.unlink(missing_ok=True)
            self._digests = None

    def _keep(self, digest: bytes, line: bytes) -> bool:
        digests = self._known_digests()
        if digest in digests:
            return True
        if len(digests) >= UNREAD_REQUESTS_MAX or self._bytes + len(line) > UNREAD_BYTES_MAX:
            return False
        self._append(line)
        digests.add(digest)
        self._bytes += len(line)
        return True

    def _known_digests(self) -> set[bytes]:
        if self._digests is None:
            self._digests = {stored.digest for stored in self._read()}
        return self._digests

    def _read(self) -> tuple[StoredRequest, ...]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            content = b""
        self._bytes = len(content)
        requests = []
        for line in content.splitlines():
            try:
                requests.append(_decoder.decode(line))
            except msgspec.DecodeError:
                log.warning("%s: a request that was cut short is passed over", self._path)
        return tuple(requests)

    def _append(self, line: bytes) -> None:
        is_new = not self._path.exists()
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            _write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._path.parent)

    def _write(self, content: bytes) -> None:
        whole = self._path.with_suffix(".new")
        descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        whole.replace(self._path)
        sync_folder(self._path.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


@dataclass(frozen=True, slots=True)
class RereadableReader:
    """A reader that may be told what it does not understand, and the store of that."""

    source: UnreadSource
    store: UnreadRequests

    def reread_row(self, request: StoredRequest, row: str) -> Sequence[PersonMatched] | None:
        """Returns the matches that one row of the request brings by now; None while nobody understands it."""
        events = self.source.reread(UnreadRequest(request.serial, request.path, request.table, (row,)))
        return None if events is None else [event for event in events if isinstance(event, PersonMatched)]


class UnreadDesk:
    """The stores of all readers, each made with its reader: that is when the reader is first opened."""

    def __init__(self, folder: Path, now: MomentSource) -> None:
        self._folder, self._now = folder, now
        self._readers: dict[str, RereadableReader] = {}

    def give_store(self, name: str, source: UnreadSource) -> UnreadRequests:
        """Gives the reader its store, and returns it."""
        store = UnreadRequests(self._folder / f"{name}.jsonl", self._now)
        source.unread = store
        self._readers = {**self._readers, name: RereadableReader(source, store)}
        return store

    @property
    def readers(self) -> Mapping[str, RereadableReader]:
        """Returns the readers by name, as they are at this moment."""
        return self._readers
