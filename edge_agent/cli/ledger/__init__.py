"""`edge-agent ledger`: the central ledger, for its operators and its readers."""

import typer

from edge_agent.cli.ledger import (
    account,
    audit,
    conformance,
    family,
    judgement,
    money,
    month,
    payer,
    proof,
    receipt_key,
    report,
    salvage,
    schools,
    serving,
    sheet,
    webhook,
)
from edge_agent.cli.ledger.database import require_ledger_extra

app = typer.Typer(no_args_is_help=True)
app.callback()(require_ledger_extra)
app.command()(serving.serve)
app.command()(schools.school)
app.command("enrol-code")(schools.enrol_code)
app.command()(schools.codes)
app.command()(schools.devices)
app.command()(schools.log)
app.command()(schools.suspend)
app.command()(report.report)
app.command()(salvage.salvage)
app.command()(judgement.settle)
app.command()(judgement.reverse)
app.add_typer(month.app, name="month")
app.add_typer(receipt_key.app, name="receipt-key")
app.add_typer(judgement.officer_app, name="officer")
app.command()(conformance.conformance)
app.command("log-key")(proof.log_key)
app.command()(proof.witness)
app.command("witness-evidence")(proof.witness_evidence)
app.command()(family.slip)
app.command()(family.person)
app.command()(family.erase)
app.command()(family.purge)
app.command()(audit.export)
app.command()(audit.verify)
app.add_typer(family.contest_app, name="contest")
app.add_typer(account.app, name="account", help="Those who read the pages.")
app.add_typer(sheet.app, name="sheet")
app.add_typer(money.calendar_app, name="calendar")
app.add_typer(money.tariff_app, name="tariff")
app.add_typer(payer.app, name="payer")
app.add_typer(webhook.app, name="webhook")
