"""Networks come from one known wheel or not at all, and the kiosk works without them."""

import zipfile
from pathlib import Path

import pytest

from edge_agent.errors import RequestRefused
from edge_agent.palms import models as palm_models
from edge_agent.palms.models import DETECTION, FOLDER, LANDMARK, install, load
from edge_agent.palms.recognition import landmarks


def wheel(path: Path, detection: bytes = b"", landmark: bytes | None = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(DETECTION.member, detection)
        if landmark is not None:
            archive.writestr(LANDMARK.member, landmark)
    return path


@pytest.mark.parametrize(
    "detection", [b"", b"another network", bytes(DETECTION.bytes), bytes(DETECTION.bytes + 10_000)]
)
def test_a_file_that_is_not_the_known_one_installs_nothing(tmp_path: Path, detection: bytes) -> None:
    with pytest.raises(RequestRefused, match="not the file"):
        install(wheel(tmp_path / "w.whl", detection), tmp_path)
    assert not (tmp_path / FOLDER).exists()
    assert load(tmp_path) is None


def test_what_is_no_such_wheel_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.whl").write_bytes(b"not a zip file")
    for path in (tmp_path / "no.whl", tmp_path / "none.whl"):
        with pytest.raises(RequestRefused, match="x86_64"):
            install(path, tmp_path)
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other.py", "")
    with pytest.raises(RequestRefused, match="is not in it"):
        install(tmp_path / "other.whl", tmp_path)


def test_damaged_networks_are_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    with pytest.raises(RequestRefused, match="install them again"):
        load(tmp_path)
    (folder / palm_models.DETECTION.name).write_bytes(b"cut")
    assert landmarks(tmp_path) is None
    assert "without landmarks" in caplog.text
