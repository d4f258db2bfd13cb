"""Checks of the agent's folders: owner, mode, free space, file system, key and registration."""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, attention, error_finding, failure, good
from edge_agent.cli.phrases import phrase
from edge_agent.control import SOCKET_NAME
from edge_agent.identity import DEVICE_KEY_NAME, read_registration
from edge_agent.runtime.opening import CONDEMNED_NAME, JOURNAL_NAME
from sync.client.keys import DeviceKey
from sync.errors import KeyUnusable

MIB = 1024 * 1024
FREE_MIN = 64 * MIB
FREE_GOOD = 512 * MIB
FILES_SHOWN = 5

# File systems that lose everything with the power.
_VOLATILE = {"tmpfs", "ramfs"}
# File systems without the locks or the shared memory that a WAL needs.
_FAR = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"}
# File systems without owners and modes.
_PLAIN = {"vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk"}


def check_state_folder(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields findings on owner and mode of the state folder and its files, and on journals that were set aside."""
    part, folder = "state folder", kiosk.state_dir
    if not folder.exists():
        yield attention(
            part,
            phrase("{folder} does not exist", folder=folder),
            phrase("systemd makes it at the first start: systemctl start edge-agent"),
        )
        return
    status = folder.stat()
    detail = phrase(
        "{folder} of {owner}, mode {mode}",
        folder=folder,
        owner=_user_name(status.st_uid),
        mode=f"{stat.S_IMODE(status.st_mode):04o}",
    )
    if kiosk.agent_uid not in {None, status.st_uid}:
        yield failure(
            part,
            detail,
            f"chown -R {_user_name(kiosk.agent_uid or 0)}: {folder}",
        )
    elif status.st_mode & 0o027:
        yield attention(
            part,
            phrase("{detail}: other users may read or write it", detail=detail),
            f"chmod 750 {folder}",
        )
    else:
        yield good(part, detail)
    foreign = [file.name for file in sorted(folder.iterdir()) if file.lstat().st_uid != status.st_uid]
    if foreign:
        shown = ", ".join(foreign[:FILES_SHOWN])
        yield failure(
            part,
            phrase("files of another user: {shown} (was something run as root?)", shown=shown),
            f"chown -R --reference={folder} {folder}",
        )
    yield from _check_damaged_journals(folder)


def _check_damaged_journals(folder: Path) -> Iterator[Finding]:
    if (folder / CONDEMNED_NAME).exists():
        yield failure(
            "state folder",
            phrase("the journal is condemned"),
            phrase("restart the daemon: it sets the journal aside and keeps it"),
        )
    beside = ("-wal", "-shm", ".damaged", ".mended", ".salvaged", ".mark")
    damaged = [file for file in folder.glob(f"{JOURNAL_NAME}.damaged-*") if not file.name.endswith(beside)]
    if damaged:
        yield attention(
            "state folder",
            phrase("{number} damaged journals are kept", number=len(damaged)),
            phrase("send them to the ledger's operator, and keep them"),
        )


def check_disk(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields findings on free space, file system and ballast."""
    folder = kiosk.state_dir
    if folder.exists():
        room = os.statvfs(folder)
        yield judge_free_space(room.f_bavail * room.f_frsize, room.f_favail if room.f_files else None)
        yield judge_file_system(folder.resolve(), (kiosk.root / "proc/self/mounts").read_text("utf-8", "replace"))
        if (folder / JOURNAL_NAME).exists():
            yield _judge_ballast(folder, kiosk.loaded.settings.journal.ballast_mib)


def judge_free_space(free: int, files_free: int | None) -> Finding:
    """Returns the finding for this many free bytes. `files_free` is None if the file system does not count files."""
    part, detail, step = (
        "free space",
        phrase("{size} MiB free", size=free // MIB),
        phrase("free the disk: journalctl --vacuum-size=50M, du -x /"),
    )
    if files_free is not None and files_free < 100:
        return failure(part, phrase("{detail}, and no more files can be made", detail=detail), step)
    if free < FREE_MIN:
        return failure(part, detail, step)
    return attention(part, detail, step) if free < FREE_GOOD else good(part, detail)


def judge_file_system(folder: Path, mounts: str) -> Finding:
    """Returns the finding for the file system that holds the folder. `mounts` is the text of /proc/self/mounts.

    The longest mount point above the folder counts; among equal mount points, the last.
    """
    part, kind, options, length = "file system", "unknown", "", -1
    for line in mounts.splitlines():
        _, point, point_kind, point_options, *_ = [*line.split(" "), "", "", "", ""]
        mount_point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
        if point and folder.is_relative_to(mount_point) and len(mount_point.parts) >= length:
            kind, options, length = point_kind, point_options, len(mount_point.parts)
    detail = phrase("{kind} under {folder}", kind=kind, folder=folder)
    if "ro" in options.split(","):
        return failure(
            part,
            phrase("{detail} is mounted read-only", detail=detail),
            phrase("look at dmesg: a dying card is made read-only"),
        )
    if kind in _VOLATILE:
        return failure(
            part, phrase("{detail} is lost without power", detail=detail), phrase("put kiosk.state_dir on a disk")
        )
    if kind in _FAR or kind in _PLAIN:
        return failure(
            part, phrase("{detail} cannot keep a journal", detail=detail), phrase("put kiosk.state_dir on a local ext4")
        )
    if kind in {"overlay", "unknown"}:
        return attention(
            part,
            phrase("{detail}: perhaps lost without power", detail=detail),
            phrase("make sure that kiosk.state_dir outlives a restart"),
        )
    return good(part, detail)


def _judge_ballast(folder: Path, configured_mib: int) -> Finding:
    part = "ballast"
    if not configured_mib:
        return attention(
            part, phrase("switched off"), phrase("set journal.ballast_mib, so that a full disk leaves room to work")
        )
    if (folder / f"{JOURNAL_NAME}.ballast").exists():
        return good(part, phrase("{size} MiB to give up when the disk is full", size=configured_mib))
    return attention(
        part, phrase("given up, because the disk was full"), phrase("free the disk: the ballast comes back by itself")
    )


def check_run_folder(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on who may ask the daemon."""
    part, folder = "run folder", kiosk.loaded.settings.kiosk.run_dir
    if not folder.exists():
        yield good(part, phrase("{folder} is made when the daemon starts", folder=folder))
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    socket = folder / SOCKET_NAME
    if socket.exists() and socket.stat().st_mode & 0o007:
        yield failure(
            part,
            phrase("everybody may ask the daemon for card numbers"),
            phrase("restart it: systemctl restart edge-agent"),
        )
    elif mode & 0o022:
        yield attention(
            part,
            phrase("{folder} has mode {mode}: others may put a socket there", folder=folder, mode=f"{mode:04o}"),
            f"chmod 750 {folder}",
        )
    else:
        yield good(part, phrase("{folder}, mode {mode}", folder=folder, mode=f"{mode:04o}"))


def check_device_key(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the kiosk's own key."""
    part, path = "device key", kiosk.state_dir / DEVICE_KEY_NAME
    if not path.exists():
        yield attention(part, phrase("there is none yet"), phrase("the daemon makes it at its first start"))
        return
    path.open("rb").close()  # a user without the right to read gets that answer, and not "the key is bad"
    try:
        key = DeviceKey.load(path)
    except KeyUnusable as error:
        yield error_finding(part, error)
    else:
        yield good(part, phrase("only its owner reads it; fingerprint {fingerprint}", fingerprint=key.fingerprint))


def check_registration(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the ledger that the kiosk is registered with."""
    part, registration = "registered", read_registration(kiosk.state_dir)
    if registration is None:
        yield attention(part, phrase("with no ledger: it records, and sends nothing"), "edge-agent register URL CODE")
        return
    school = kiosk.loaded.settings.kiosk.school
    host = urlsplit(registration.ledger).hostname or "?"
    if school and school != registration.school:
        yield failure(
            part,
            phrase("for {registered}, but kiosk.school is {school}", registered=registration.school, school=school),
            phrase("leave kiosk.school out, or register"),
        )
    else:
        yield good(
            part,
            phrase(
                "as {device} of school {school} at {host}",
                device=registration.device,
                school=registration.school,
                host=host,
            ),
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
