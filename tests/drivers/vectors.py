"""Bytes recorded from real devices by others. They stand beside the project, not in it."""

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def load(name: str) -> dict[str, Any]:  # foreign JSON, taken apart by each test
    loaded: dict[str, Any] = json.loads(_text(f"readers/{name}.json"))
    return loaded


def lines_of(name: str) -> list[str]:
    return _text(name).splitlines()


def jsonl(name: str) -> list[dict[str, Any]]:  # the same
    return [json.loads(line) for line in lines_of(name)]


def raw(name: str) -> bytes:
    _text(name)
    return (DATA / name).read_bytes()


def _text(name: str) -> str:
    if not (DATA / name).exists():
        pytest.skip(f"no recorded bytes at {DATA / name}", allow_module_level=True)
    return (DATA / name).read_text("utf-8")
