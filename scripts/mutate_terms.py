"""Takes one rule of the region finder away at a time and runs the finder's tests: some test must fail.

    python scripts/mutate_terms.py [NAME ...] [--list]

A rule that no test notices is not defended: anybody may break it and nobody will know. Rules are read from
`edge_agent/palm/hand/proportions.py` by their shape, and from the anatomy's functions by their name:

    Band, AtLeast, AtMost       costs nothing
    Span, Limits                loses its lower end; loses its upper end
    NAME_MIN, NAME_MAX          holds for every value
    NAME_COST, NAME_BONUS       is 0
    score_…, find_…_side        says 0

Limits on work ("Origin: speed") are left out: they change no result as long as they are large enough. Each rule is
taken away before the finder is loaded, in a pytest of its own; the quick tests run first. One line is printed a rule;
the exit code is 1 where a rule is not defended. It takes some minutes.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
TESTS: Final = ROOT / "tests" / "edge_agent" / "palm" / "hand"
TABLE: Final = "edge_agent.palm.hand.proportions"
TERMS: Final = tuple(
    f"edge_agent.palm.hand.anatomy.{name}" for name in ("shape", "coverage", "fingers", "unused", "dark_lines", "thumb")
)
RULE: Final = "TAKEN_AWAY"  # the environment variable that names the rule to a child
SLOW: Final = ("test_region.py",)  # run last
LEFT_OUT: Final = ("test_real_hands.py", "test_proportions.py")  # wants pictures that a clone lacks; reads the table


def list_rules() -> Iterator[str]:
    """Yields the name of each rule that can be taken away."""
    sys.path.insert(0, str(ROOT))
    table = import_module(TABLE)
    text = Path(str(table.__file__)).read_text("utf-8")
    for_speed = set(re.findall(r"^(\w+): Final = .*Origin: speed", text, flags=re.MULTILINE))
    for name, number in vars(table).items():
        if name.isupper() and name not in for_speed:
            yield from (f"{name}{part}" for part in _parts(name, number))
    for module in TERMS:
        for name, function in vars(import_module(module)).items():
            if re.fullmatch(r"score_\w+|find_\w+_side", name) and function.__module__ == module:
                yield f"{module.rpartition('.')[2]}.{name}"


def _parts(name: str, number: object) -> list[str]:
    match type(number).__name__:
        case "Band" | "AtLeast" | "AtMost":
            return [""]
        case "Span" | "Limits":
            return [".low", ".high"]
    return [""] if re.search(r"_(MIN|MAX|COST|BONUS)$", name) else []


def take_away(rule: str) -> None:
    """Takes a rule away in this process. The finder must not be loaded yet."""
    owner, _, part = rule.partition(".")
    if owner.isupper():
        table = import_module(TABLE)
        setattr(table, owner, _neutral(owner, part, getattr(table, owner)))
    else:
        module = import_module(f"edge_agent.palm.hand.anatomy.{owner}")
        setattr(module, part, _silence(getattr(module, part)))


def _neutral(name: str, part: str, number: Any) -> object:
    match type(number).__name__:
        case "Band" | "AtLeast" | "AtMost":
            return replace(number, unit=inf)
        case "Span" | "Limits":
            return replace(number, **{part: -inf if part == "low" else inf})
    if name.endswith("_MIN"):
        return -inf
    return inf if name.endswith("_MAX") else 0.0


def _silence(function: Callable[..., Any]) -> Callable[..., Any]:
    def silent(*arguments: Any, **named: Any) -> Any:
        return 0 * function(*arguments, **named)

    return silent


def is_defended(rule: str) -> bool:
    """Returns True where a test fails without the rule."""
    tests = sorted(TESTS.rglob("test_*.py"), key=lambda path: (path.name in SLOW, path))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "mutate_terms", "-p", "no:cacheprovider"]
    command += [str(path) for path in tests if path.name not in LEFT_OUT]
    environment = os.environ | {RULE: rule, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 2):  # passed, failed, or broke while the tests were collected
        raise SystemExit(f"{rule}: pytest could not run\n{done.stdout}{done.stderr}")
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Take rules of the region finder away and see which tests fail.")
    parser.add_argument("rules", nargs="*", help="names of rules; all when left out")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    options = parser.parse_args()
    rules = options.rules or list(list_rules())
    if options.list:
        print("\n".join(rules))
        return 0
    undefended = []
    for rule in rules:
        defended = is_defended(rule)
        print(f"{'defended' if defended else 'UNDEFENDED':<12}{rule}", flush=True)
        undefended += [] if defended else [rule]
    print(f"{len(rules)} rules, {len(undefended)} undefended")
    return 1 if undefended else 0


if __name__ == "__main__":
    sys.exit(main())
elif RULE in os.environ:  # loaded by pytest as a plug-in
    take_away(os.environ[RULE])
