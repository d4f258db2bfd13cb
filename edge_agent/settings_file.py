"""Changes one key of the settings file and leaves everything that a technician wrote beside it."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from edge_agent.errors import SettingsWrong
from edge_agent.settings.reading import parse_settings


def set_reader_key(path: Path, reader: str, key: str, value: str) -> None:
    """Sets a text key in this reader's table; comments and order stay. The old file is kept as `….bak`.

    The result is read back before it replaces the file: raises `SettingsWrong` and changes nothing if it is not what
    was meant.
    """
    text = path.read_text("utf-8")
    changed = _set_key(text, path, reader, key, value)
    table = next(table for table in parse_settings(changed, path).settings.readers if table.name == reader)
    if table.fault or str(getattr(table.options, key)) != value:
        raise SettingsWrong(
            f'{path}: {key} of reader {reader} could not be set; write it in yourself: {key} = "{value}"'
        )
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(changed, "utf-8")
    fresh.chmod(path.stat().st_mode)
    path.with_name(path.name + ".bak").write_text(text, "utf-8")
    fresh.replace(path)


def _set_key(text: str, path: Path, reader: str, key: str, value: str) -> str:
    # tomlkit keeps comments and order; only this command needs it, so a daemon does not load it.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise SettingsWrong(f"{path}: {error}; mend the file first") from error
    tables: list[MutableMapping[str, Any]] = list(document.get("readers", []))
    table = next((table for table in tables if table.get("name") == reader), None)
    if table is None:
        raise SettingsWrong(f"{path}: there is no [[readers]] table named {reader!r}; add it, or name another reader")
    table[key] = value
    return tomlkit.dumps(document)
