"""Pictures for `palm quality` and `palm evaluate`: read in bounded memory, searched for hands, written as PNG."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import KioskSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_agent.palm.hand.landmarks import LandmarkFinder
    from edge_agent.palm.hand.refusal import UnfitPicture
    from edge_agent.palm.types import Region

PICTURE_FILE_BYTES_MAX = 64 * 1024 * 1024


def read_picture(path: Path) -> "NDArray[np.uint8] | UnfitPicture":
    """Returns the decoded picture, or the reason why it is unfit. The header's size is checked before decoding."""
    from drivers.protocols.fault import Fault
    from drivers.protocols.picture import decode
    from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason

    try:
        with path.open("rb") as file:
            content = file.read(PICTURE_FILE_BYTES_MAX + 1)
    except OSError as error:
        return UnfitPicture(UnfitReason.UNREADABLE, error.strerror or str(error))
    if len(content) > PICTURE_FILE_BYTES_MAX:
        return UnfitPicture(UnfitReason.TOO_LARGE, f"a file of more than {PICTURE_FILE_BYTES_MAX // 1024**2} MiB")
    picture = decode(content)
    return UnfitPicture(UnfitReason.UNREADABLE, picture.what) if isinstance(picture, Fault) else picture


def read_region(picture: "NDArray[np.uint8] | UnfitPicture") -> "Region | None":
    """Returns the region of a picture that shows nothing else; None for an unfit picture."""
    from edge_agent.palm.hand.cutout import NotARegion, read_cutout
    from edge_agent.palm.hand.refusal import UnfitPicture

    if isinstance(picture, UnfitPicture):
        return None
    try:
        return read_cutout(picture)
    except NotARegion:
        return None


class HandFinder:
    """Finds hands exactly as the kiosk of these settings does. Each thread loads its own networks, if there are any."""

    def __init__(self, config: Path) -> None:
        kiosk = load_settings(config).settings.kiosk if config.exists() else KioskSettings()
        self._state_dir = kiosk.state_dir
        self._local = threading.local()
        self.has_networks = self.load_landmarks() is not None

    def load_landmarks(self) -> "LandmarkFinder | None":
        """Returns the networks for one thread; None if they are not installed."""
        from edge_agent.palms import models

        return models.load(self._state_dir)

    def find_region(self, picture: "NDArray[np.uint8] | UnfitPicture") -> "Region | None":
        """Returns the palm's region in a picture, or None."""
        from edge_agent.palm.hand.refusal import UnfitPicture
        from edge_agent.palm.hand.region import find_region

        if isinstance(picture, UnfitPicture):
            return None
        if self.has_networks and not hasattr(self._local, "landmarks"):
            self._local.landmarks = self.load_landmarks()
        framed = find_region(picture, getattr(self._local, "landmarks", None))
        return None if isinstance(framed, UnfitPicture) else framed.region


def require_png_path(path: Path) -> None:
    """Raises RequestRefused unless the path names a PNG in a folder that exists."""
    if path.suffix.lower() != ".png" or not path.absolute().parent.is_dir():
        raise RequestRefused(f"{path}: pictures are written as PNG into a folder that exists", "name it .png")


def write_png(path: Path, picture: "NDArray[np.uint8]") -> None:
    """Writes the picture. Raises RequestRefused."""
    import cv2

    require_png_path(path)
    encoded, content = cv2.imencode(".png", picture)
    if not encoded:
        raise RequestRefused(f"{path}: the picture could not be encoded", "send this report to support")
    path.write_bytes(content.tobytes())
