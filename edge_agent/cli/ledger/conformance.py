"""`edge-agent ledger conformance`: a check of any ledger against the contract."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import JsonOption, print_json, print_table
from edge_agent.errors import ExitCode


def conformance(
    url: Annotated[str, typer.Argument(help="The ledger's address: https://ledger.example")],
    code: Annotated[str, typer.Argument(help="A one-time code of a test school there.")],
    certificate: Annotated[
        Path | None, typer.Option("--ca", help="PEM of the authority that signed its certificate.")
    ] = None,
    time_limits: Annotated[
        bool, typer.Option("--time-limits", help="Also wait until half requests are ended: up to two minutes each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check any ledger against the contract, as a kiosk of a test school. It writes test events into the ledger."""
    from dataclasses import asdict

    from sync.ledger.checking.conformance import TIME_LIMIT_PATIENCE_S, check_ledger

    results = check_ledger(url, code, certificate, patience_s=TIME_LIMIT_PATIENCE_S if time_limits else 0.0)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        print_table(("", "check", "found"), (("ok" if r.ok else "FAILS", r.name, r.detail) for r in results))
    if not all(result.ok for result in results):
        sys.exit(ExitCode.FAILED)
