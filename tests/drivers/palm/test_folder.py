import time
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import DeviceGone, NotSupported
from drivers.palm.folder import Folder, FolderSettings
from drivers.readings import DeviceEvent, PalmFrame, StreamFault
from drivers.transports.folder import PICTURE_BYTES_MAX, PictureFolder
from drivers.transports.memory import MemoryTransport
from tests.drivers.palm.mjpeg_camera import jpeg, picture

MS = 1_000_000


class Player:
    """A folder driver on a clock that stands still between reads."""

    def __init__(
        self, folder: Path, *, fps: float = 10.0, pause_s: float = 0.0, repeat: bool = False, nir: bool = False
    ) -> None:
        self.now_ns = 0
        settings = FolderSettings(folder=str(folder), fps=fps, pause_s=pause_s, repeat=repeat, nir=nir)
        self.reader = Folder("palm", settings, clock=lambda: self.now_ns)
        self.reader.open()

    def after(self, ms: int) -> list[DeviceEvent]:
        self.now_ns += ms * MS
        return list(self.reader.read(0))

    def times(self, until_ms: int, step_ms: int = 10) -> list[tuple[int, int]]:
        """(when in ms, which picture by its brightness) of all frames until then."""
        seen = []
        for _ in range(0, until_ms, step_ms):
            for event in self.reader.read(0):
                assert isinstance(event, PalmFrame)
                assert event.monotonic_ns == self.now_ns
                seen.append((self.now_ns // MS, round(float(event.image.mean()))))
            self.now_ns += step_ms * MS
        return seen


def put(path: Path, brightness: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(jpeg(np.full((48, 64), brightness, np.uint8)))


def test_files_come_by_name_at_their_pace_and_once(tmp_path: Path) -> None:
    for name, brightness in (("b.jpg", 20), ("a.jpg", 10), ("c.JPEG", 30)):
        put(tmp_path / name, brightness)
    assert Player(tmp_path).times(1_000) == [(0, 10), (100, 20), (200, 30)]


def test_again_and_again_when_asked(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 10)
    put(tmp_path / "b.jpg", 20)
    seen = Player(tmp_path, repeat=True).times(500)
    assert [brightness for _, brightness in seen] == [10, 20, 10, 20, 10]


def test_a_subfolder_is_a_burst_and_the_hand_is_away_between(tmp_path: Path) -> None:
    put(tmp_path / "1" / "x.jpg", 10)
    put(tmp_path / "1" / "y.jpg", 20)
    put(tmp_path / "2.jpg", 30)
    put(tmp_path / "3" / "x.jpg", 40)
    (tmp_path / "empty").mkdir()
    assert Player(tmp_path, pause_s=1).times(3_000) == [(0, 10), (100, 20), (1_100, 30), (2_100, 40)]


def test_a_slow_reader_misses_nothing(tmp_path: Path) -> None:
    for number in range(1, 4):
        put(tmp_path / f"{number}.jpg", number * 10)
    player = Player(tmp_path)
    seen = [event for _ in range(4) for event in player.after(10_000)]
    assert [round(float(event.image.mean())) for event in seen if isinstance(event, PalmFrame)] == [10, 20, 30]


def test_pictures_that_come_later_are_shown_and_half_written_ones_are_not(tmp_path: Path) -> None:
    put(tmp_path / "1.jpg", 10)
    player = Player(tmp_path)
    assert len(player.after(0)) == 1
    assert not player.after(1_000)
    put(tmp_path / ".2.jpg", 20)
    (tmp_path / "notes.txt").write_text("no picture")
    assert not player.after(1_000)
    (tmp_path / ".2.jpg").rename(tmp_path / "2.jpg")
    assert len(player.after(1_000)) == 1
    assert not player.after(1_000)


def test_a_picture_that_cannot_be_read_is_a_fault_and_the_next_is_shown(tmp_path: Path) -> None:
    whole = jpeg(picture(1))
    (tmp_path / "1.jpg").write_bytes(whole[:-100])
    (tmp_path / "2.png").write_bytes(b"")
    with (tmp_path / "3.jpg").open("wb") as file:
        file.truncate(PICTURE_BYTES_MAX + 1)
    put(tmp_path / "4.jpg", 40)
    player = Player(tmp_path)
    events = [event for _ in range(4) for event in player.after(100)]
    assert [type(event) for event in events] == [StreamFault, StreamFault, StreamFault, PalmFrame]
    assert [event.what for event in events if isinstance(event, StreamFault)] == [
        "1.jpg: a JPEG that was cut off",
        "2.png: neither PNG nor JPEG",
        "3.jpg: larger than 32 MiB",
    ]


def test_a_picture_that_went_away_is_a_fault_and_a_folder_that_went_away_is_gone(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path)
    assert "cannot be read" in str(folder.load(tmp_path / "gone.jpg"))
    assert folder.frames(tmp_path / "gone") == []
    with pytest.raises(DeviceGone, match="make it"):
        PictureFolder(tmp_path / "gone").load(tmp_path / "gone" / "1.jpg")


def test_what_is_no_folder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "nothing"):
        with pytest.raises(DeviceGone, match="make it"):
            Folder("palm", FolderSettings(folder=str(tmp_path / name))).open()


def test_an_empty_folder_waits_and_does_not_spin(tmp_path: Path) -> None:
    reader = Folder("palm", FolderSettings(folder=str(tmp_path)))
    reader.open()
    began = time.monotonic()
    rounds = 0
    while time.monotonic() - began < 0.5:
        assert not reader.read(0.1)
        rounds += 1
    assert rounds < 20


def test_frames_keep_the_light_they_were_taken_in(tmp_path: Path) -> None:
    put(tmp_path / "1.jpg", 10)
    (frame,) = Player(tmp_path, nir=True).after(0)
    assert isinstance(frame, PalmFrame)
    assert frame.nir
    assert "image" not in repr(frame)


def test_it_is_opened_once_and_takes_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        Player(tmp_path).reader.open()
    with pytest.raises(NotSupported, match="never captured"):
        Folder("palm", FolderSettings(folder=str(tmp_path)), transport=MemoryTransport())
