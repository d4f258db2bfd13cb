"""Changes keys of the settings file, adds tables, and leaves everything that a technician wrote beside them."""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.errors import SettingsWrong
from edge_agent.settings.reading import parse_settings

_MODE = 0o644
_HEADING = "# Settings of the canteen edge agent, made by `edge-agent setup`; agent.example.toml shows more keys.\n"


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
    _replace_file(path, changed)


def add_tables(path: Path, tables: Mapping[str, Mapping[str, str]], readers: Sequence[Mapping[str, str]]) -> None:
    """Sets keys in these tables and adds the readers; makes the file where there is none. An old one stays as `….bak`.

    The result is read back first: raises `SettingsWrong` and changes nothing where it has a fault.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text("utf-8") if path.exists() else _HEADING)
    except TOMLKitError as error:
        raise SettingsWrong(f"{path}: {error}; mend the file first") from error
    for name, keys in tables.items():
        if keys:
            document.setdefault(name, tomlkit.table()).update(keys)
    listed = document.setdefault("readers", tomlkit.aot())
    for reader in readers:
        listed.append(tomlkit.item(dict(reader)))
    changed = tomlkit.dumps(document)
    faults = parse_settings(changed, path).device_faults
    if faults:
        raise SettingsWrong("\n".join(f"{path}: {fault}" for fault in faults))
    _replace_file(path, changed)


def _replace_file(path: Path, text: str) -> None:
    """Puts the text in the file's place, whole or not at all, with the old one's mode; the old one stays as `….bak`."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, "utf-8")
    fresh.chmod(path.stat().st_mode if path.exists() else _MODE)
    if path.exists():
        path.with_name(path.name + ".bak").write_bytes(path.read_bytes())
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
