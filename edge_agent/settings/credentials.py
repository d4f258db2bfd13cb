"""The secrets of a kiosk, each a file in systemd's credentials folder."""

import os
from collections.abc import Mapping
from pathlib import Path


def read_credential(name: str, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Returns a secret from systemd's credentials folder without its final newline; None where there is none."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    try:
        return (Path(folder) / name).read_bytes().rstrip(b"\r\n")
    except FileNotFoundError:
        return None
