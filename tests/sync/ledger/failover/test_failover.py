"""Machines of the database are lost while schools return: whatever has a receipt is there afterwards."""

import os
import random
import time
from pathlib import Path

import psycopg
import pytest

from tests.sync.ledger.failover.cluster import PatroniCluster, needs, running_cluster
from tests.sync.ledger.failover.returning import (
    SchoolReturn,
    await_progress,
    ledger_process,
    longest_silence,
    returning_schools,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failover"), needs("patroni", "etcd")]


def lose(cluster: PatroniCluster, returning: list[SchoolReturn], *, whole: bool) -> float:
    """Kills the primary's PostgreSQL or its whole machine; returns for how many seconds no receipt came."""
    cluster.await_standby()  # or nobody may follow
    lost, since = cluster.await_primary(), time.monotonic()
    if whole:
        lost.kill()
    else:
        lost.kill_postgres()
    cluster.await_new_primary(lost)
    await_progress(returning, 2)
    if whole:
        lost.start()
    return longest_silence(returning, since)


def test_a_killed_postgresql_and_a_lost_machine_take_no_receipt_back(
    cluster: PatroniCluster, ledger_folder: Path
) -> None:
    with (
        ledger_process(cluster.url, ledger_folder) as url,
        returning_schools(url, cluster.url, 4) as returning,
    ):
        await_progress(returning, 2)
        silences = [lose(cluster, returning, whole=whole) for whole in (False, True)]
        for school in returning:
            school.stop()
        with psycopg.connect(cluster.url) as db:
            for school in returning:
                school.check(db)
    print(f"no receipt for {silences[0]:.1f} s after PostgreSQL died, for {silences[1]:.1f} s after a machine was lost")


@pytest.mark.soak
@pytest.mark.timeout(5_400)
def test_many_machines_are_lost_while_a_city_returns(open_folder: Path) -> None:
    """`FAILOVER_KILLS` of them, 20 by default, with the settings of production."""
    kills, dice = int(os.environ.get("FAILOVER_KILLS", "20")), random.Random(11)
    with (
        running_cluster(open_folder / "city", {}) as cluster,
        ledger_process(cluster.url, open_folder / "city-ledger") as url,
        returning_schools(url, cluster.url, 151, pause_s=5.0) as returning,
    ):
        await_progress(returning, 1)
        print("151 schools are back", flush=True)
        for number in range(kills):
            time.sleep(dice.uniform(0, 5))  # somewhere in the round of Patroni's loop
            whole = number % 2 == 1
            silence = lose(cluster, returning, whole=whole)
            print(f"{'a machine' if whole else 'PostgreSQL'} lost: no receipt for {silence:.1f} s", flush=True)
        primary = cluster.primary
        for school in returning:
            school.stop()
        with psycopg.connect(cluster.url) as db:
            for school in returning:
                school.check(db)
    events = sum(school.acknowledged for school in returning)
    refusals = sum(school.refusals for school in returning)
    print(f"{events} events have a receipt, all are there; {refusals} times told to come again; {primary.name} leads")
