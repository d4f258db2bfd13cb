"""`edge-agent ledger witness` and `log-key`: those who sign that no history was changed."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DataOption
from edge_agent.cli.ledger.key_files import open_log_key
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode
from edge_agent.process.logs import LEDGER_IDENTIFIER, set_up_logging
from edge_agent.process.shutdown import ShutdownFlag

if TYPE_CHECKING:
    from sync.proof.notes import NoteKey

WITNESS_DATA_DEFAULT = Path("/var/lib/edge-agent-witness")
WitnessDataOption = Annotated[
    Path, typer.Option("--data", envvar="WITNESS_DATA", help="Its folder: its key, and what it has seen.")
]


class WrongNoteKey(AgentError):
    """A key on the command line is none."""

    exit_code = ExitCode.USAGE


class NoEvidence(AgentError):
    """A witness's evidence cannot be read, or not be written where it was asked for."""

    exit_code = ExitCode.USAGE


def read_note_key(text: str) -> "NoteKey":
    """Returns the key in `name+id+key`. Raises WrongNoteKey."""
    from sync.proof.notes import BadNote, parse_key

    try:
        return parse_key(text.strip())
    except BadNote as error:
        raise WrongNoteKey(str(error), "copy it as `edge-agent ledger log-key` or `witness` shows it") from error


def log_key(
    data_dir: DataOption = DATA_DEFAULT,
    log_name: Annotated[
        str, typer.Option(help="The name of all logs, if their key is not drawn yet.")
    ] = "canteen.local",
    as_json: JsonOption = False,
) -> None:
    """Show the key that signs the logs: a witness needs it."""
    data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = str(open_log_key(data_dir, log_name).ledger_key)
    if as_json:
        print_json({"key": key})
    else:
        out.print(key, markup=False, soft_wrap=True)


def witness(
    log_keys: Annotated[
        list[str], typer.Argument(help="Keys of ledgers whose logs are watched, as `log-key` shows them.")
    ],
    name: Annotated[str, typer.Option(help="The witness's own name, such as its domain; fixed at the first start.")],
    data_dir: WitnessDataOption = WITNESS_DATA_DEFAULT,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8461,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> None:
    """Cosign checkpoints of other people's ledgers until SIGTERM or Ctrl-C, each only if it continues the one before.

    Run it on a machine of somebody else than the ledger's operator: that is its worth.
    """
    from sync.ledger.door.listening import HttpServerThread, ListeningAddress
    from sync.ledger.keys import load_or_create_witness
    from sync.ledger.server import utc_now
    from sync.ledger.transparency.witness import Witness, build_witness_application

    set_up_logging("INFO", LEDGER_IDENTIFIER)
    ending = ShutdownFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    trusted = [read_note_key(key) for key in log_keys]
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    seer = Witness(data_dir, load_or_create_witness(data_dir / "witness.key", name), trusted, utc_now)
    address = ListeningAddress(host=host, port=port, certificate=certificate, certificate_key=certificate_key)
    server = HttpServerThread(build_witness_application(seer), address, "witness-http")
    try:
        out.print(f"witness at {server.url}\n{seer.key}", markup=False, soft_wrap=True)
        while not ending.wait(1.0):
            if not server.alive:
                raise AgentError("the HTTP server ended by itself", "see the log above")
    finally:
        server.stop()


def witness_evidence(
    folder: Annotated[Path, typer.Argument(help="A new folder, for two notes of each refusal.")],
    data_dir: WitnessDataOption = WITNESS_DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List what a witness refused to cosign, and write it out as notes that carry the log's own signature."""
    from sync.ledger.transparency.witness import read_evidence

    try:
        refused = read_evidence(data_dir)
        folder.mkdir(parents=True)
        for number, view in enumerate(refused, 1):
            (folder / f"{number:03}-refused.note").write_text(view.note, "utf-8")
            if view.last_note:
                (folder / f"{number:03}-cosigned-before.note").write_text(view.last_note, "utf-8")
    except OSError as error:
        raise NoEvidence(
            f"{error.filename}: {error.strerror}", "name the witness's folder with --data, and a new one for the notes"
        ) from error
    rows = [
        {"number": number, "received_at": view.received_at, "log": view.note.partition("\n")[0], "reason": view.reason}
        for number, view in enumerate(refused, 1)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(("number", "received at", "log", "reason"), (list(row.values()) for row in rows))
    out.print(f"{len(refused)} refused checkpoints in {folder}", markup=False, soft_wrap=True)
