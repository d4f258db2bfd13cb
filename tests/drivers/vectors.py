"""Bytes recorded from real devices by others. They stand beside the project, not in it."""

import json
from pathlib import Path
from typing import Any

import pytest

READERS = Path(__file__).parents[2].parent / "shared" / "data" / "readers"


def load(name: str) -> dict[str, Any]:  # foreign JSON, taken apart by each test
    file = READERS / f"{name}.json"
    if not file.exists():
        pytest.skip(f"no recorded bytes at {file}", allow_module_level=True)
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded
