"""`make bench`: `python -m tests.benchmarks [NAMES] [--quick] [--json | --markdown] [--folder DIR]`.

Ends with 1 when a stated limit is missed, and says which.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import msgspec

from tests.benchmarks import figures
from tests.benchmarks.figures import Benchmark, Result, Run

NAMES = (
    "scan",
    "burst",
    "backlog",
    "ingest",
    "settle",
    "start",
    "memory",
    "tablets",
    "parsers",
    "palm",
    "sheets",
    "proofs",
    "claim_error",
    "door",
    "lunch",
)
LONG = (
    "palm_exhaustive",
    "palm_flow",
    "palm_lost",
    "hatch",
    "enrolment",
    "city_import",
)  # a quarter of an hour and more: only where they are named


def main() -> int:
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-", dir=wanted.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user than root
        machine = dict(figures.machine(folder))
        results = []
        for each in wanted.names or NAMES:
            print(f"{each} …", file=sys.stderr, flush=True)
            results.append(measure(each, Run(folder, wanted.quick)))
    _print(wanted, machine, results)
    missed = [line for result in results for line in result.missed]
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


def measure(name: str, run: Run) -> Result:
    benchmark: Benchmark = import_module(f"tests.benchmarks.{name}").run
    load = os.getloadavg()[0]
    return replace(benchmark(run), load=load)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, *LONG, []], metavar="NAME", help=", ".join([*NAMES, *LONG])
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs, not how fast")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="as in docs/benchmarks.md")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; the system's temporary folder else")
    return parser.parse_args()


def _print(wanted: argparse.Namespace, machine: Mapping[str, str], results: list[Result]) -> None:
    command = f"python -m {' '.join(['tests.benchmarks', *sys.argv[1:]])}"
    if wanted.json:
        print(msgspec.json.encode({"command": command, "machine": machine, "results": results}).decode())
        return
    about = [f"{what}: {value}" for what, value in [("command", f"`{command}`"), *machine.items()]]
    if wanted.markdown:
        print("# Benchmarks\n\nMade by `make bench BENCH_ARGS=--markdown`; ratios are what travels between machines.\n")
        print("\n".join(f"- {line}" for line in about))
        print(figures.markdown(results))
        return
    print("\n".join(about))
    print(figures.plain(results))


if __name__ == "__main__":
    sys.exit(main())
