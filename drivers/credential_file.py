"""Secrets of devices: files that the settings name, and that others cannot read. A secret is never in the settings."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from drivers.errors import NotSupported

CREDENTIAL_BYTES_MAX = 1024


def credential_path(setting: str, name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the path of a secret: an absolute path stays; a plain name stands in the credentials folder that systemd
    gives. Raises NotSupported, naming the `setting`, where there is no such folder.
    """
    if Path(name).is_absolute():
        return Path(name)
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise NotSupported(
            f"{setting}: {name} is no absolute path, and there is no credentials folder", "name the path"
        )
    return Path(folder) / name


def read_credential(setting: str, path: Path, remedy: str) -> bytes:
    """Returns the content of a secret's file without white space round it.

    Raises NotSupported for a file that cannot be read, that everybody can read, or that is empty; `remedy` says how
    such a file is made.
    """
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise NotSupported(f"{setting}: everybody can read {path}", f"chmod 600, then {remedy}")
        with path.open("rb") as file:
            content = file.read(CREDENTIAL_BYTES_MAX).strip()
    except OSError as error:
        raise NotSupported(f"{setting}: cannot read {path} ({error.strerror})", remedy) from error
    if not content:
        raise NotSupported(f"{setting}: {path} is empty", remedy)
    return content
