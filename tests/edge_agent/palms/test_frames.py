"""Pictures go to whoever looks for palms, and never to the station: a picture says of nobody who it is."""

import threading
from pathlib import Path

import numpy as np

from drivers.palm.folder import Folder, FolderSettings
from drivers.readings import PalmFrame
from edge_agent.domain.moment import Moment
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Supervisor
from edge_agent.runtime.devices import DevicePresence, ReaderLoop
from edge_agent.runtime.inbox import Inbox
from tests.drivers.palm.mjpeg_camera import jpeg, picture
from tests.edge_agent.process.test_supervision import eventually
from tests.edge_agent.runtime.test_inbox_and_devices import now


def counted(counters: Counters) -> float:
    return counters.registry.get_sample_value("canteen_frames_total", {"reader": "palm"}) or 0.0


def played(folder: Path, loop: ReaderLoop) -> None:
    """A folder with three pictures, until all were counted."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(picture(number)))
    supervisor = Supervisor()
    supervisor.add("reader", loop.run)
    supervisor.start()
    eventually(lambda: counted(loop.counters) == 3)
    assert supervisor.stop() == []
    assert loop.inbox.next_work(0) is None
    assert loop.presence.readings == 0


def test_each_picture_is_handed_on_with_the_moment_at_which_it_came(tmp_path: Path) -> None:
    seen: list[tuple[PalmFrame, Moment]] = []
    lock = threading.Lock()

    def look(frame: PalmFrame, moment: Moment) -> None:
        with lock:
            seen.append((frame, moment))

    folder = Folder("palm", FolderSettings(folder=str(tmp_path), fps=60))
    played(tmp_path, ReaderLoop(folder, DevicePresence("palm", "folder"), Inbox(), now, print, Counters(), look))
    assert [moment for _, moment in seen] == [now()] * 3
    assert all(np.abs(frame.image.astype(int) - picture(at)).mean() < 8 for at, (frame, _) in enumerate(seen))


def test_where_nobody_looks_for_palms_pictures_are_counted_and_dropped(tmp_path: Path) -> None:
    folder = Folder("palm", FolderSettings(folder=str(tmp_path), fps=60))
    played(tmp_path, ReaderLoop(folder, DevicePresence("palm", "folder"), Inbox(), now, print, Counters()))
