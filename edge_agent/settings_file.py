"""Changing one key of the settings file without touching what a technician wrote beside it."""

import re
from pathlib import Path

from edge_agent.errors import SettingsWrong
from edge_agent.settings import loads


def set_reader(path: Path, reader: str, key: str, value: str) -> None:
    """Set a text key in this reader's table; comments and order stay. What it was before is kept as `….bak`.

    The result is read back before it replaces the file: raises `SettingsWrong` and changes nothing if it is not what
    was meant.
    """
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    start = _table_of(lines, reader)
    end = next((n for n in range(start + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    entry = f'{key} = "{value}"\n'
    at = next((n for n in range(start + 1, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[n])), None)
    if at is None:
        lines.insert(start + 1, entry)
    else:
        lines[at] = entry
    changed = "".join(lines)
    found = next(each for each in loads(changed, path).settings.readers if each.name == reader)
    if str(getattr(found.options, key)) != value:
        raise SettingsWrong(f"{path}: {key} of reader {reader} could not be set; write it in yourself: {entry.strip()}")
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(changed, "utf-8")
    fresh.chmod(path.stat().st_mode)
    path.with_name(path.name + ".bak").write_text(text, "utf-8")
    fresh.replace(path)


def _table_of(lines: list[str], reader: str) -> int:
    """The line of the `[[readers]]` whose name this is."""
    heads = [n for n, line in enumerate(lines) if re.match(r"\s*\[\[readers\]\]", line)]
    for head in heads:
        for line in lines[head + 1 :]:
            if line.lstrip().startswith("["):
                break
            if re.match(rf"""\s*name\s*=\s*["']{re.escape(reader)}["']""", line):
                return head
    raise SettingsWrong(f"no [[readers]] table named {reader!r} was found by its lines; write the key in yourself")
