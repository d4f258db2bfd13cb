"""The private words of this kiosk, from its roster, its operators and its small files. Nothing is changed."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from edge_agent.cli.bundle.redaction import PrivateWords
from edge_agent.cli.checks.finding import ExaminedKiosk
from edge_agent.journal.store import connect_read_only
from edge_agent.runtime.opening import JOURNAL_NAME

SECRET_BYTES_MAX = 64 * 1024  # a file that is longer holds no secret of ours
_CREDENTIAL_FOLDERS = ("etc/credstore", "etc/credstore.encrypted")
_PUBLIC_FILES = ("journal.", "identity.json", "log-evidence")  # their names begin so; all others may be secrets
_PERSON_FIELDS = ("given_name", "family_name")


def read_private_words(kiosk: ExaminedKiosk) -> PrivateWords:
    """Returns the names, numbers and secrets of this kiosk. Raises `OSError` and `sqlite3.Error`."""
    names: list[str] = [*kiosk.loaded.settings.screen.operators]
    numbers: list[str] = []
    for record in _read_roster(kiosk.state_dir / JOURNAL_NAME):
        names += [text for field in _PERSON_FIELDS if isinstance(text := record.get(field), str)]
        if record.get("type") == "credential":
            numbers += _spell_number(str(record.get("value", "")))
        if record.get("type") == "operator":
            names.append(str(record.get("name", "")))
    operators = kiosk.state_dir / "operators.json"
    if operators.exists():
        names += re.findall(r'"name"\s*:\s*"([^"]*)"', operators.read_text("utf-8"))
    return PrivateWords.collect(names, numbers, _read_secrets(kiosk))


def _read_roster(path: Path) -> Iterator[dict[str, object]]:
    if not path.exists():
        return
    with closing(connect_read_only(path)) as connection:
        rows = connection.execute("SELECT type, record FROM roster WHERE type IN ('person', 'credential', 'operator')")
        for kind, body in rows.fetchall():
            yield msgspec.json.decode(body, type=dict[str, object]) | {"type": kind}


def _spell_number(value: str) -> Iterator[str]:
    """Yields a credential's value as it stands, and a card's number as readers and people write it."""
    yield value
    if re.fullmatch(r"[0-9A-F]{6,}", value):
        digits = bytes.fromhex(value) if len(value) % 2 == 0 else b""
        yield from (digits.hex(" "), digits.hex(":"), digits.hex("-"))
        yield from (str(int(value, 16)), f"{int(value[-8:], 16):010}")
        yield f"{int(value[-6:-4], 16)},{int(value[-4:], 16):05}"


def _read_secrets(kiosk: ExaminedKiosk) -> Iterator[str]:
    """Yields each line of the files that hold keys, PINs and passwords, and each long text in them."""
    folders = [kiosk.root / folder for folder in _CREDENTIAL_FOLDERS]
    files = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    files += list(kiosk.state_dir.iterdir()) if kiosk.state_dir.is_dir() else []
    for path in files:
        if path.is_file() and not path.name.startswith(_PUBLIC_FILES) and path.stat().st_size <= SECRET_BYTES_MAX:
            text = path.read_text("utf-8", "replace")
            if path.suffix == ".json":
                yield from re.findall(r'"([0-9A-Za-z+/=$,]{20,})"', text)
            else:
                yield from (line.strip() for line in text.splitlines() if not line.startswith("-----"))
