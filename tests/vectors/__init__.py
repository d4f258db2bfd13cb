"""Recorded bytes and made-up cases, each with the answer that is expected; README.md names where they come from.

They are part of the clone, so a missing one is an error and never a reason to skip a test.
"""

import csv
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def find_vector(name: str) -> Path:
    """Return the file or folder of this name. Raises FileNotFoundError where the tree does not hold it."""
    path = FOLDER / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: this vector belongs to the clone; restore it with `git checkout -- {path}`")
    return path


def load_bytes(name: str) -> bytes:
    return find_vector(name).read_bytes()


def load_json(name: str) -> dict[str, Any]:  # each test takes it apart
    loaded: dict[str, Any] = json.loads(load_bytes(name))
    return loaded


def load_jsonl(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in load_bytes(name).splitlines()]


def load_csv(name: str) -> list[dict[str, str]]:
    with find_vector(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load_reader(name: str) -> dict[str, Any]:
    """Return the recorded bytes of one kind of reader."""
    return load_json(f"readers/{name}.json")


def load_scenarios() -> dict[str, dict[str, Any]]:
    """Return the canteen's scenarios by their ids."""
    return {scenario["id"]: scenario for scenario in load_jsonl("canteen/canteen_scenarios.jsonl")}
