"""`edge-agent ledger serve`: the service itself."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption
from edge_agent.cli.ledger.proof import read_note_key
from edge_agent.cli.options import out
from edge_agent.process.logs import LEDGER_IDENTIFIER, set_up_logging
from edge_agent.process.shutdown import ShutdownFlag
from sync.ledger.door.shared_counts import share_counts

if TYPE_CHECKING:
    from sync.ledger.transparency.cosigner import WitnessPeer


def serve(
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8460,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    log_name: Annotated[
        str, typer.Option(help="With which the names of all logs begin, such as your domain; fixed at the first start.")
    ] = "canteen.local",
    witness_url: Annotated[str, typer.Option(help="Where a witness cosigns checkpoints: https://witness.example")] = "",
    witness_key: Annotated[str, typer.Option(help="The witness's key: `edge-agent ledger witness` shows it.")] = "",
    webhook_host: Annotated[
        list[str] | None, typer.Option(help="A host that may hear of visits by webhooks; may be repeated.")
    ] = None,
    settle_interval: Annotated[
        float, typer.Option(min=0, help="Seconds between two judgements of the days that are due; 0: never.")
    ] = 120.0,
    rate: Annotated[
        float, typer.Option(min=1, help="How many requests a second the ledger accepts of all kiosks.")
    ] = 400.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="In how many processes it answers.")] = 1,
    proxies: Annotated[
        str, typer.Option(help="Reverse proxies whose X-Forwarded-For is believed, with commas between.")
    ] = "127.0.0.1",
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Prometheus reads counts, on loopback; 0: nowhere.")
    ] = 0,
    acts_are_lost: Annotated[
        bool, typer.Option("--acts-are-lost", help="Open the door although no whole copy of acts.jsonl is left.")
    ] = False,
) -> None:
    """Run the ledger until SIGTERM or Ctrl-C."""
    if workers > 1:
        share_counts(data_dir / "counts")
    from sync.ledger.door.counts import show_counts
    from sync.ledger.door.limits import DoorLimits
    from sync.ledger.fleet.metrics import FleetCollector
    from sync.ledger.server import LedgerOptions, LedgerServer, serve_until
    from sync.ledger.workers import run_workers

    log_setter = partial(set_up_logging, "INFO", LEDGER_IDENTIFIER)
    log_setter()
    ending = ShutdownFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    options = LedgerOptions(
        folder=data_dir, host=host, port=port, certificate=certificate, certificate_key=certificate_key,
        limits=DoorLimits(rate_per_s=rate, burst=int(2 * rate)), log_name=log_name, proxies=proxies,
        webhook_hosts=tuple(webhook_host or ()), witness=_witness_peer(witness_url, witness_key),
        settle_interval_s=settle_interval, acts_are_lost=acts_are_lost,
    )  # fmt: skip

    def announce(url: str) -> None:
        out.print(f"ledger at {url}", markup=False)

    def run(url: str, revive: Callable[[], object]) -> None:
        if metrics_port:
            show_counts(metrics_port, FleetCollector(url))
        running = LedgerServer(url, options) if workers == 1 else run_workers(url, options, workers, log_setter)
        serve_until(ending.wait, running, announce, revive)

    if database_url:
        run(database_url, lambda: None)
        return
    from canteen_demo.postgres import EmbeddedPostgres

    with EmbeddedPostgres(data_dir) as postgres:
        run(postgres.url, postgres.revive)


def _witness_peer(url: str, key: str) -> "WitnessPeer | None":
    from sync.ledger.transparency.cosigner import WitnessPeer
    from sync.ledger.transparency.outgoing import check_address

    if not url and not key:
        return None
    check_address(url)
    return WitnessPeer(url, read_note_key(key))
