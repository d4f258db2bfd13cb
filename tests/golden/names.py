"""Every name that somebody outside depends on, as golden text: file name → what makes its text.

What runs without a kiosk stands in `STILL`; what a running kiosk is asked for in `LIVE`; the ledger's in `LEDGER`.
"""

import json
import re
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.golden import adapter
from tests.golden.kiosk import DEVICE_KEY, Kiosk
from tests.golden.replay import DAY
from tests.golden.shapes import of_type, of_value

ROOT = Path(__file__).parents[2]
NAMES = Path(__file__).with_name("names")

T = TypeVar("T")


def _sections(parts: dict[str, str]) -> str:
    return "\n".join(f"== {name}\n{text}\n" for name, text in parts.items())


# Without a kiosk.


def events() -> str:
    return of_type(adapter.EVENT) + "\n"


def records() -> str:
    return of_type(adapter.ROSTER_RECORD) + "\n"


def messages() -> str:
    return _sections({name: of_type(kind) for name, kind in adapter.MESSAGES.items()})


def screen_types() -> str:
    return _sections({name: of_type(kind) for name, kind in adapter.SCREEN.items()})


def signatures() -> str:
    """The headers of two requests, byte for byte: Ed25519 signs the same way each time."""
    key = Ed25519PrivateKey.from_private_bytes(DEVICE_KEY)
    content = {"content-type": "application/x-ndjson", "content-encoding": "zstd"}
    asked = {
        "GET with a query": adapter.signed_headers("GET", "/v1/schools/sch-1/roster", "since=0", {}, b"", key),
        "POST": adapter.signed_headers(
            "POST", "/v1/devices/k1/epochs/00000000000000aa/batches", "", content, b"x", key
        ),
    }
    return _sections({name: "\n".join(f"{k}: {v}" for k, v in headers.items()) for name, headers in asked.items()})


def openapi() -> str:
    """The document without titles and prose; schemas are numbered as they first appear, since their names are ours."""
    document = json.loads(adapter.openapi_document())
    document["info"].pop("version")
    schemas = document["components"].pop("schemas")
    numbers: dict[str, int] = {}
    bare = _numbered(document, numbers)
    listed: list[Any] = []
    while len(listed) < len(numbers):
        listed.append(_numbered(schemas[list(numbers)[len(listed)]], numbers))
    whole = bare | {"schemas": {str(number): schema for number, schema in enumerate(listed, 1)}}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _numbered(node: Any, numbers: dict[str, int]) -> Any:
    if isinstance(node, list):
        return [_numbered(each, numbers) for each in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        name = node["$ref"].rpartition("/")[2]
        return {"$ref": numbers.setdefault(name, len(numbers) + 1)}
    kept = {
        key: value for key, value in node.items() if not (key in {"title", "description"} and isinstance(value, str))
    }
    if "discriminator" in kept:
        kept["discriminator"] = {"propertyName": node["discriminator"]["propertyName"]}
    return {key: _numbered(kept[key], numbers) for key in sorted(kept)}


def settings() -> str:
    return _sections({"the file": of_type(adapter.SETTINGS), "of each device": of_type(adapter.DEVICE_SETTINGS)})


def drivers() -> str:
    """In an interpreter of its own, which may have stand-ins for libraries that are not installed here."""
    command = [sys.executable, "-m", "tests.golden.driver_options"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command_line() -> str:
    return "\n".join(_command("edge-agent", adapter.command_line())) + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    yield path + (" (hidden)" if command.hidden else "")
    for parameter in command.params:
        if parameter.name != "help":
            yield f"  {_parameter(parameter)}"
    below = getattr(command, "commands", {})
    for name in sorted(below):
        yield from _command(f"{path} {name}", below[name])


def _parameter(parameter: Any) -> str:
    """Its spellings, then whether it is a flag, needed, repeatable; bounds, default, variable."""
    argument = parameter.param_type_name == "argument"
    words = [parameter.opts[0].upper()] if argument else [*parameter.opts, *parameter.secondary_opts]
    flag = getattr(parameter, "is_flag", False)
    words += ["flag"] if flag else []
    words += ["required"] if parameter.required else []
    words += ["repeatable"] if getattr(parameter, "multiple", False) or parameter.nargs == -1 else []
    holder = parameter if hasattr(parameter, "min") else getattr(parameter, "type", None)
    for bound in ("min", "max"):
        value = getattr(holder, bound, None)
        words += [] if value is None else [f"{bound}={value}"]
    default = parameter.default
    if not flag and not parameter.required and "--jobs" not in parameter.opts:  # as many as there are processors
        words.append(f"= {str(default) if isinstance(default, Path) else default!r}")
    words += [f"or ${parameter.envvar}"] if parameter.envvar else []
    return " ".join(words)


def exit_codes() -> str:
    return "".join(f"{code.value}\n" for code in adapter.EXIT_CODES)


def environment() -> str:
    """Variables that the code asks for, by their names in its text."""
    found: set[str] = set()
    for folder in ("edge_agent", "drivers", "sync"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            found |= set(re.findall(r"""environ(?:\.get|\.setdefault)?[\[(]\s*["']([A-Z0-9_]+)["']""", text))
            found |= set(re.findall(r"""["']([A-Z_]{4,})["'] in os\.environ""", text))
            found |= set(re.findall(r"""^[A-Z_]*VARIABLE = ["']([A-Z0-9_]+)["']""", text, re.MULTILINE))
            found |= set(re.findall(r"""envvar=["']([A-Z0-9_]+)["']""", text))
    return "".join(f"{name}\n" for name in sorted(found))


def installed_files() -> str:
    """What a technician installs, without its comments: units, users, folders, rules."""
    parts: dict[str, str] = {}
    for path in sorted((ROOT / "config").rglob("*")):
        if path.is_file():
            lines = path.read_text("utf-8").splitlines()
            parts[str(path.relative_to(ROOT))] = "\n".join(
                line for line in lines if line.strip() and not line.lstrip().startswith(("#", "//"))
            )
    return _sections(parts)


def catalogues() -> str:
    """The keys of the screen's words, the same in each language."""
    found = {
        path.stem: _keys(json.loads(path.read_text("utf-8")))
        for path in (ROOT / "edge_agent").rglob("catalogue/*.json")
    }
    return _sections({name: "\n".join(keys) for name, keys in sorted(found.items())})


def _keys(node: dict[str, Any], at: str = "") -> list[str]:
    return sorted(
        key
        for name, value in node.items()
        for key in (_keys(value, f"{at}{name}.") if isinstance(value, dict) else [f"{at}{name}"])
    )


STILL: dict[str, Callable[[], str]] = {
    "wire-events.txt": events,
    "wire-roster.txt": records,
    "wire-messages.txt": messages,
    "wire-signature.txt": signatures,
    "wire-openapi.json": openapi,
    "settings.txt": settings,
    "drivers.txt": drivers,
    "command-line.txt": command_line,
    "exit-codes.txt": exit_codes,
    "environment.txt": environment,
    "installed-files.txt": installed_files,
    "screen-types.txt": screen_types,
    "screen-words.txt": catalogues,
}


# Of a running kiosk.


def serve_something(kiosk: Kiosk) -> None:
    """A roster, an entry and somebody unknown, so that answers are not empty."""
    kiosk.ask("roster.apply", page=json.loads((DAY / "roster-1.json").read_text("utf-8")))
    kiosk.script.advance(600)
    for count, frame in enumerate(("0231463030363434424236383603", "0236373030334241383637393303" * 2), 1):
        kiosk.ports["door"].send(bytes.fromhex(frame))
        kiosk.until(lambda count=count: len(kiosk.lights()) >= 2 * count - 1)  # type: ignore[misc]
    kiosk.shown(3)
    kiosk.until(lambda: kiosk.status()["journal"]["checked"] is not None)


def journal_schema(kiosk: Kiosk) -> str:
    with closing(sqlite3.connect(kiosk.journal)) as database:
        made = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        steps = [str(row) for row in database.execute("SELECT migration_set, name FROM _sqlite_migrations ORDER BY id")]
    return _sections({f"{kind} {name}": sql or "(SQLite's own)" for kind, name, sql in made}) + "\n".join(steps) + "\n"


def control(kiosk: Kiosk) -> str:
    """Every command; the keys of its answers where one can be had without a camera or a ledger."""
    now = "2026-09-07T03:06:00+00:00"
    requests: dict[str, dict[str, object]] = {
        "status": {},
        "journal.list": {"limit": 2},
        "journal.verify": {},
        "journal.export": {},
        "journal.backup": {},
        "sync.now": {},
        "sync.quarantine": {},
        "roster.show": {},
        "roster.records": {},
        "roster.apply": {"page": {"school": "sch-1", "since": 1, "version": 2, "changes": []}},
        "devices.watch": {"device": "door", "seconds": 1.0},
        "devices.import": {"device": "palm", "matches": [["1042", "palm", now]]},
        "palm.enrol": {"person": "u-hands", "operator": "Cook", "hand": "left", "reader": "palm"},
        "palm.forget": {"person": "u-hands"},
        "palm.export": {},
        "palm.import": {"head": {}, "palms": []},
        "no.such": {},
    }
    parts = {"commands": "\n".join(adapter.control_commands())}
    for command, arguments in requests.items():
        if command == "devices.watch":
            answer = _while_time_passes(kiosk, partial(kiosk.ask, command, **arguments))
        else:
            answer = kiosk.ask(command, **arguments)
        asked = json.dumps({"command": command, "arguments": arguments}, ensure_ascii=False)
        lines = sorted({line for each in answer for line in of_value(_bare(each))})
        count = "lines" if command == "devices.watch" else f"{len(answer)} lines"
        parts[asked] = "\n".join([count, *lines])
    parts["journal.list with another limit"] = json.dumps(kiosk.ask("journal.list", limit=0))
    parts |= {name: of_type(kind) for name, kind in adapter.CONTROL.items()}
    return _sections(parts)


def _while_time_passes(kiosk: Kiosk, ask: Callable[[], T]) -> T:
    """A watch ends by the scripted clock, which must be moved from beside it; meanwhile a card is put down anew, for
    an event each time.
    """
    with ThreadPoolExecutor(1) as beside:
        watching = beside.submit(ask)
        while not watching.done():
            kiosk.ports["door"].send(bytes.fromhex("0231463030363434424236383603"))
            kiosk.script.advance(0.6)
            time.sleep(0.1)
        return watching.result()


def _bare(answer: dict[str, Any]) -> dict[str, Any]:
    """An error's text is no name; its code is."""
    return answer | {"error": f"code {answer['code']}"} if "error" in answer else answer


def metrics(kiosk: Kiosk) -> str:
    """Names, kinds and labels; values and the times of creation are not names."""
    _, kind, text = kiosk.http("GET", "/metrics")
    lines = [line for line in text.decode().splitlines() if not line.startswith("# HELP")]
    bare = [line if line.startswith("# TYPE") else re.sub(r" [-+0-9.einfa]+$", "", line) for line in lines]
    return "\n".join([kind.partition(";")[0], *bare]) + "\n"


def pages(kiosk: Kiosk) -> str:
    """Every address of the screen, what it answers with, and the keys of what is JSON."""
    kiosk.sign_in()
    epoch = kiosk.status()["journal"]["epoch"]
    requests: list[tuple[str, str, dict[str, object] | None]] = [
        ("GET", "/", None), ("GET", "/staff", None), ("GET", "/page/child.js", None), ("GET", "/catalogues.json", None),
        ("GET", "/events", None), ("GET", "/events/staff", None), ("GET", "/health", None), ("GET", "/metrics", None),
        ("GET", "/staff/session", None), ("GET", "/staff/groups", None),
        ("POST", "/staff/find", {"text": "Дана"}),
        ("POST", "/staff/enter", {"person": "u-dana", "reason": "forgot_card"}),
        ("POST", "/staff/class", {"group": "3 «В»", "reason": "reader_down"}),
        ("POST", "/staff/void", {"epoch": epoch, "seq": 9_999, "reason": "twice"}),
        ("POST", "/staff/sign-out", {}), ("POST", "/staff/find", {"text": "Дана"}),
        ("POST", "/staff/sign-in", {"pin": "1111", "operator": "Cook"}),
        ("POST", "/staff/sign-in", {"pin": "2468", "operator": "Cook"}), ("GET", "/no-such", None),
    ]  # fmt: skip
    parts: dict[str, str] = {}
    for method, path, body in requests:
        status, kind, content = kiosk.http(method, path, body)
        lines = [f"{status} {kind.partition(';')[0]}"]
        if kind.startswith(("application/json", "text/event-stream")) and path != "/catalogues.json":
            lines += of_value(json.loads(content))
        parts[f"{method} {path} {'' if body is None else json.dumps(body, ensure_ascii=False)}".strip()] = "\n".join(
            lines
        )
    return _sections(parts)


def json_outputs(kiosk: Kiosk) -> str:
    """The keys of every JSON that a kiosk without ledger and camera prints."""
    config = ("--config", str(kiosk.config))
    (frame, log, image) = (kiosk.folder / name for name in ("frame.hex", "attlog.dat", "grey.png"))
    frame.write_text("0231463030363434424236383603", "ascii")
    log.write_bytes(b"1042\t2026-09-07 08:06:00\t0\t1\t\t0\t0\t\r\n")
    image.write_bytes(_grey_png(320, 240))
    kiosk.command("palm", "key", "make", *config, typed="y\n")
    commands: list[tuple[str, ...]] = [
        ("config", "show", "--json", *config),
        ("devices", "list", "--json", *config),
        ("devices", "decode", "em4100", str(frame), "--hex"),
        ("devices", "import", "palm", str(log), "--write", "--json", *config),
        ("doctor", "--json", *config),
        ("journal", "list", "--limit", "1", "--json", *config),
        ("journal", "verify", "--json", *config),
        ("palm", "key", "show-code", "--json", *config),
        ("palm", "quality", str(image), "--json", *config),
        ("roster", "show", "--json", *config),
        ("sync", "status", "--json", *config),
    ]
    parts: dict[str, str] = {}
    for command in commands:
        done = kiosk.command(*command, check=False)
        values = [json.loads(line) for line in done.stdout.splitlines()]
        words = [word.replace(f"{kiosk.folder}/", "") for word in command if word not in config]
        parts[" ".join(words)] = "\n".join(sorted({line for value in values for line in of_value(value)}))
    return _sections(parts)


def _grey_png(width: int, height: int) -> bytes:
    rows = (b"\x00" + b"\x80" * width) * height
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def file_formats(kiosk: Kiosk) -> str:
    """The keys of what is written for others to read, a line each: a journal's export, a capture of a reader."""
    config = ("--config", str(kiosk.config))
    export, capture = kiosk.folder / "export.jsonl", kiosk.folder / "capture.jsonl"
    kiosk.command("journal", "export", str(export), *config)
    recording = ("devices", "capture", "door", str(capture), "--seconds", "1", *config)
    _while_time_passes(kiosk, lambda: kiosk.command(*recording))
    replayed = kiosk.command("devices", "replay", str(capture), "--fast").stdout
    texts = {
        "journal export": export.read_text("utf-8"),
        "devices capture": capture.read_text("utf-8"),
        "devices replay": replayed,
    }
    return _sections({
        name: "\n".join(sorted({line for text in text.splitlines() for line in of_value(json.loads(text))}))
        for name, text in texts.items()
    })  # fmt: skip


def exits(kiosk: Kiosk) -> str:
    """A way to each exit code that needs no device and no ledger."""
    config = ("--config", str(kiosk.config))
    stopped = kiosk.folder / "stopped.toml"
    stopped.write_text(
        kiosk.config.read_text("utf-8").replace(str(kiosk.run_dir), str(kiosk.run_dir / "none")), "utf-8"
    )
    broken = kiosk.folder / "broken.jsonl"
    broken.write_text('{"epoch":1}\n', "utf-8")
    commands: dict[str, tuple[str, ...]] = {
        "settings are good": ("config", "show", *config),
        "a broken export": ("journal", "verify", "--export", str(broken), *config),
        "a wrong option": ("journal", "list", "--limit", "0", *config),
        "no settings file": ("config", "show", "--config", str(kiosk.folder / "none.toml")),
        "no daemon": ("sync", "status", "--config", str(stopped)),
        "no ledger": ("register", "http://127.0.0.1:9", "CODE", *config),
    }
    codes = {name: kiosk.command(*command, check=False).returncode for name, command in commands.items()}
    return "".join(f"{name}: {code}\n" for name, code in codes.items())


def files(kiosk: Kiosk) -> str:
    """What stands in the state and run folders, and what systemd is told."""
    stamped = re.compile(r"\d{8}T\d{6}")
    return _sections({
        "state": "\n".join(sorted(stamped.sub("TIME", path.name) for path in kiosk.state_dir.iterdir())),
        "run": "\n".join(sorted(path.name for path in kiosk.run_dir.iterdir())),
        "sd_notify": "\n".join(sorted(kiosk.notified)),
    })  # fmt: skip


LIVE: dict[str, Callable[[Kiosk], str]] = {
    "sql-journal.txt": journal_schema,
    "control.txt": control,
    "metrics.txt": metrics,
    "screen-pages.txt": pages,
    "json-outputs.txt": json_outputs,
    "file-formats.txt": file_formats,
    "files.txt": files,
    "exits.txt": exits,
}


def live(kiosk: Kiosk) -> dict[str, str]:
    """Everything that a started kiosk is asked for, always in this order: some questions change what is there."""
    serve_something(kiosk)
    return {name: ask(kiosk) for name, ask in LIVE.items()}


# Of the ledger.

_CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY table_name, ordinal_position""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal ORDER BY 1, 2""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "types": """
        SELECT t.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_type t
        JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY 1 ORDER BY 1""",
}


_EVENTS_OF_A_MONTH = re.compile(r"event_\d{4}_\d{2}(_|$)")  # like `event`, for the months around today


def ledger_schema(folder: Path) -> str:
    """The catalog of a fresh ledger's PostgreSQL, without the partitions, whose names are of today."""
    parts: dict[str, str] = {}
    with adapter.ledger_database(folder) as connection:
        for name, query in _CATALOG.items():
            rows = [row for row in connection.execute(query) if not _EVENTS_OF_A_MONTH.match(str(row[0]))]
            parts[name] = "\n".join(" | ".join("-" if each is None else str(each) for each in row) for row in rows)
    return _sections(parts)


LEDGER: dict[str, Callable[[Path], str]] = {"sql-ledger.txt": ledger_schema}
