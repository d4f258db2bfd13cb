"""`devices test`: one reading that goes the whole way to the ledger, and bills nobody."""

import time
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.cli.phrases import phrase
from edge_agent.control import ask
from edge_agent.control_api import DEVICES_TEST, NO_ARGUMENTS, STATUS, DeviceTestArguments, DeviceTestRow
from edge_agent.errors import RequestRefused
from edge_agent.runtime.scan_test import TEST_SCAN_S_MAX
from edge_agent.settings.reading import load_settings

RECEIPT_S = 60.0
_POLL_S = 0.2


def try_one_scan(
    seconds: Annotated[float, typer.Option(min=1, max=TEST_SCAN_S_MAX, help="For how long to wait for it.")] = 30.0,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Take the next card, code or person at any reader as a test: recorded and sent, and billed to nobody."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    if not as_json:
        out.print(f"Hold a card to a reader within {seconds:.0f} s.")
    recorded = request_test_scan(run_dir, seconds)
    has_receipt = wait_receipt(run_dir, recorded)
    if as_json:
        print_json({"reader": recorded.reader, "epoch": recorded.epoch, "seq": recorded.seq, "receipt": has_receipt})
        return
    out.print(f"{recorded.reader}: recorded as row {recorded.seq}", markup=False)
    out.print("the ledger has given its receipt" if has_receipt else "not sent: this kiosk is not registered")


def request_test_scan(run_dir: Path, seconds: float) -> DeviceTestRow:
    """Returns the place of the next reading, kept as a test. Raises RequestRefused where none comes in time."""
    (recorded,) = ask(run_dir, DEVICES_TEST, DeviceTestArguments(within_s=seconds), seconds + 30)
    return recorded


def wait_receipt(run_dir: Path, recorded: DeviceTestRow) -> bool:
    """Returns True once the ledger's receipt covers the row, False without a ledger. Raises RequestRefused."""
    until = time.monotonic() + RECEIPT_S
    while True:
        (status,) = ask(run_dir, STATUS, NO_ARGUMENTS)
        if status.ledger is None:
            return False
        if status.journal.epoch == recorded.epoch and status.journal.acknowledged >= recorded.seq:
            return True
        if time.monotonic() > until:
            raise RequestRefused(
                phrase("no receipt within {seconds} s: {why}", seconds=int(RECEIPT_S), why=status.ledger.why),
                phrase("the row is kept and sent later; see edge-agent doctor"),
            )
        time.sleep(_POLL_S)
