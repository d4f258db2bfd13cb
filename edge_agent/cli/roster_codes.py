"""`edge-agent roster seal-codes`: secrets of changing codes, sealed for the roster, before they come near a ledger."""

import base64
import csv
import os
import re
import secrets
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from edge_agent.cli.options import out
from edge_agent.errors import RequestRefused
from sync.contract.dynamic_codes import QR_DIGITS, SECRET_BYTES_MIN, STEP_S

_DRAWN_BYTES = 20  # as long as the hash, which RFC 4226 recommends
_SURROGATE_BYTES = 9

PlainArgument = Annotated[
    Path, typer.Argument(help="CSV with userSourcedId, and where there are some: surrogate, secret (base32).")
]
SealedArgument = Annotated[Path, typer.Argument(help="Where dynamic_codes.csv goes: beside the export.")]
KeyOption = Annotated[
    Path, typer.Option("--key-file", help="The school's code key, 64 hex digits; made where it is missing.")
]
PhonesOption = Annotated[Path, typer.Option("--phones", help="Where the otpauth links for the phones go: a secret.")]


def seal_codes(plain: PlainArgument, sealed: SealedArgument, key_file: KeyOption, phones: PhonesOption) -> None:
    """Draw the secrets that are missing, seal all of them for the roster, and write the links for the phones."""
    from edge_agent.domain.code_seal import NONCE_BYTES, seal_secret

    people = _read_people(plain)
    key = _read_key(key_file)
    rows, links = [], []
    for person, surrogate, secret in people:
        nonce = secrets.token_bytes(NONCE_BYTES)
        rows.append(
            {"userSourcedId": person, "surrogate": surrogate, "sealed": seal_secret(secret, key, surrogate, nonce)}
        )
        shared = base64.b32encode(secret).decode().rstrip("=")
        query = urlencode({"secret": shared, "digits": QR_DIGITS, "period": STEP_S})
        links.append({"userSourcedId": person, "link": f"otpauth://totp/{quote(surrogate)}?{query}"})
    _write_csv(phones, links)
    _write_csv(sealed, rows)
    out.print(f"{len(rows)} secrets sealed; give each family its link from {phones}, then delete that file")


def _read_people(path: Path) -> list[tuple[str, str, bytes]]:
    """Returns person, surrogate and secret of each row, drawn where the file has none. Raises RequestRefused."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestRefused(f"{path} cannot be read: {error}", "give a CSV file in UTF-8") from error
    people = []
    for line, row in enumerate(rows, 2):
        person = (row.get("userSourcedId") or "").strip()
        surrogate = (row.get("surrogate") or "").strip() or secrets.token_urlsafe(_SURROGATE_BYTES)
        secret = _decode_secret((row.get("secret") or "").strip()) or secrets.token_bytes(_DRAWN_BYTES)
        if not person or not re.fullmatch("[0-9A-Za-z_-]{4,64}", surrogate) or len(secret) < SECRET_BYTES_MIN:
            step = f"a person, a surrogate of 4 to 64 letters or digits, a secret of at least {SECRET_BYTES_MIN} bytes"
            raise RequestRefused(f"{path} line {line}: not a person with surrogate and secret", step)
        people.append((person, surrogate, secret))
    return people


def _decode_secret(text: str) -> bytes:
    digits = text.replace(" ", "").upper()
    try:
        return base64.b32decode(digits + "=" * (-len(digits) % 8))
    except ValueError:
        return b"?"


def _read_key(path: Path) -> bytes:
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        text = secrets.token_hex(32)
        _write_secret(path, text + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestRefused(f"{path} cannot be read: {error}", "give the file with the school's code key") from error
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise RequestRefused(f"{path} holds no code key", "it has 64 hex digits; leave it out to have one made")
    return bytes.fromhex(text)


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    names = list(rows[0]) if rows else ["userSourcedId"]
    _write_secret(path, "\n".join([",".join(names), *(",".join(row.values()) for row in rows)]) + "\n")


def _write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
