"""Measures what each direct dependency weighs on a kiosk: size on disk, packages it brings, and time to import.

    python scripts/measure_dependencies.py        prints the table of docs/dependencies.md

Import time is processor time, user and system, so that other work on the machine hardly counts: the least of several
fresh interpreters, less the least of one that imports nothing. That bare start is the floor; each time is stated as a
ratio to it as well.
"""

import platform
import re
import resource
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
RUNS: Final = 7
MIB: Final = 1024 * 1024

# The module that our code imports, where it is not the distribution's name.
MODULES: Final = {
    "opencv-python-headless": "cv2",
    "prometheus-client": "prometheus_client",
    "pyserial": "serial",
    "sqlite-utils": "sqlite_utils",
    "zstandard": "zstandard",
}


def main() -> None:
    """Prints one table row for each dependency that every kiosk installs."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        requirements = tomllib.load(file)["project"]["dependencies"]
    names = [_name(requirement) for requirement in requirements]
    bare_s = _start_s("pass")
    print(f"Python {platform.python_version()}, {platform.machine()}, bare start {bare_s * 1000:.0f} ms\n")
    print("| package | version | MiB | brings | import ms | of a bare start |")
    print("|---|---|---|---|---|---|")
    for name in names:
        package = distribution(name)
        brought = _brought(name, set())
        import_s = max(0.0, _start_s(f"import {MODULES.get(name, name)}") - bare_s)
        print(
            f"| {name} | {package.version} | {_size(package) / MIB:.1f} | {len(brought)} "
            f"({sum(_size(distribution(other)) for other in brought) / MIB:.1f} MiB) "
            f"| {import_s * 1000:.0f} | {import_s / bare_s:.1f}x |"
        )


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, f"no distribution name in {requirement!r}"
    return match.group().lower().replace("_", "-")


def _size(package: Distribution) -> int:
    files = [Path(str(package.locate_file(file))) for file in package.files or []]
    return sum(file.stat().st_size for file in files if file.exists() and file.suffix != ".pyc")


def _brought(name: str, seen_names: set[str]) -> set[str]:
    """Returns the distributions that this one requires, directly or not, on this machine."""
    for requirement in distribution(name).requires or []:
        if "extra ==" in requirement or "sys_platform == 'win32'" in requirement:
            continue
        required = _name(requirement)
        try:
            distribution(required)
        except ModuleNotFoundError:
            continue  # its marker does not hold on this machine
        if required not in seen_names:
            seen_names.add(required)
            _brought(required, seen_names)
    return seen_names


def _start_s(code: str) -> float:
    """Returns the least processor time of a fresh interpreter that runs this code, in seconds."""
    times = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-P", "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


if __name__ == "__main__":
    main()
