"""The figures for Prometheus, on a real ledger, and the alert rules over them, tried by Prometheus' own promtool."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.process.metrics import Counters
from sync.contract import wire
from sync.contract.chain import Head
from sync.contract.wire import HeadText, Heartbeat, PartHealth, PartKind
from sync.ledger.fleet.metrics import FleetCollector
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk

RULES = Path(__file__).parents[4] / "config" / "prometheus" / "canteen.rules.yml"
RULE_TESTS = sorted(Path(__file__).with_name("alerts").glob("*.test.yml"))


def read_figures(database_url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Returns every figure by its name and labels."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(database_url))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_each_kiosk_has_its_figures(
    server: LedgerServer, db: psycopg.Connection, enrolled: Callable[[], Kiosk], school: str
) -> None:
    told, silent = enrolled(), enrolled()
    beat = Heartbeat(
        epoch=told.epoch, head=HeadText.from_head(Head(0, told.hashes[0])), acknowledged=0, queue=7, agent="0.2",
        roster=1, boot="b", instance="i", at="2026-11-20T04:00:00.000Z", clock="synchronised", roster_age_s=90,
        scanned="2026-11-20T04:00:00.000Z", health=(PartHealth("door", "failed", "gone", PartKind.READER),),
    )  # fmt: skip
    headers = {"content-type": wire.JSON}
    path = wire.heartbeats_path(told.device)
    assert told.call("POST", path, headers=headers, body=wire.to_json(beat)).status_code == 200
    figures = read_figures(server.database_url)
    told_labels, silent_labels = ((("kiosk", kiosk.device), ("school", school)) for kiosk in (told, silent))
    assert figures["ledger_database_up", ()] == 1
    assert figures["ledger_marked_days", ()] >= 0
    assert figures["ledger_kiosk_queue_events", told_labels] == 7
    assert figures["ledger_kiosk_readers_gone", told_labels] == 1
    assert 90 <= figures["ledger_kiosk_roster_age_seconds", told_labels] < 600
    scan = datetime(2026, 11, 20, 4, tzinfo=UTC).timestamp()
    assert figures["ledger_kiosk_scan_timestamp_seconds", told_labels] == scan
    assert abs(figures["ledger_kiosk_heard_timestamp_seconds", told_labels] - datetime.now(UTC).timestamp()) < 600
    alarms = [dict(labels) for name, labels in figures if name == "ledger_kiosk_alarm"]
    assert {"school": school, "kiosk": told.device, "alarm": "readers", "level": "act"} in alarms
    assert {name for name, labels in figures if labels == silent_labels} == set(), "what was not told is left out"
    versions = {dict(labels)["kiosk"]: dict(labels)["version"] for name, labels in figures if name.endswith("_info")}
    assert (versions[told.device], versions[silent.device]) == ("0.2", "")


def test_a_database_that_is_gone_is_a_figure() -> None:
    assert read_figures("postgresql://nobody@127.0.0.1:1/none") == {("ledger_database_up", ()): 0}


def test_the_rules_ask_for_figures_that_there_are(server: LedgerServer, db: psycopg.Connection, kiosk: Kiosk) -> None:
    asked = set(re.findall(r"\b(?:ledger|canteen)_\w+", RULES.read_text("utf-8")))
    counts = {"ledger_requests_total", "ledger_request_seconds_bucket"}  # of `door.counts`, once somebody has asked
    registry = CollectorRegistry()
    registry.register(FleetCollector(server.database_url))
    families = [*registry.collect(), *Counters().registry.collect()]
    known = {name for family in families for name in (family.name, f"{family.name}_total")}
    assert asked - counts - known == set()


@pytest.mark.parametrize("command", [("check", "rules", RULES), ("test", "rules", *RULE_TESTS)])
def test_promtool_takes_the_rules_and_each_alert_is_raised_when_it_must(command: tuple[str | Path, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_each_alert_has_a_test_that_raises_it_and_one_that_does_not() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text("utf-8"))
    tests = "".join(path.read_text("utf-8") for path in RULE_TESTS)
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n\s+exp_alerts: \[{{", tests), alert
        assert f"alertname: {alert}, exp_alerts: []" in tests, alert
