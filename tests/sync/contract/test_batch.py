import gzip
import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sync.contract import batch, chain
from sync.contract.batch import BODY_BYTES_MAX, EVENTS_MAX, BatchHeader, Compressor, GzipCompressor, Tombstone

GENESIS = chain.Hash(bytes(32))
payloads = st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"")), min_size=1, max_size=40)


def header(lines: list[bytes], head: chain.Hash | None = None, **more: object) -> BatchHeader:
    head = head or chain.chain_hashes(GENESIS, lines)[-1]
    fields = {"first_seq": 1, "count": len(lines), "prev": GENESIS.hex(), "head": head.hex()} | more
    return BatchHeader(**fields)  # type: ignore[arg-type]  # a test sets whichever field it wants to break


@given(payloads)
def test_any_bytes_without_a_newline_travel_verbatim(lines: list[bytes]) -> None:
    body = Compressor()(batch.encode(header(lines), lines))
    read = batch.decode(batch.decompress(body, "zstd"))
    assert list(read.lines) == lines
    assert batch.link_hashes(read) == chain.chain_hashes(GENESIS, lines)


@given(payloads, st.data())
def test_a_tombstone_keeps_the_chain_going_and_one_bit_breaks_it(lines: list[bytes], data: st.DataObject) -> None:
    links = chain.chain_hashes(GENESIS, lines)
    at = data.draw(st.integers(0, len(lines) - 1))
    stone = Tombstone(hash=links[at].hex(), reason="refused-400", seq=at + 1)
    with_stone = [*lines[:at], batch.tombstone_line(stone), *lines[at + 1 :]]
    body = batch.encode(header(lines, tombstones=(at + 1,)), with_stone)
    assert batch.link_hashes(batch.decode(body)) == links

    rotten = bytearray(batch.encode(header(lines), lines))
    where = data.draw(st.integers(0, len(rotten) - 1))
    rotten[where] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = batch.decode(bytes(rotten))
        links_read = batch.link_hashes(read)
    except batch.MalformedBatch:
        return
    # The only bits that a batch does not answer for by itself are those of the header's informative fields and names.
    assert links_read == links


def test_a_payload_that_looks_like_a_tombstone_is_a_payload() -> None:
    lines = [batch.tombstone_line(Tombstone(hash=bytes(32).hex(), reason="sly", seq=1))]
    assert batch.link_hashes(batch.decode(batch.encode(header(lines), lines))) == chain.chain_hashes(GENESIS, lines)


@pytest.mark.parametrize("stones", [(0,), (2,), (1, 1), (-1,)])
def test_tombstones_outside_the_batch_are_refused(stones: tuple[int, ...]) -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.decode(batch.encode(header([b"a"], tombstones=stones), [b"a"]))


def test_a_newline_in_an_event_is_noticed_before_it_is_sent() -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.encode(header([b"a\nb"]), [b"a\nb"])


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"first_seq":0,"count":0,"prev":"","head":""}\n', b"no newline"],
)
def test_rubbish_is_malformed(body: bytes) -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.decode(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_batch_or_malformed(body: bytes) -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.decode(body)


def test_more_than_a_thousand_events_are_refused_and_a_million_newlines_are_cheap() -> None:
    with pytest.raises(batch.MalformedBatch):
        batch.decode(b'{"first_seq":1}\n' + b"\n" * (BODY_BYTES_MAX // 2))
    lines = [b"x"] * EVENTS_MAX
    assert len(batch.decode(batch.encode(header(lines), lines)).lines) == EVENTS_MAX


def test_a_bomb_is_not_unpacked() -> None:
    silent = zstandard.ZstdCompressor(write_content_size=False)
    for bomb, coding in (
        (Compressor()(bytes(300_000_000)), "zstd"),
        (silent.compress(bytes(300_000_000)), "zstd"),
        (gzip.compress(bytes(30_000_000)), "gzip"),
    ):
        with pytest.raises(batch.BodyTooLarge):
            batch.decompress(bomb, coding)


def test_a_frame_that_wants_a_large_window_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(batch.MalformedBatch):
        batch.decompress(stream.compress(os.urandom(1000)) + stream.flush(), "zstd")


@pytest.mark.parametrize("size", [0, 1, 5_000, BODY_BYTES_MAX])
@pytest.mark.parametrize("make", [Compressor(), GzipCompressor()], ids=["zstd", "gzip"])
def test_up_to_the_limit_and_not_a_byte_more(make: Compressor | GzipCompressor, size: int) -> None:
    assert batch.decompress(make(bytes(size)), make.encoding) == bytes(size)
    with pytest.raises(batch.BodyTooLarge):
        batch.decompress(make(bytes(size + 1)), make.encoding, size)


@pytest.mark.parametrize("make", [Compressor(), GzipCompressor()], ids=["zstd", "gzip"])
def test_cut_off_or_doubled_streams_are_malformed(make: Compressor | GzipCompressor) -> None:
    whole = make(os.urandom(500))
    for cut in range(len(whole)):
        with pytest.raises(batch.MalformedBatch):
            batch.decompress(whole[:cut], make.encoding)
    for more in (b"x", whole):
        with pytest.raises(batch.MalformedBatch):
            batch.decompress(whole + more, make.encoding)


def test_identity_and_unknown_codings() -> None:
    assert batch.decompress(b"abc", "") == b"abc"
    assert batch.decompress(b"abc", " Identity ") == b"abc"
    with pytest.raises(batch.BodyTooLarge):
        batch.decompress(b"abc", "identity", 2)
    with pytest.raises(batch.UnknownEncoding):
        batch.decompress(b"abc", "br")
