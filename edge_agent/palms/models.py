"""The two networks of `palm/hand/landmarks.py`, where a technician has put them. Everything works without them.

They are MediaPipe's (Apache-2.0) and stand in its wheel for x86_64; the files themselves run everywhere:

    pip download --no-deps --python-version 3.11 --platform manylinux_2_28_x86_64 mediapipe==0.10.21
    edge-agent palm models mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl
"""

import os
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from edge_agent.errors import RequestRefused
from edge_agent.palm.hand.landmarks import HandNetworks, load_networks

FOLDER: Final = "palm-models"


@dataclass(frozen=True, slots=True)
class Model:
    member: str  # of the wheel
    name: str  # of the file here
    bytes: int
    sha256: str


DETECTION: Final = Model(
    "mediapipe/modules/palm_detection/palm_detection_full.tflite",
    "palm_detection_full.tflite",
    2_339_846,
    "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
)
LANDMARK: Final = Model(
    "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    "hand_landmark_full.tflite",
    5_478_917,
    "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
)


def install(wheel: Path, state_dir: Path) -> Path:
    """Takes both files out of the wheel, and returns their folder. Raises `RequestRefused` for other files."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {model: _member(archive, model) for model in (DETECTION, LANDMARK)}
    except (OSError, zipfile.BadZipFile) as error:
        raise RequestRefused(f"{wheel}: {error}; it must be the wheel of mediapipe 0.10.21 for x86_64") from error
    folder = state_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for model, content in contents.items():
            fresh = folder / f".{model.name}"
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.chmod(0o644)
            fresh.replace(folder / model.name)
    except OSError as error:
        raise RequestRefused(f"{folder}: {error.strerror}; run this as root or as the agent's user") from error
    return folder


def load(state_dir: Path) -> HandNetworks | None:
    """Returns both networks, for one thread; None where they are not installed. Raises `RequestRefused` for other
    files.
    """
    folder = state_dir / FOLDER
    if not folder.is_dir():
        return None
    contents = []
    for model in (DETECTION, LANDMARK):
        try:
            with (folder / model.name).open("rb") as file:
                contents.append(_checked(model, file.read(model.bytes + 1)))
        except OSError as error:
            raise RequestRefused(f"{folder / model.name}: {error.strerror}; {_AGAIN}") from error
    return load_networks(*contents)


_AGAIN = "install them again (`edge-agent palm models WHEEL`), or remove the folder to go on without them"


def _member(archive: zipfile.ZipFile, model: Model) -> bytes:
    try:
        with archive.open(model.member) as file:
            return _checked(model, file.read(model.bytes + 1))
    except KeyError as error:
        raise RequestRefused(f"{archive.filename}: {model.member} is not in it; mediapipe 0.10.21 has it") from error


def _checked(model: Model, content: bytes) -> bytes:
    if sha256(content).hexdigest() != model.sha256:
        raise RequestRefused(f"{model.name} is not the file that this agent knows; {_AGAIN}")
    return content
