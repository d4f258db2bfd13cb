"""The version of the installed distribution, and the release that it runs as."""

from importlib.metadata import version
from pathlib import Path

VERSION = version("canteen-edge-agent")


def read_release(file: Path) -> str:
    """Returns the name of the version's folder in which this file lies as versions/NAME/site/…, else the version."""
    folder = file.resolve().parents[2]
    return folder.name if folder.parent.name == "versions" else VERSION


RELEASE = read_release(Path(__file__))
