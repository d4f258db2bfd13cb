"""The command that installs what a driver misses, for this Python and as this program was installed.

An extra is named by what it requires, so that the command needs no index that has our own distribution.
"""

import re
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution

DISTRIBUTION = "canteen-edge-agent"
# Debian packages that a wheel does not bring
_SYSTEM_PACKAGES = {"pcsc": "apt install pcscd swig libpcsclite-dev gcc python3-dev"}


def build_install_command(extra: str) -> str:
    """Returns the shell command that installs an extra into the environment of this Python."""
    try:
        ours = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # run from a folder of sources
        return f"{shlex.quote(sys.executable)} -m pip install '{DISTRIBUTION}[{extra}]'"
    requirements = list_requirements(ours.requires or (), extra) or [f"{DISTRIBUTION}[{extra}]"]
    installer = find_installer(ours.read_text("INSTALLER") or "", sys.prefix, sys.executable)
    command = f"{installer} {' '.join(map(shlex.quote, requirements))}"
    return " && ".join(filter(None, (_SYSTEM_PACKAGES.get(extra, ""), command)))


def list_requirements(requires: Iterable[str], extra: str) -> list[str]:
    """Returns the requirements that a distribution's metadata has for one extra, without their markers."""
    marker = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [requirement.partition(";")[0].strip() for requirement in requires if marker.search(requirement)]


def find_installer(installer: str, prefix: str, python: str) -> str:
    """Returns the command that installs beside us. `installer` is what the metadata names: `pip`, `uv`."""
    if "/pipx/" in prefix:
        return f"pipx inject {DISTRIBUTION}"
    if installer.strip() == "uv":
        return f"uv pip install --python {shlex.quote(python)}"
    return f"{shlex.quote(python)} -m pip install"
