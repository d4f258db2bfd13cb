"""`edge-agent palm`: enrol palms, judge pictures, measure recognition, and keep the school's key."""

import typer

from edge_agent.cli.palm import enrolment, evaluate, key, networks, quality, transfer

app = typer.Typer(no_args_is_help=True)
app.add_typer(key.app, name="key", help="The school's palm key: make it, hand it on, keep it in the safe.")
app.command()(enrolment.enrol)
app.command()(enrolment.forget)
app.command()(transfer.export)
app.command("import")(transfer.import_)
app.command()(quality.quality)
app.command()(networks.models)
app.command()(evaluate.evaluate)
