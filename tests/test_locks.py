"""The lock files of a kiosk: every dependency is pinned, and every pin is hashed."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "locks"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
READER_EXTRAS = ("osdp", "pcsc", "gpio", "mqtt")


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(package): version for package, version in PIN.findall((LOCKS / name).read_text("utf-8"))}


def project_requirements(extras: tuple[str, ...] = ()) -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    texts = [*project["dependencies"]]
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(("lock", "extras"), [("kiosk.lock", ()), ("readers.lock", READER_EXTRAS)])
def test_every_requirement_has_a_pin_that_it_accepts(lock: str, extras: tuple[str, ...]) -> None:
    locked = pins(lock)
    for requirement in project_requirements(extras):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{lock} lacks {requirement.name}: run `make lock`"
        assert requirement.specifier.contains(version), f"{lock} pins {requirement.name} {version}: run `make lock`"


@pytest.mark.parametrize("lock", ["kiosk.lock", "readers.lock"])
def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", (LOCKS / lock).read_text("utf-8"))
    unhashed = [entry.split("\n")[0] for entry in entries if PIN.match(entry) and "--hash=sha256:" not in entry]
    assert unhashed == []


def test_the_readers_lock_holds_every_pin_of_the_kiosks() -> None:
    assert pins("kiosk.lock").items() <= pins("readers.lock").items()
