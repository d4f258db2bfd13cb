"""`devices decode`: bytes, read by a protocol."""

import os
import string
import sys
import time
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from drivers import registry
from drivers.bench import decoding, osdp_key, osdp_trace, playing
from drivers.bench.described import describe_event
from drivers.cards.osdp_reports import OsdpSettings
from edge_agent.cli.devices.options import KeyFileOption, find_key, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import DeviceSettings

CHUNK_BYTES = 64 * 1024
_BETWEEN_DIGITS = string.whitespace.encode() + b":-,"  # logs write such signs between hex digits


def decode(
    protocol: Annotated[str, typer.Argument(help="em4100, ironlogic, …; or a reader's name: as its settings have it.")],
    source: Annotated[
        Path | None, typer.Argument(help="A file of bytes; without it, standard input.", exists=True, dir_okay=False)
    ] = None,
    as_hex: Annotated[
        bool, typer.Option("--hex", help="The input is hex; blanks, line ends and the signs : - , do not matter.")
    ] = False,
    key_file: KeyFileOption = None,
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Turn bytes into JSON lines as they come: readings, removals and stream faults."""
    with source.open("rb") if source else nullcontext(sys.stdin.buffer) as file:
        # Reads what has come, so that a live line is decoded at once.
        chunks = iter(lambda: os.read(file.fileno(), CHUNK_BYTES), b"")
        parts = _decode_hex(chunks) if as_hex else chunks
        if protocol in decoding.PROTOCOLS or not config.exists():
            scbk = osdp_key.load(key_file) if key_file else None
            _write_lines(decoding.to_json(line) for line in decoding.decode(protocol, parts, scbk))
        else:
            _write_lines(map(msgspec.json.encode, _play(find_reader(config, protocol), parts, key_file, config)))


def _play(
    reader: DeviceSettings, parts: Iterable[bytes], key_file: Path | None, config: Path
) -> Iterator[dict[str, object]]:
    """Yields the events of the reader's driver for these bytes under its settings."""
    options = reader.options
    if isinstance(options, OsdpSettings):
        scbk = find_key(options, key_file)
        played = osdp_trace.stream_events(parts, options, clock=time.monotonic_ns, scbk=scbk)
    elif key_file is not None:
        raise RequestRefused(f"{reader.name} has no secure channel", "leave --key-file out")
    else:
        driver = registry.reader_class(reader.driver, load_settings(config).drivers)
        played = playing.play(driver, options, playing.as_chunks(parts))
    return map(describe_event, played)


def _write_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def _decode_hex(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields bytes from hex digits, however the input is cut. Raises RequestRefused."""
    half = b""
    for chunk in chunks:
        digits = half + chunk.translate(None, _BETWEEN_DIGITS)
        whole, half = digits[: len(digits) // 2 * 2], digits[len(digits) // 2 * 2 :]
        yield _unhexlify(whole)
    if half:
        raise RequestRefused("an odd number of hex digits", "is the end missing?")


def _unhexlify(digits: bytes) -> bytes:
    try:
        return unhexlify(digits)
    except ValueError as error:
        raise RequestRefused("the input is not hex", "leave --hex out: then the input is read as bytes") from error
