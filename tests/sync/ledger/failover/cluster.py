"""Three PostgreSQL 15 under Patroni and one etcd, on loopback, with the files of `config/ledger`.

Each is a process of its own, with its folder, and can be killed as a machine is lost: everything of it at once.
Debian's `patroni`, `etcd-server` and `postgresql-15` are needed; without them the tests skip.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from canteen_demo.postgres import processes_in

CONFIG = Path(__file__).parents[4] / "config" / "ledger"
BINARIES = Path("/usr/lib/postgresql/15/bin")
PATIENCE_S = 180  # of a busy machine; nothing is decided by it
SUPERUSER_PASSWORD = "change-me-superuser"
HTTP = httpx.Client(timeout=10, trust_env=False, headers={"Connection": "close"})
TTL = {"ttl: 30": "ttl: 10", "loop_wait: 5": "loop_wait: 1", "retry_timeout: 10": "retry_timeout: 3"}
"""Shorter than in production, for the normal run: what is lost or kept does not depend on it, only the waiting does."""


def find_missing(*names: str) -> str:
    """Returns which of these programs, and of PostgreSQL 15, are not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    return ", ".join(missing + ([] if (BINARIES / "postgres").exists() else ["PostgreSQL 15"]))


def needs(*names: str) -> pytest.MarkDecorator:
    """Returns a mark that skips where one of these programs is missing."""
    missing = find_missing(*names)
    return pytest.mark.skipif(bool(missing), reason=f"not installed (Debian 12 has them): {missing}")


def wait_until(holds: Callable[[], object], why: str) -> None:
    """Waits until `holds` returns something true; what is not there yet may raise."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(psycopg.OperationalError, httpx.TransportError, OSError):
            if holds():
                return
        assert time.monotonic() < until, why
        time.sleep(0.2)


def adapt(name: str, changes: Mapping[str, str]) -> str:
    """Returns a file of `config/ledger` with the ports and paths of a test; what it puts in must have a place."""
    text = (CONFIG / name).read_text(encoding="utf-8")
    for place, value in changes.items():
        assert place in text, (name, place)
        text = text.replace(place, value)
    return text


def reserve_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for reserved in sockets:
            reserved.bind(("127.0.0.1", 0))
        return [int(reserved.getsockname()[1]) for reserved in sockets]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The account of PostgreSQL: `postgres` where root runs the tests, else our own."""

    name: str
    uid: int
    gid: int

    @classmethod
    def choose(cls) -> "ServiceAccount":
        entry = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def make_folder(self, folder: Path) -> Path:
        folder.mkdir(mode=0o700)
        os.chown(folder, self.uid, self.gid)
        return folder

    def write(self, path: Path, text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        os.chown(path, self.uid, self.gid)
        return path

    def options(self, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        """Returns what `subprocess` needs to run something as this account, in its folder."""
        switch: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}
        path = f"{BINARIES}:/usr/bin:/bin"
        return {"cwd": folder, "env": {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": str(folder), **environment}} | switch


class DatabaseNode:
    """One machine: Patroni, and the PostgreSQL that it runs."""

    def __init__(self, folder: Path, account: ServiceAccount, name: str) -> None:
        self.name, self.account = name, account
        self.folder = account.make_folder(folder)
        self.port, self._rest_port = reserve_ports(2)
        self.data = self.folder / "data"
        self.socket_folder = account.make_folder(self.folder / "s")
        self.pgbackrest = self.folder / "pgbackrest.conf"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {"PGBACKREST_CONFIG": str(self.pgbackrest)}

    def configure(self, etcd_port: int, repository: Path, timing: Mapping[str, str]) -> None:
        changes = {
            "name: ledger-1": f"name: {self.name}",
            "10.20.0.11:8008": f"127.0.0.1:{self._rest_port}",
            "10.20.0.11:2379,10.20.0.12:2379,10.20.0.13:2379": f"127.0.0.1:{etcd_port}",
            "10.20.0.11:5432": f"127.0.0.1:{self.port}",
            "10.20.0.0/24": "127.0.0.1/32",
            "/var/lib/postgresql/15/ledger": str(self.data),
            "/var/lib/postgresql/patroni.pgpass": str(self.folder / "pgpass"),
            "/var/run/postgresql": str(self.socket_folder),
            **timing,
        }
        if self.account.name != "postgres":
            changes["local all postgres peer"] = "local all postgres trust"
        self.account.write(self.folder / "patroni.yml", adapt("patroni.yml", changes))
        changes = {
            "/var/lib/pgbackrest": str(repository),
            "/tmp/pgbackrest": str(self.folder / "lock"),
            "/var/log/pgbackrest": str(self.account.make_folder(self.folder / "log")),
            "/var/lib/postgresql/15/ledger": str(self.data),
            "pg1-port=5432": f"pg1-port={self.port}",
            "/var/run/postgresql": str(self.socket_folder),
        }
        self.account.write(self.pgbackrest, adapt("pgbackrest.conf", changes))

    def start(self) -> None:
        with (self.folder / "patroni.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["patroni", str(self.folder / "patroni.yml")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.account.options(self.folder, self.environment),
            )  # fmt: skip

    def run(self, *command: str, typed: str = "") -> str:
        """Runs a command on this machine, to which somebody types, and returns what it prints; it must succeed."""
        done = subprocess.run(
            command, check=False, input=typed, capture_output=True, text=True, timeout=PATIENCE_S,
            **self.account.options(self.folder, self.environment),
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        printed: str = done.stdout
        return printed

    @property
    def runs(self) -> bool:
        return self._process is not None

    def kill_postgres(self) -> None:
        """Kills the postmaster; its children end by themselves, and Patroni goes on."""
        with contextlib.suppress(FileNotFoundError):
            kill(int((self.data / "postmaster.pid").read_text(encoding="ascii").split("\n")[0]))

    def kill(self) -> None:
        """Kills everything at once, as when the machine loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.kill_postgres()
        until = time.monotonic() + PATIENCE_S
        while pids := [*processes_in(self.data), *processes_in(self.folder)]:
            assert time.monotonic() < until, pids
            for pid in pids:
                kill(pid)
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends Patroni as systemd does: PostgreSQL is shut down, and the leader's lock is given back."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def promote_alone(self) -> None:
        """Runs PostgreSQL without Patroni, for nobody else, until a restore has reached its target."""
        control = (str(BINARIES / "pg_ctl"), "-D", str(self.data), "-w", "-t", str(PATIENCE_S))
        log = str(self.folder / "restore.log")
        self.run(*control, "-l", log, "-o", f"-c listen_addresses= -p {self.port}", "start")
        ask = ("psql", "-h", str(self.socket_folder), "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-At")
        wait_until(lambda: self.run(*ask, "-c", "SELECT pg_is_in_recovery()") == "f\n", f"not promoted: see {log}")
        self.run(*control, "stop")

    def leads(self) -> bool:
        return self.runs and self.ask("primary").status_code == 200

    def ask(self, path: str) -> httpx.Response:
        return HTTP.get(f"http://127.0.0.1:{self._rest_port}/{path}")

    def configure_cluster(self, change: Mapping[str, object]) -> None:
        """Does what `patronictl edit-config` does."""
        url = f"http://127.0.0.1:{self._rest_port}/config"
        HTTP.patch(url, json=change).raise_for_status()

    @property
    def superuser_url(self) -> str:
        return f"postgresql://postgres:{SUPERUSER_PASSWORD}@127.0.0.1:{self.port}/postgres"


class PatroniCluster:
    """The three machines; on the first call of `start` they become a cluster with an empty database `ledger`."""

    def __init__(self, folder: Path, timing: Mapping[str, str] = TTL) -> None:
        self.folder, self.account = folder, ServiceAccount.choose()
        self.repository = self.account.make_folder(folder / "repository")
        self.nodes = [DatabaseNode(folder / f"n{number}", self.account, f"ledger-{number}") for number in (1, 2, 3)]
        self._etcd_folder = self.account.make_folder(folder / "etcd")
        self._client_port, self._peer_port = reserve_ports(2)
        self._etcd: subprocess.Popen[bytes] | None = None
        for node in self.nodes:
            node.configure(self._client_port, self.repository, timing)

    @property
    def url(self) -> str:
        """The ledger's database URL, as a city's operator writes it."""
        machines = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://ledger:change-me-ledger@{machines}/ledger?target_session_attrs=read-write"

    def start(self) -> None:
        self._start_etcd()
        self.nodes[0].start()
        self.await_primary()
        for node in self.nodes[1:]:
            node.start()
        with psycopg.connect(self.primary.superuser_url, autocommit=True) as connection:
            connection.execute("CREATE ROLE ledger LOGIN PASSWORD 'change-me-ledger'")
            connection.execute("CREATE DATABASE ledger OWNER ledger")

    def _start_etcd(self) -> None:
        changes = {
            "/var/lib/etcd/ledger": str(self._etcd_folder / "data"),
            ",ledger-2=http://10.20.0.12:2380,ledger-3=http://10.20.0.13:2380": "",
            "10.20.0.11:2379": f"127.0.0.1:{self._client_port}",
            "10.20.0.11:2380": f"127.0.0.1:{self._peer_port}",
        }
        file = self.account.write(self._etcd_folder / "etcd.yml", adapt("etcd.yml", changes))
        with (self._etcd_folder / "log").open("ab") as log:
            self._etcd = subprocess.Popen(
                ["etcd", "--config-file", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.account.options(self._etcd_folder, {}),
            )  # fmt: skip
        health = f"http://127.0.0.1:{self._client_port}/health"
        wait_until(lambda: HTTP.get(health).json()["health"] == "true", "etcd does not answer")

    @property
    def primary(self) -> DatabaseNode:
        """The machine that leads. Raises StopIteration while there is none."""
        return next(node for node in self.nodes if _leads(node))

    def await_primary(self) -> DatabaseNode:
        wait_until(lambda: any(_leads(node) for node in self.nodes), self.explain("nobody leads"))
        return self.primary

    def await_new_primary(self, lost: DatabaseNode) -> None:
        """Waits until another machine than this one leads."""
        wait_until(lambda: any(_leads(node) for node in self.nodes if node is not lost), self.explain("nobody follows"))

    def await_standby(self) -> None:
        """Waits until there is a primary, and a standby that has whatever the primary has answered for."""
        wait_until(self.has_standby, self.explain("there is no synchronous standby"))

    def has_standby(self) -> bool:
        return "sync_standby" in self._list_roles()

    def forget(self, node: DatabaseNode) -> None:
        """Takes the cluster out of etcd, as its operator does; the next Patroni begins it anew."""
        answers = "ledger\nYes I am aware\n"
        node.run("patronictl", "-c", str(node.folder / "patroni.yml"), "remove", "ledger", typed=answers)

    def await_whole(self) -> None:
        """Waits until all three machines are in the cluster."""
        wait_until(lambda: len(self._list_roles()) == len(self.nodes), self.explain("a machine is missing"))

    def _list_roles(self) -> list[str]:
        members = self.await_primary().ask("cluster").json()["members"]
        return [member["role"] for member in members if member["state"] in {"running", "streaming"}]

    def explain(self, why: str) -> str:
        return f"{why}: see {self.folder}"

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
        if self._etcd is not None:
            self._etcd.kill()
            self._etcd.wait()


def _leads(node: DatabaseNode) -> bool:
    try:
        return node.leads()
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def running_cluster(folder: Path, timing: Mapping[str, str] = TTL) -> Iterator[PatroniCluster]:
    """Yields a cluster in a folder that is made for it; nothing of it runs on afterwards."""
    folder.mkdir(mode=0o755)
    cluster = PatroniCluster(folder, timing)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
