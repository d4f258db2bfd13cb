"""The versions that lie side by side, and the links that choose one of them.

/opt/edge-agent/versions/V/   one version each; complete once it has this name
/opt/edge-agent/current       → the version that runs
/opt/edge-agent/good          → the last version that has proved itself; its program judges a new one
/opt/edge-agent/update.json   the record of the last update
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec
import zstandard

from edge_agent.domain.update_plan import UpdateRecord
from edge_agent.journal.store import sync_folder
from edge_agent.update.errors import UpdateBusy, UpdateRefused
from edge_agent.update.release import ReleaseManifest, copy_payload, read_manifest

RECORD_NAME = "update.json"
PENDING_NAME = ".pending"  # is there while a version is on trial; the unit's guard looks for it
SPARE_NAME = ".spare"
SPARE_BYTES = 64 * 1024
ROOM_BYTES = 64 * 1024 * 1024  # that stay free for the journal while a release is unpacked


def find_folder(file: Path) -> Path:
    """Returns the folder of all versions in which this file lies as versions/NAME/site/…, else the package's own."""
    folders = file.resolve().parents
    return next((above.parent for above in folders if above.name == "versions"), Path("/opt/edge-agent"))


FOLDER = find_folder(Path(__file__))


@dataclass(frozen=True, slots=True)
class InstalledVersions:
    """The folder of all versions."""

    folder: Path = FOLDER

    def read_record(self) -> UpdateRecord:
        """Returns the record of the last update. Raises `UpdateRefused` for a damaged one."""
        return read_record(self.folder)

    def write_record(self, record: UpdateRecord) -> None:
        """Puts the record on the disk, whole or not at all. Raises OSError."""
        if record.is_on_trial:
            (self.folder / PENDING_NAME).touch()
        fresh = self.folder / ".update.new"
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / RECORD_NAME)
        sync_folder(self.folder)

    def version_at(self, link: str) -> str:
        """Returns the version that the link `current` or `good` names; empty where there is none."""
        path = self.folder / link
        return path.readlink().name if path.is_symlink() else ""

    def point(self, link: str, version: str) -> None:
        """Lets the link name this version, in one step."""
        if self.version_at(link) == version:
            return
        fresh = self.folder / f".{link}.next"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("versions") / version)
        fresh.replace(self.folder / link)
        sync_folder(self.folder)

    def end_trial(self) -> None:
        """Lets the unit's guard sleep: the links are as the record wants them."""
        (self.folder / PENDING_NAME).unlink(missing_ok=True)
        sync_folder(self.folder)

    def remove(self, version: str) -> None:
        """Removes a version's folder, if it is there and no link names it."""
        if version and version not in {self.version_at("current"), self.version_at("good")}:
            shutil.rmtree(self.folder / "versions" / version, ignore_errors=True)

    def remove_all_but(self, *kept: str) -> None:
        """Removes every version but these, and what an unpacking that was cut off has left."""
        for path in (self.folder / "versions").iterdir():
            if path.name.startswith(".part"):
                shutil.rmtree(path)
            elif path.name not in kept:
                self.remove(path.name)

    def unpack(self, release: Path, keys: list[bytes], manifest: ReleaseManifest) -> None:
        """Unpacks a release beside the others. Its bytes are copied out of the agent's reach before they are judged.

        Raises `UpdateRefused`; then nothing of it is left.
        """
        part = self.folder / "versions" / ".part"
        payload = self.folder / "versions" / ".part.payload"
        _clear(part, payload)
        try:
            self._need_room(manifest)
            with open_release(release) as file:
                if read_manifest(file, keys) != manifest:
                    raise UpdateRefused("the release was changed meanwhile", "try again")
                copy_payload(file, manifest, payload)
            _extract(payload, part, manifest.unpacked)
            payload.unlink()
            _compile(part, self.folder / "versions" / manifest.version)
            os.sync()  # every file of it, before it gets its name
            target = self.folder / "versions" / manifest.version
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise UpdateRefused(
                f"the release could not be unpacked: {error.strerror or error}",
                f"free the disk of {self.folder}, then try again",
            ) from error
        finally:
            _clear(part, payload)

    def _need_room(self, manifest: ReleaseManifest) -> None:
        """Raises `UpdateRefused` where the disk would be full before the release is unpacked."""
        status = os.statvfs(self.folder)
        needed = manifest.size + 2 * manifest.unpacked + ROOM_BYTES  # compiled modules are about as large
        if status.f_bavail * status.f_frsize < needed:
            raise UpdateRefused(
                f"the disk of {self.folder} has not the {needed >> 20} MiB that the release needs", "free it"
            )

    def keep_spare(self) -> None:
        """Takes a little room, so that a record can be written on a disk that is full. Raises OSError."""
        (self.folder / SPARE_NAME).write_bytes(bytes(SPARE_BYTES))

    def give_up_spare(self) -> None:
        """Gives that room back."""
        (self.folder / SPARE_NAME).unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the right to change versions. Raises `UpdateBusy`."""
        with (self.folder / ".update.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UpdateBusy("another update is under way", "wait for it: edge-agent update status") from error
            yield


def read_record(folder: Path = FOLDER) -> UpdateRecord:
    """Returns the record of the last update; an empty one where there was none. Raises `UpdateRefused`."""
    path = folder / RECORD_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpdateRecord)
    except FileNotFoundError:
        return UpdateRecord()
    except (OSError, msgspec.DecodeError) as error:
        raise UpdateRefused(f"{path}: {error}", "install the version that shall run by its Debian package") from error


@contextmanager
def open_release(path: Path) -> Iterator[BinaryIO]:
    """Opens a release that may lie in a folder of another user: a regular file, and no link to one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UpdateRefused(f"{path}: {error.strerror}", "name the release's file") from error
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _extract(payload: Path, part: Path, unpacked: int) -> None:
    """Writes the files of a payload whose hash holds. Raises `UpdateRefused` for one with other things in it."""
    left = unpacked
    part.mkdir(mode=0o755)
    with (
        payload.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for member in tar:
            name = PurePosixPath(member.name)
            left -= member.size
            if name.is_absolute() or ".." in name.parts or left < 0 or not (member.isfile() or member.isdir()):
                raise UpdateRefused(f"the release holds what no version has: {member.name}", "have it built anew")
            if member.isdir():
                (part / name).mkdir(mode=0o755, parents=True, exist_ok=True)
                continue
            source = tar.extractfile(member)
            assert source is not None, "a regular file"
            with (part / name).open("xb") as target:
                os.fchmod(target.fileno(), 0o755 if member.mode & 0o100 else 0o644)
                shutil.copyfileobj(source, target)


def _compile(part: Path, target: Path) -> None:
    """Compiles the modules, as they will lie in `target`. Raises OSError where one is broken, or the disk is full."""
    command = [sys.executable, "-m", "compileall", "-q", str(part), "-s", str(part), "-p", str(target)]
    if subprocess.run(command, check=False).returncode:
        raise OSError("its modules were not compiled: the disk is full, or one of them is broken")


def _clear(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
