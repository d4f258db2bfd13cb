"""A folder of pictures as a device: its presentations by name, and the bytes of one file.

A presentation is one picture file, or a subfolder with the frames of one burst. Errors of the operating system become
ours here. Names that begin with a dot are passed over: a program that adds a picture while it is played writes it
under such a name, and renames it when it is whole.
"""

from pathlib import Path

from drivers.errors import DeviceGone, NotSupported
from drivers.protocols.fault import Fault
from drivers.transports.base import device_gone_on_error

NAMES_MAX = 50_000  # in one folder
PICTURE_BYTES_MAX = 32 * 1024 * 1024
SUFFIXES = (".png", ".jpg", ".jpeg")


class PictureFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raises DeviceGone when the folder is away."""
        with device_gone_on_error(f"{self.path}; make the folder, or mount what it is on"):
            if not self.path.is_dir():
                raise DeviceGone(f"{self.path} is no folder that we can reach: make it, or mount what it is on")

    def presentations(self) -> list[Path]:
        """Returns the presentations in order of their names."""
        return [path for path in self._names(self.path) if _is_picture(path) or path.is_dir()]

    def frames(self, presentation: Path) -> list[Path]:
        """Returns the files of a presentation, in order; none, when it is away or empty."""
        if _is_picture(presentation):
            return [presentation]
        try:
            return [path for path in self._names(presentation) if _is_picture(path)]
        except DeviceGone:
            return []

    def load(self, path: Path) -> bytes | Fault:
        """Returns the file's bytes. A file that cannot be read is a fault of one picture, unless the whole folder is
        away.
        """
        try:
            with path.open("rb") as file:
                data = file.read(PICTURE_BYTES_MAX + 1)
        except OSError as error:
            self.check()
            return Fault(f"cannot be read: {error.strerror or error}")
        if len(data) > PICTURE_BYTES_MAX:
            return Fault(f"larger than {PICTURE_BYTES_MAX // (1024 * 1024)} MiB")
        return data

    def _names(self, folder: Path) -> list[Path]:
        pictures: list[Path] = []
        with device_gone_on_error(str(folder)):
            for path in folder.iterdir():
                if path.name.startswith("."):
                    continue
                if len(pictures) == NAMES_MAX:
                    raise NotSupported(f"{folder} holds more than {NAMES_MAX} names: play a part of it")
                pictures.append(path)
        return sorted(pictures)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
