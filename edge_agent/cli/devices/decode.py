"""`devices decode`: bytes, read by a protocol."""

import os
import string
import sys
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from drivers.bench import decoding, osdp_key
from edge_agent.cli.devices.options import KeyFileOption
from edge_agent.errors import RequestRefused

CHUNK_BYTES = 64 * 1024
_BETWEEN_DIGITS = string.whitespace.encode() + b":-,"  # logs write such signs between hex digits


def decode(
    protocol: Annotated[str, typer.Argument(help="em4100, ironlogic, …")],
    source: Annotated[
        Path | None, typer.Argument(help="A file of bytes; without it, standard input.", exists=True, dir_okay=False)
    ] = None,
    as_hex: Annotated[
        bool, typer.Option("--hex", help="The input is hex; blanks, line ends and the signs : - , do not matter.")
    ] = False,
    key_file: KeyFileOption = None,
) -> None:
    """Turn bytes into JSON lines as they come: readings, removals and stream faults."""
    scbk = osdp_key.load(key_file) if key_file else None
    with source.open("rb") if source else nullcontext(sys.stdin.buffer) as file:
        # Reads what has come, so that a live line is decoded at once.
        chunks = iter(lambda: os.read(file.fileno(), CHUNK_BYTES), b"")
        for line in decoding.decode(protocol, _decode_hex(chunks) if as_hex else chunks, scbk):
            sys.stdout.buffer.write(decoding.to_json(line) + b"\n")
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
