"""The live view of the demo in the terminal: two kiosks, the network, the ledger, and the last events."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from canteen_demo.lunch import ChildrenQueue
from canteen_demo.play import DemoOutcome, Scene
from drivers.base import Signal

REDRAW_S = 0.5
WORDS = {
    Signal.WELCOME: "in",
    Signal.GOODBYE: "out",
    Signal.NOTED: "already noted",
    Signal.ASK: "asked",
    Signal.FAULT: "not recorded",
}


def watch_quietly(scene: Scene) -> None:
    """Waits for the end of the break."""
    while not all(queue.is_done for queue in scene.queues):
        time.sleep(REDRAW_S / 2)


def watch_live(scene: Scene, console: Console) -> None:
    """Draws the scene twice a second until the break is over."""
    with Live(_picture(scene), console=console, refresh_per_second=4) as live:
        while not all(queue.is_done for queue in scene.queues):
            time.sleep(REDRAW_S)
            live.update(_picture(scene))


def _picture(scene: Scene) -> Group:
    passed = max(0.0, scene.clock.seconds())
    length = scene.minutes * 60
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kiosk", "", "scans", *WORDS.values(), "to send", "screen"):
        table.add_column(column, justify="right" if column in {"scans", "to send", *WORDS.values()} else "left")
    for queue in scene.queues:
        table.add_row(*_kiosk_row(queue))
    down = not scene.relay.is_up
    network = Text("network down", style="bold red") if down else Text("network up", style="green")
    events = [Text(f"{int(second // 60):3}:{int(second % 60):02}  {text}") for second, text in scene.log[-5:]]
    progress = Table.grid(expand=True)
    progress.add_row(ProgressBar(total=length, completed=min(passed, length)))
    clock = Text(f"{scene.clock().utc.astimezone(scene.clock.opens.tzinfo):%H:%M:%S}  ×{scene.clock.speed:g}   ")
    return Group(
        Panel(
            Group(
                clock + network + Text(f"   {scene.count_ledger_rows()} rows in the ledger"),
                progress,
                table,
                *events,
            ),
            title="lunch break (simulated people and time, real everything else)",
        )
    )


def _kiosk_row(queue: ChildrenQueue) -> list[str | Text]:
    status = queue.kiosk.status()
    tally = queue.tally
    state = Text("runs", style="green") if status else Text("down", style="bold red")
    waiting = str(status.journal.queue) if status else "?"
    signals = [str(tally.signals[signal]) for signal in WORDS]
    return [queue.kiosk.name, state, str(tally.presentations), *signals, waiting, queue.kiosk.url]


def show_outcome(outcome: DemoOutcome, console: Console) -> None:
    """Prints the counts and the claims of the proof, the money, and the meal's proof as it was read back."""
    proof, money = outcome.proof, outcome.money
    figures = Table(
        "what", "count", box=None, pad_edge=False, header_style="bold", title="Counts", title_justify="left"
    )
    figures.columns[1].justify = "right"
    for name, value in {**proof.figures, **money.figures}.items():
        figures.add_row(name, str(value))
    claims = Table("claim", "", box=None, pad_edge=False, header_style="bold", title="Proof", title_justify="left")
    for line in (*proof.lines, *money.lines):
        result = (
            Text("holds", style="green")
            if line.holds
            else Text(_describe_difference(line.expected, line.actual), "red")
        )
        claims.add_row(line.claim, result)
    console.print(figures, "", claims, "")
    console.print("A family's proof of one meal, read back by verify_meal.py:", style="bold")
    console.print(money.read_back, markup=False, highlight=False)
    console.print("The payer's count, with a meal left out and one counted twice:", style="bold")
    for difference in money.differences:
        console.print(f"  {difference}", markup=False, highlight=False)


def _describe_difference(expected: object, actual: object) -> str:
    if isinstance(expected, dict) and isinstance(actual, dict):
        return f"FAILS: {len(expected.items() ^ actual.items())} rows differ"
    return f"FAILS: expected {expected}, found {actual}"
