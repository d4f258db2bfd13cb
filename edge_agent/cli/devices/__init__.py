"""`edge-agent devices`: what is attached, what it sends, and what that means."""

import typer

from edge_agent.cli.devices import (
    calibrate,
    clocks,
    commission,
    decode,
    import_log,
    inventory,
    outputs,
    replay,
    scan_test,
    traffic,
    unread,
)

app = typer.Typer(no_args_is_help=True)
app.command("list")(inventory.list_drivers)
app.command("import")(import_log.import_log)
app.command()(calibrate.calibrate)
app.command()(inventory.probe)
app.command()(traffic.watch)
app.command()(traffic.capture)
app.command()(replay.replay)
app.command()(commission.commission)
app.command("test")(scan_test.try_one_scan)
app.command("unread")(unread.show_unread)
app.command("clocks")(clocks.show_clocks)
app.command("confirm-clock")(clocks.confirm_clock)
app.command("off")(outputs.switch_off)
app.command()(decode.decode)
