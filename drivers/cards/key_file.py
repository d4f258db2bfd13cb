"""The file with the city's keys for cards: TOML, readable by the agent's user alone."""

import stat
import tomllib
from pathlib import Path

from drivers.errors import NotSupported
from drivers.protocols.card_keys import BadKeyring, CardKeyring, read_keyring


def load_keyring(path: str) -> CardKeyring | None:
    """Returns the keys in this file; None for an empty path. Raises NotSupported, which says what to mend."""
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            mode = stat.S_IMODE(Path(path).stat().st_mode)
            content = tomllib.load(file)
    except OSError as error:
        raise NotSupported(f"{path}: {error.strerror}", "name the file with the cards' keys in card_keys") from error
    except tomllib.TOMLDecodeError as error:
        raise NotSupported(f"{path}: no TOML: {error}", "see docs/drivers/card-keys.md") from error
    if mode & 0o077:
        raise NotSupported(f"{path}: others may read these keys (mode {mode:04o})", "chmod 600 it")
    try:
        return read_keyring(content)
    except BadKeyring as error:
        raise NotSupported(f"{path}: {error}", "see docs/drivers/card-keys.md") from error
