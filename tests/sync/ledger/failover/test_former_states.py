"""The database goes back to a former state under a running ledger: a late standby is promoted, a backup is put back.

Kiosks that stay attached bring back what is missing by themselves, and what had ended stays ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from sync.ledger.registry import schools
from tests.sync.ledger.failover.attached import AttachedKiosk, attached_kiosks
from tests.sync.ledger.failover.cluster import PatroniCluster, needs, wait_until
from tests.sync.ledger.failover.returning import ledger_process

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failover"), needs("patroni", "etcd", "pgbackrest")]


@dataclass(frozen=True, slots=True)
class AttachedCity:
    """A ledger on the cluster, with two kiosks, and one more that is to be suspended."""

    cluster: PatroniCluster
    url: str
    kiosks: list[AttachedKiosk]
    suspended: AttachedKiosk

    def record_alone(self, events: int) -> None:
        """Records while there is no database: the ledger asks everybody to come again, and no kiosk waits for it."""
        for kiosk in self.kiosks:
            kiosk.record(events)
        answer = httpx.get(f"{self.url}/v1/health", timeout=60)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

    def record(self, events: int) -> None:
        """Records at both kiosks, and returns once they have the receipts."""
        for kiosk in self.kiosks:
            kiosk.record(events)
        for kiosk in self.kiosks:
            kiosk.await_receipts()

    def suspend(self) -> None:
        """Suspends the third kiosk, and returns once that is in the file of acts."""
        with psycopg.connect(self.cluster.url, autocommit=True) as db:
            schools.set_status(db, self.suspended.device, "suspended")
            wait_until(
                lambda: db.execute("SELECT bool_and(written) FROM act").fetchone() == (True,), "acts are not written"
            )

    def read_incarnations(self) -> dict[str, str]:
        with psycopg.connect(self.cluster.url) as db:
            return dict(db.execute("SELECT school, incarnation FROM school").fetchall())

    def await_rows(self) -> None:
        """Waits until the ledger has again whatever the kiosks had receipts for."""

        def are_whole() -> bool:
            with psycopg.connect(self.cluster.url) as db:
                return all(kiosk.is_whole(db) for kiosk in self.kiosks)

        wait_until(are_whole, self.cluster.explain("rows are missing"))
        for kiosk in self.kiosks:
            kiosk.await_receipts()

    def check_standing(self) -> None:
        """The suspended kiosk is suspended still, and nobody was ever told otherwise."""
        with psycopg.connect(self.cluster.url) as db:
            status = db.execute("SELECT status FROM device WHERE device = %s", (self.suspended.device,)).fetchone()
        assert status == ("suspended",)
        assert all(kiosk.journal.outbox.queue_depth() == 0 for kiosk in self.kiosks)


@pytest.fixture
def city(cluster: PatroniCluster, ledger_folder: Path, tmp_path: Path) -> Iterator[AttachedCity]:
    cluster.await_whole()
    with (
        ledger_process(cluster.url, ledger_folder) as url,
        attached_kiosks(url, cluster.url, tmp_path, 3) as kiosks,
    ):
        yield AttachedCity(cluster, url, kiosks[:2], kiosks[2])


def set_synchronous(cluster: PatroniCluster, *, mode: bool) -> None:
    """Turns synchronous replication on or off, as `patronictl edit-config` does."""
    bytes_behind = 100_000_000  # or Patroni would let nobody follow who is that late
    cluster.await_primary().configure_cluster({"synchronous_mode": mode, "maximum_lag_on_failover": bytes_behind})
    wait_until(lambda: cluster.has_standby() is mode, cluster.explain("synchronous_mode has not changed"))


def await_replay(cluster: PatroniCluster) -> None:
    """Waits until both standbys have everything."""
    query = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn = pg_current_wal_lsn()"
    with psycopg.connect(cluster.primary.superuser_url, autocommit=True) as db:
        wait_until(lambda: db.execute(query).fetchone() == (2,), cluster.explain("a standby is behind"))


def test_a_standby_that_is_promoted_late_gets_its_rows_back(city: AttachedCity) -> None:
    cluster = city.cluster
    city.record(30)
    set_synchronous(cluster, mode=False)
    await_replay(cluster)
    former = city.read_incarnations()
    lost = cluster.primary
    late = [node for node in cluster.nodes if node is not lost]
    for node in late:
        node.kill()
    city.record(40)
    city.suspend()
    lost.kill()
    city.record_alone(10)
    for node in late:
        node.start()
    cluster.await_new_primary(lost)
    city.await_rows()
    city.check_standing()
    assert not set(former.values()) & set(city.read_incarnations().values())
    lost.start()
    cluster.await_whole()
    set_synchronous(cluster, mode=True)


@pytest.mark.soak
def test_a_backup_put_back_to_a_moment_gets_its_rows_back(city: AttachedCity) -> None:
    cluster, first = city.cluster, city.cluster.primary
    stanza = ("pgbackrest", "--stanza=ledger")
    first.run(*stanza, "stanza-create")
    city.record(30)
    first.run(*stanza, "--type=full", "backup")
    city.record(20)
    with psycopg.connect(cluster.url) as db:
        (moment,) = db.execute("SELECT clock_timestamp()::text").fetchone() or ("",)
    former = city.read_incarnations()
    city.record(20)
    city.suspend()
    first.run(*stanza, "check")  # the archive has everything up to here
    for node in cluster.nodes:
        node.stop()
    city.record_alone(10)
    first.run(*stanza, "--delta", "--type=time", f"--target={moment}", "--target-action=promote", "restore")
    first.promote_alone()
    cluster.forget(first)
    for node in cluster.nodes:
        if node is not first:
            node.run("rm", "-r", str(node.data))
    first.start()
    cluster.await_primary()
    city.await_rows()
    city.check_standing()
    assert not set(former.values()) & set(city.read_incarnations().values())
    for node in cluster.nodes:
        if node is not first:
            node.start()
    cluster.await_whole()
