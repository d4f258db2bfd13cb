r"""A run of consecutive events as it travels: newline-delimited JSON, compressed.

    {"first_seq":7,"count":2,"prev":"…","head":"…",…}\n     the header
    {"at":"2026-11-22T04:40:00.123Z",…}\n                   event 7, the very bytes that were hashed
    {"hash":"…","reason":"…","seq":8}\n                     event 8, if the header's `tombstones` names 8

An event's line is opaque. Only its place, and the header, say what it is: a line is a tombstone if and only if its seq
stands in `tombstones`, so no payload can be mistaken for one. A tombstone states the hash of the event whose bytes it
replaces, and the chain goes on from that hash.

Nothing here re-serialises an event. Both ends keep to the limits: EVENTS_MAX events, BODY_BYTES_MAX before compression.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import zstandard

from sync.contract.chain import Hash, Head, extend
from sync.contract.wire import Count, HexHash, Seq

EVENTS_MAX: Final = 1_000
BODY_BYTES_MAX: Final = 1024 * 1024
HEADER_BYTES_MAX: Final = 64 * 1024  # a thousand tombstones' numbers fit
LINES_BYTES_MAX: Final = BODY_BYTES_MAX - HEADER_BYTES_MAX  # what is left for events and their newlines
WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024  # of zstd in HTTP, RFC 9659


EpochText = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Parent = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class MalformedBatch(ValueError):
    """These bytes are no batch, or one that contradicts itself. Speaks of framing, never of what an event says."""


class BodyTooLarge(ValueError):
    """More bytes than a batch may have, or would have once decompressed."""


class UnknownEncoding(ValueError):
    """A content coding other than zstd, gzip and identity."""


class NamedHole(msgspec.Struct, frozen=True):
    """Events of an epoch that the kiosk no longer has, and the hash after the last of them."""

    epoch: EpochText
    first_seq: Seq
    last_seq: Seq
    last_hash: HexHash


class BatchHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first line of a batch."""

    first_seq: Seq
    count: Annotated[int, msgspec.Meta(ge=1, le=EVENTS_MAX)]
    prev: HexHash  # before `first_seq`; the epoch's genesis when that is 1
    head: HexHash  # after the last event
    queue: Count = 0  # events that still wait behind this batch
    agent: str = ""  # the agent's version
    roster: Count = 0  # the roster in force
    parent: Parent = ""  # with `first_seq` 1: the former epoch's head that the genesis was made with; empty: none
    tombstones: tuple[Seq, ...] = ()  # ascending
    closed: bool = False  # the kiosk has closed this epoch, too, and knows that the ledger may have
    follows: Parent = ""  # with the first batch of an epoch: the ledger's current head as the kiosk knows it
    holes: tuple[NamedHole, ...] = ()  # events before `first_seq` that a receipt covered and that are no longer here


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stands for an event that a ledger would not take; its bytes stay on the kiosk."""

    hash: HexHash
    reason: str
    seq: Seq


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of consecutive events, signed by the device."""

    header: BatchHeader
    lines: tuple[bytes, ...]  # as many as `header.count`, without newlines

    @property
    def prev(self) -> Hash:
        """Returns the hash before the first event."""
        return Hash(bytes.fromhex(self.header.prev))

    @property
    def head(self) -> Head:
        """Returns the last event by the header's word: `link_hashes` holds it against the events."""
        return Head(self.last_seq, Hash(bytes.fromhex(self.header.head)))

    @property
    def last_seq(self) -> int:
        """Returns the number of the last event."""
        return self.header.first_seq + self.header.count - 1


_header_decoder = msgspec.json.Decoder(BatchHeader)
_tombstone_decoder = msgspec.json.Decoder(Tombstone)
_encoder = msgspec.json.Encoder(order="sorted")


def tombstone_line(tombstone: Tombstone) -> bytes:
    """Returns the line that goes in the place of an event."""
    return _encoder.encode(tombstone)


def read_tombstone(line: bytes) -> Tombstone:
    """Returns the tombstone in this line. Raises `MalformedBatch`."""
    try:
        return _tombstone_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBatch(f"no tombstone: {error}") from error


def encode(header: BatchHeader, lines: Sequence[bytes]) -> bytes:
    """Returns the body before compression. Raises `MalformedBatch` when a line holds a newline and would fall apart."""
    body = b"\n".join((_encoder.encode(header), *lines, b""))
    if body.count(b"\n") != len(lines) + 1 or header.count != len(lines):
        raise MalformedBatch(f"{len(lines)} events announced as {header.count} do not fit one a line")
    return body


def decode(body: bytes) -> Batch:
    """Returns the batch in this decompressed body. Raises `MalformedBatch`."""
    *lines, rest = body.split(b"\n", EVENTS_MAX + 2)
    if rest or not lines:
        raise MalformedBatch(f"not between 1 and {EVENTS_MAX} events, each line ended by a newline")
    try:
        header = _header_decoder.decode(lines[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBatch(f"no batch header: {error}") from error
    if header.count != len(lines) - 1:
        raise MalformedBatch(f"the header announces {header.count} events, {len(lines) - 1} came")
    last_seq = header.first_seq + header.count - 1
    if list(header.tombstones) != sorted({seq for seq in header.tombstones if header.first_seq <= seq <= last_seq}):
        raise MalformedBatch("tombstones that are not ascending numbers of this batch")
    return Batch(header, tuple(lines[1:]))


def link_hashes(batch: Batch) -> list[Hash]:
    """Returns the events' hashes from `prev` on. Raises `MalformedBatch` when they do not lead to `head`."""
    head = batch.prev
    tombstones = set(batch.header.tombstones)
    hashes = []
    for seq, line in enumerate(batch.lines, batch.header.first_seq):
        head = _tombstone_hash(line, seq) if seq in tombstones else extend(head, line)
        hashes.append(head)
    if head.hex() != batch.header.head:
        raise MalformedBatch(f"events {batch.header.first_seq} to {batch.last_seq} do not lead from prev to head")
    return hashes


def _tombstone_hash(line: bytes, seq: int) -> Hash:
    tombstone = read_tombstone(line)
    if tombstone.seq != seq:
        raise MalformedBatch(f"the tombstone in place of event {seq} is made out to {tombstone.seq}")
    return Hash(bytes.fromhex(tombstone.hash))


class Compressor:
    """Compresses bodies by zstd, level 3: smaller than gzip -6 at a third of its work. It reuses its memory."""

    encoding: Final = "zstd"

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=3)

    def __call__(self, body: bytes) -> bytes:
        return self._zstd.compress(body)


class GzipCompressor:
    """Compresses bodies for a ledger that answers 415 to zstd. Level 1: a slow kiosk has better things to do."""

    encoding: Final = "gzip"

    def __call__(self, body: bytes) -> bytes:
        gzip = zlib.compressobj(level=1, wbits=31)
        return gzip.compress(body) + gzip.flush()


def decompress(body: bytes, encoding: str, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Returns the body before `Content-Encoding`. Never makes more than `bytes_max` bytes, whatever the sender claims.

    Raises `BodyTooLarge`, `UnknownEncoding`, or `MalformedBatch` for a damaged, truncated or doubled stream.
    """
    match encoding.strip().lower():
        case "zstd":
            plain = _unzstd(body, bytes_max)
        case "gzip" | "x-gzip":
            plain = _gunzip(body, bytes_max)
        case "" | "identity":
            plain = body
        case _:
            raise UnknownEncoding(f"content coding {encoding[:40]!r}; send zstd, gzip or identity")
    if len(plain) > bytes_max:
        raise BodyTooLarge(f"more than {bytes_max} bytes; send fewer events at a time")
    return plain


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    zstd = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
    try:
        size = zstandard.frame_content_size(body)
        stated = size >= 0
        if not stated:  # as a stream's; the reader stops at the cap, so the last call allots no more than that
            size = len(zstd.stream_reader(body).read(bytes_max + 1))
        if size > bytes_max:
            raise BodyTooLarge(f"more than {bytes_max} bytes; send fewer events at a time")
        if stated:  # neither more nor less is made
            return zstd.decompress(body, allow_extra_data=False)
        reader = zstd.decompressobj()
        plain = reader.decompress(body)
    except zstandard.ZstdError as error:
        raise MalformedBatch(f"not readable as zstd: {error}") from error
    if not reader.eof or reader.unused_data:
        raise MalformedBatch("a zstd stream that is cut off, or has something behind it")
    return plain


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    try:
        plain = reader.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise MalformedBatch(f"not readable as gzip: {error}") from error
    if len(plain) <= bytes_max and (not reader.eof or reader.unused_data):
        raise MalformedBatch("a gzip stream that is cut off, or has something behind it")
    return plain
