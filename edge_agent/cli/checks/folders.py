"""The folders that the agent lives in, and what stands there: owner, mode, room, kind of disk, key, identity."""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.cli.checks.finding import Finding, Kiosk, State, fails, look, ok, split
from edge_agent.control import SOCKET_NAME
from edge_agent.identity import DEVICE_KEY_NAME, read_registration
from edge_agent.runtime.opening import CONDEMNED_NAME, JOURNAL_NAME
from sync.client.keys import DeviceKey
from sync.errors import KeyUnusable

MIB = 1024 * 1024
FREE_MIN = 64 * MIB
FREE_GOOD = 512 * MIB
FILES_SHOWN = 5

# Gone with the power; without the locks or the shared memory that a WAL needs; without owners and modes.
_VOLATILE = {"tmpfs", "ramfs"}
_FAR = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"}
_PLAIN = {"vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk"}


def state_folder(kiosk: Kiosk) -> Iterator[Finding]:
    part, folder = "state folder", kiosk.state_dir
    if not folder.exists():
        yield look(part, f"{folder} is not there", "systemd makes it at the first start: systemctl start edge-agent")
        return
    found = folder.stat()
    detail = f"{folder} of {_name(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}"
    if kiosk.agent_uid not in {None, found.st_uid}:
        yield fails(part, detail, f"chown -R {_name(kiosk.agent_uid or 0)}: {folder}")
    elif found.st_mode & 0o027:
        yield look(part, f"{detail}: others than its owner may look or write", f"chmod 750 {folder}")
    else:
        yield ok(part, detail)
    others = [file.name for file in sorted(folder.iterdir()) if file.lstat().st_uid != found.st_uid]
    if others:
        shown = ", ".join(others[:FILES_SHOWN])
        yield fails(
            part, f"not of its owner: {shown} (was something run as root?)", f"chown -R --reference={folder} {folder}"
        )
    yield from _aside(folder)


def _aside(folder: Path) -> Iterator[Finding]:
    if (folder / CONDEMNED_NAME).exists():
        yield fails(
            "state folder", "the journal is condemned", "restart the daemon: it sets the journal aside and keeps it"
        )
    damaged = [file for file in folder.glob(f"{JOURNAL_NAME}.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    if damaged:
        yield look(
            "state folder", f"{len(damaged)} damaged journals are kept", "send them to the ledger's operator, keep them"
        )


def disk(kiosk: Kiosk) -> Iterator[Finding]:
    folder = kiosk.state_dir
    if folder.exists():
        room = os.statvfs(folder)
        yield space(room.f_bavail * room.f_frsize, room.f_favail if room.f_files else None)
        yield file_system(folder.resolve(), (kiosk.root / "proc/self/mounts").read_text("utf-8", "replace"))
        if (folder / JOURNAL_NAME).exists():
            yield _ballast(folder, kiosk.loaded.settings.journal.ballast_mib)


def space(free: int, files_free: int | None) -> Finding:
    """`files_free`: None where the file system does not count them."""
    part, detail, step = "free space", f"{free // MIB} MiB free", "free the disk: journalctl --vacuum-size=50M, du -x /"
    if files_free is not None and files_free < 100:
        return fails(part, f"{detail}, and no more files can be made", step)
    if free < FREE_MIN:
        return fails(part, detail, step)
    return look(part, detail, step) if free < FREE_GOOD else ok(part, detail)


def file_system(folder: Path, mounts: str) -> Finding:
    """`mounts`: as in /proc/self/mounts. The longest mount point above the folder counts; of equal ones, the last."""
    part, kind, options, length = "file system", "unknown", "", -1
    for line in mounts.splitlines():
        _, point, this_kind, these_options, *_ = [*line.split(" "), "", "", "", ""]
        where = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
        if point and folder.is_relative_to(where) and len(where.parts) >= length:
            kind, options, length = this_kind, these_options, len(where.parts)
    detail = f"{kind} under {folder}"
    if "ro" in options.split(","):
        return fails(part, f"{detail} is mounted read-only", "look at dmesg: a dying card is made read-only")
    if kind in _VOLATILE:
        return fails(part, f"{detail} is gone with the power", "put kiosk.state_dir on a disk")
    if kind in _FAR or kind in _PLAIN:
        return fails(part, f"{detail} cannot keep a journal", "put kiosk.state_dir on a local ext4")
    if kind in {"overlay", "unknown"}:
        return look(part, f"{detail}: perhaps gone with the power", "make sure that kiosk.state_dir outlives a restart")
    return ok(part, detail)


def _ballast(folder: Path, wanted_mib: int) -> Finding:
    part = "ballast"
    if not wanted_mib:
        return look(part, "none is wanted", "set journal.ballast_mib, so that a full disk can be worked on")
    if (folder / f"{JOURNAL_NAME}.ballast").exists():
        return ok(part, f"{wanted_mib} MiB to give up when the disk is full")
    return look(part, "given up, the disk was full", "free the disk: it comes back by itself")


def run_folder(kiosk: Kiosk) -> Iterator[Finding]:
    part, folder = "run folder", kiosk.loaded.settings.kiosk.run_dir
    if not folder.exists():
        yield ok(part, f"{folder} is made when the daemon starts")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    socket = folder / SOCKET_NAME
    if socket.exists() and socket.stat().st_mode & 0o007:
        yield fails(part, "everybody may ask the daemon for card numbers", "restart it: systemctl restart edge-agent")
    elif mode & 0o022:
        yield look(part, f"{folder} has mode {mode:04o}: others may put a socket there", f"chmod 750 {folder}")
    else:
        yield ok(part, f"{folder}, mode {mode:04o}")


def device_key(kiosk: Kiosk) -> Iterator[Finding]:
    part, path = "device key", kiosk.state_dir / DEVICE_KEY_NAME
    if not path.exists():
        yield look(part, "not made yet", "it is made at the daemon's first start")
        return
    path.open("rb").close()  # whoever may not read it is told so, and not that the key is bad
    try:
        key = DeviceKey.load(path)
    except KeyUnusable as error:
        yield split(part, State.FAILS, str(error))
    else:
        yield ok(part, f"only its owner reads it; fingerprint {key.fingerprint}")


def registration(kiosk: Kiosk) -> Iterator[Finding]:
    part, found = "registered", read_registration(kiosk.state_dir)
    if found is None:
        yield look(part, "with no ledger: it records, and sends nothing", "edge-agent register URL CODE")
        return
    school = kiosk.loaded.settings.kiosk.school
    host = urlsplit(found.ledger).hostname or "?"
    if school and school != found.school:
        yield fails(part, f"for {found.school}, but kiosk.school is {school}", "leave kiosk.school out, or register")
    else:
        yield ok(part, f"as {found.device} of school {found.school} at {host}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
