"""`edge-agent devices`: what is there, what it sends, what it means."""

import os
import secrets
import string
import sys
import time
from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, assert_never

import msgspec
import typer

from drivers import registry
from drivers.base import Reader
from drivers.bench import calibration, decoding, discovery, discovery_input, one_card, osdp_key, osdp_trace
from drivers.bench.capture import CaptureTap, Chunk, read_capture
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import DeviceError
from drivers.protocols import osdpcap, zk_attlog
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault, Uid
from drivers.settings import parse
from drivers.transports.recorded import RecordedTransport
from edge_agent import settings, settings_file
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs, print_table
from edge_agent.control import ask
from edge_agent.control_api import (
    DEVICES_IMPORT,
    DEVICES_WATCH,
    NO_ARGUMENTS,
    STATUS,
    DeviceImportArguments,
    DeviceWatchArguments,
    TerminalMatch,
)
from edge_agent.errors import AgentError, AgentNotRunning, AgentRunning, DaemonVersionDiffers, ExitCode, RequestRefused
from edge_agent.settings import DeviceSettings, Settings

app = typer.Typer(no_args_is_help=True)

READ_S = 0.5
IMPORT_ROWS = 1_000  # a question to the daemon
IMPORT_S = 600.0
IMPORT_BYTES_MAX = 64 * 1024 * 1024  # a million rows
FAULTS_SHOWN = 20
CHUNK_BYTES = 64 * 1024
GAP_S_MAX = 3_600.0
_BETWEEN_DIGITS = string.whitespace.encode() + b":-,"  # as logs write it
SecondsOption = Annotated[float, typer.Option(min=0.1, max=3_600, help="For how long.")]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="The key of an OSDP reader, to see what its secure channel hides.")
]
DeviceArgument = Annotated[str, typer.Argument(help="A reader's name in the settings.")]


@app.command("list")
def list_drivers(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Every driver, those of other packages too, and the readers and lights of the settings: whether they are there."""
    loaded = settings.load_settings(config) if config.exists() else settings.parse_settings("", config)
    rows = [
        {"driver": name, "kind": each.kind.value, "for": each.what, "extra": each.extra, "from": each.distribution}
        for name, each in sorted(loaded.drivers.items())
    ]
    attached = list(_attached(loaded.settings))
    if as_json:
        refused = [msgspec.to_builtins(each) for each in loaded.refused_plugins]
        print_json({"drivers": rows, "configured": attached, "refused": refused})
        return
    print_table(("driver", "kind", "for", "needs", "from"), (tuple(row.values()) for row in rows))
    out.print()
    print_table(
        ("configured", "driver", "there", "why not", "readings", "faults"),
        (tuple(row.values()) for row in attached),
        title=None if attached else f"nothing is configured in {config}",
    )
    if loaded.refused_plugins:
        out.print()
        print_table(
            ("not taken", "from", "why"), ((each.name, each.distribution, each.why) for each in loaded.refused_plugins)
        )


def _attached(loaded: Settings) -> Iterator[dict[str, object]]:
    try:
        (status,) = ask(loaded.kiosk.run_dir, STATUS, NO_ARGUMENTS)
    except AgentNotRunning:
        for device in (*loaded.readers, *loaded.indicators):
            yield {"name": device.name, "driver": device.driver, "there": "?", "why": "the agent is not running"}
        return
    yield from (msgspec.to_builtins(device) for device in (*status.readers, *status.indicators))


@app.command("import")
def import_log(
    device: DeviceArgument,
    source: Annotated[
        Path, typer.Argument(help="attlog.dat, from the terminal's memory stick.", exists=True, dir_okay=False)
    ],
    write: Annotated[bool, typer.Option("--write", help="Take the rows; without it they are only shown.")] = False,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what a terminal kept in its attlog.dat, and with --write record it; importing again adds no meal."""
    loaded = settings.load_settings(config).settings
    chosen = _device(config, device)
    known = registry.entry(chosen.driver, settings.load_settings(config).drivers)
    if known.protocol or known.camera:
        raise RequestRefused(f"{device} is no terminal but {known.what}: name the terminal that the file is from")
    if source.stat().st_size > IMPORT_BYTES_MAX:
        raise RequestRefused(f"{source} has more than {IMPORT_BYTES_MAX >> 20} MiB, and is no attlog.dat of a terminal")
    found = zk_attlog.preview(source.read_bytes())
    told: dict[str, object] = {"rows": len(found.punches), "people": len(found.numbers)}
    told |= {"first": found.first, "last": found.last, "repeated": found.repeated, "faults": len(found.faults)}
    if write:
        told["taken"] = sum(_handed_over(loaded, chosen, part) for part in _portions(found.punches))
    if as_json:
        print_json(told)
        return
    print_pairs(told)
    for line, what in found.faults[:FAULTS_SHOWN]:
        out.print(f"line {line}: {what}", markup=False)
    if not write:
        out.print("nothing was recorded; --write takes these rows", markup=False)


def _portions(punches: Sequence[zk_attlog.Punch]) -> Iterator[Sequence[zk_attlog.Punch]]:
    return (punches[first : first + IMPORT_ROWS] for first in range(0, len(punches), IMPORT_ROWS))


def _handed_over(loaded: Settings, device: DeviceSettings, punches: Sequence[zk_attlog.Punch]) -> int:
    """To the running daemon, which alone has the journal; times are the school's local ones."""
    matches = tuple(
        TerminalMatch(
            punch.number,
            punch.method("palm"),
            datetime.fromisoformat(punch.time).replace(tzinfo=loaded.zone).isoformat(),
        )
        for punch in punches
    )
    arguments = DeviceImportArguments(device=device.name, matches=matches)
    (answer,) = ask(loaded.kiosk.run_dir, DEVICES_IMPORT, arguments, IMPORT_S)
    return answer.imported


@app.command()
def calibrate(
    device: DeviceArgument,
    known: Annotated[str, typer.Argument(help="The number as it stands on the card: 0006572982, 100,19382, hex.")],
    seconds: SecondsOption = 20.0,
    write: Annotated[bool, typer.Option("--write", help="Put the setting into the file.")] = False,
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Find a reader's uid_encoding from one card whose number is known; the daemon must be stopped for it."""
    loaded = settings.load_settings(config)
    chosen = _device(config, device)
    now, encodings = calibration.choice(chosen.options)
    driver = registry.reader_class(chosen.driver, loaded.drivers)
    out.print("Hold the card to the reader.")
    match one_card.read_card(driver, chosen.options, seconds):
        case Uid() as uid:
            outcome = calibration.calibrate(known, uid, now, encodings)
        case one_card.NoCardReading(sent=sent, why=why):
            readings = one_card.read_under_encodings(driver, chosen.options, encodings, sent)
            if not readings and why:
                raise RequestRefused(f"something came, and no card: {why}")
            if not readings:
                raise RequestRefused(f"no card within {seconds:.0f} s; does the reader blink when the card comes near?")
            outcome = calibration.calibrate_from(known, readings, now)
    match outcome:
        case calibration.Fits(candidate=candidate):
            line = f'{calibration.SETTING} = "{candidate.encoding.value}"'
            out.print(f"{candidate.how}: {line}", markup=False)
            if candidate.partial:
                out.print("The reader passes on a part of the number; several cards may have it in common.")
            if write:
                settings_file.set_reader_key(config, chosen.name, calibration.SETTING, candidate.encoding.value)
                out.print(f"written to {config}; restart the daemon", markup=False)
        case calibration.SeveralFit(candidates=candidates, what_next=what_next):
            for candidate in candidates:
                part = ", of which the reader passes on a part" if candidate.partial else ""
                out.print(f"{candidate.encoding.value}: {candidate.how}{part}", markup=False)
            raise RequestRefused(what_next)
        case calibration.NoneFits(what_next=what_next):
            raise RequestRefused(what_next)
        case _:
            assert_never(outcome)


@app.command()
def probe(as_json: JsonOption = False) -> None:
    """What is plugged in, the drivers that fit, and what is missing for it to work."""
    found = (*discovery.probe(), *discovery_input.probe())
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ("port", "device", "usb", "drivers", "to do"),
            ((x.port, x.what, x.usb_id, " or ".join(x.drivers), "; ".join(x.missing) or "nothing") for x in found),
        )
    else:
        out.print("nothing is plugged in that could be a reader; is the cable in, and the adapter's light on?")


@app.command()
def watch(
    device: DeviceArgument,
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Bytes as they pass, and what they mean. Card numbers are shown whole."""
    chosen = _device(config, device)
    decoder = decoding.decoding_for(registry.entry(chosen.driver, settings.load_settings(config).drivers).protocol)
    for chunk in _traffic(config, chosen, seconds):
        meaning = decoder.feed(bytes.fromhex(chunk.hex)) if chunk.dir == "RECV" else ()
        if as_json:
            events = [msgspec.to_builtins(line) for line in meaning]
            print_json({"t_ns": chunk.t_ns, "dir": chunk.dir, "hex": chunk.hex, "events": events})
            continue
        out.print(f"{chunk.t_ns / 1e9:12.3f} {chunk.dir} {chunk.hex}", markup=False, soft_wrap=True)
        for line in meaning:
            out.print(f"{'':12} {decoding.to_json(line).decode()}", markup=False, soft_wrap=True)


@app.command()
def capture(
    device: DeviceArgument,
    target: Annotated[Path, typer.Argument(help="Where to write it; must not exist yet.")],
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    whole: Annotated[bool, typer.Option("--whole", help="Keep real card numbers; such a file is a secret.")] = False,
) -> None:
    """Record what a reader sends, with times; card numbers are replaced unless --whole. Of OSDP: an OSDPCAP file."""
    chosen = _device(config, device)
    drivers = settings.load_settings(config).drivers
    now_ns = 0
    try:
        file = target.open("xb")
    except FileExistsError as error:
        raise RequestRefused(f"{target} exists; name a new file, nothing is overwritten") from error
    except OSError as error:
        raise RequestRefused(f"cannot write {target}: {error.strerror}") from error
    with _kept_if_used(target), file:
        key = None if whole else secrets.token_bytes(32)
        written: CaptureTap | osdp_trace.OsdpTrace
        if registry.entry(chosen.driver, drivers).protocol == "osdp":
            written = osdp_trace.OsdpTrace(file, clock=lambda: now_ns, redact_key=key)
        else:
            written = CaptureTap(
                file, chosen.driver, chosen.options, clock=lambda: now_ns, redact_key=key, drivers=drivers
            )
        for chunk in _traffic(config, chosen, seconds):
            now_ns = chunk.t_ns
            written(chunk.dir, bytes.fromhex(chunk.hex))
        if not now_ns:
            raise RequestRefused(f"nothing came from {device} in {seconds:g} s, so that no file was kept")
        written.finish()
    out.print(f"{target}: {'whole, keep it safe' if whole else 'card numbers replaced'}", markup=False)


@contextmanager
def _kept_if_used(target: Path) -> Iterator[None]:
    """A file that holds nothing would only be in the way of the next try."""
    try:
        yield
    except (DeviceError, AgentError):
        target.unlink()
        raise


@app.command()
def replay(
    source: Annotated[Path, typer.Argument(help="A file made by `devices capture`.", exists=True, dir_okay=False)],
    fast: Annotated[bool, typer.Option("--fast", help="Without the recorded gaps.")] = False,
    key_file: KeyFileOption = None,
) -> None:
    """Play a capture through the real driver and print what it would have reported."""
    with source.open("rb") as file:
        first = file.readline(osdpcap.OSDPCAP_LINE_BYTES_MAX)
        file.seek(0)
        if osdp_trace.is_trace(first):
            _replay_trace(file, osdp_key.load(key_file) if key_file else None, gaps=not fast)
            return
        if key_file is not None:
            raise RequestRefused(f"{source} is no OSDPCAP file, and has no secure channel: leave --key-file out")
        header, chunks = read_capture(file)
        recorded = RecordedTransport(chunks, gaps=not fast)
    driver = registry.reader_class(header.driver)
    options = parse(driver.Settings, header.settings)
    reader = driver("replay", options, clock=recorded.clock, transport=recorded)
    reader.open()
    with closing(reader):
        while not recorded.ended:
            for event in reader.read(READ_S):
                print_json(_told(event))


def _replay_trace(file: BinaryIO, scbk: bytes | None, *, gaps: bool) -> None:
    """An OSDPCAP file says nothing of its reader's settings: the driver's own hold, and no port is opened."""
    before_ns: int | None = None
    lines = iter(lambda: file.readline(osdpcap.OSDPCAP_LINE_BYTES_MAX + 1), b"")
    for event in osdp_trace.events(lines, OsdpSettings(port=file.name), scbk=scbk):
        if gaps and before_ns is not None:
            time.sleep(min(max(event.monotonic_ns - before_ns, 0) / 1e9, GAP_S_MAX))
        before_ns = event.monotonic_ns
        print_json(_told(event))


@app.command()
def commission(
    device: DeviceArgument,
    key_file: Annotated[Path, typer.Option("--key-file", help="Where the new key is to stand; must not exist yet.")],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Draw a new key for an OSDP reader, keep it in a file, give it to the reader, and try it. Changes the reader."""
    options = _device(config, device).options
    if not isinstance(options, OsdpSettings):
        raise RequestRefused(f"{device} is no OSDP reader: only those share a key with the kiosk")
    if not options.commissioning:
        raise RequestRefused(
            f"{device}: set commissioning = true in its table while a key is being set; nothing was changed"
        )
    _only_while_stopped(config)
    registry.reader_class("osdp")  # says which extra is missing
    from drivers.cards.osdp_commissioning import commission as set_key

    opened_by = f"the key in {options.key_file}" if options.key_file else "install mode (see its manual)"
    out.print(
        f"A new key is drawn and written to {key_file}; the reader at {options.port} (address {options.address}), "
        f"opened by {opened_by}, is given it and must answer to it. Keep the power on; it takes up to 15 s.",
        markup=False,
        soft_wrap=True,
    )
    set_key(options, key_file)
    out.print(
        f"{device} answers to the new key.\n"
        f'Now set commissioning = false and key_file = "{key_file.absolute()}" in its table (or, as root, put the file '
        'to /etc/credstore/edge-agent.osdp-key and name key_file = "osdp-key"), keep a copy where the school keeps its '
        "keys, and start the daemon.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def off(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Switch every relay and pin of the settings off, as the daemon does when it starts. Only while it is stopped."""
    _only_while_stopped(config)
    loaded = settings.load_settings(config)
    failed = 0
    for device in loaded.settings.indicators:
        if not registry.entry(device.driver, loaded.drivers).switches:
            continue
        indicator = registry.indicator_class(device.driver, loaded.drivers)(device.name, device.options)
        try:
            indicator.open()
        except DeviceError as error:
            failed += 1
            told = str(error)
        else:
            indicator.close()
            told = "off"
        out.print(f"{device.name}: {told}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(ExitCode.DEVICE)


@app.command()
def decode(
    protocol: Annotated[str, typer.Argument(help="em4100, ironlogic, …")],
    source: Annotated[
        Path | None, typer.Argument(help="A file of bytes; without it, standard input.", exists=True, dir_okay=False)
    ] = None,
    as_hex: Annotated[
        bool, typer.Option("--hex", help="The input is hex; blanks, line ends and the signs : - , do not matter.")
    ] = False,
    key_file: KeyFileOption = None,
) -> None:
    """Turn bytes into JSON lines as they come: what was read, what was removed, what is at fault."""
    scbk = osdp_key.load(key_file) if key_file else None
    with source.open("rb") if source else nullcontext(sys.stdin.buffer) as file:
        chunks = iter(lambda: os.read(file.fileno(), CHUNK_BYTES), b"")  # what there is, also of a live line
        for line in decoding.decode(protocol, _unhex(chunks) if as_hex else chunks, scbk):
            sys.stdout.buffer.write(decoding.to_json(line) + b"\n")
            sys.stdout.buffer.flush()


def _unhex(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes from hex digits, however the input is cut."""
    half = b""
    for chunk in chunks:
        digits = half + chunk.translate(None, _BETWEEN_DIGITS)
        whole, half = digits[: len(digits) // 2 * 2], digits[len(digits) // 2 * 2 :]
        yield _from_hex(whole)
    if half:
        raise RequestRefused("an odd number of hex digits; is the end missing?")


def _from_hex(digits: bytes) -> bytes:
    try:
        return unhexlify(digits)
    except ValueError as error:
        raise RequestRefused("the input is not hex; without --hex it is taken as bytes") from error


def _device(config: Path, name: str) -> DeviceSettings:
    readers = settings.load_settings(config).settings.readers
    for reader in readers:
        if reader.name == name:
            return reader
    known = ", ".join(reader.name for reader in readers) or "none"
    raise RequestRefused(f"no reader is named {name!r} in {config}; known are: {known}")


def _only_while_stopped(config: Path) -> None:
    """Two programs on one line would cut each other short."""
    with suppress(DaemonVersionDiffers):  # a daemon of another version has the device open just the same
        try:
            next(ask(settings.load_settings(config).settings.kiosk.run_dir, STATUS, NO_ARGUMENTS))
        except AgentNotRunning:
            return
    raise AgentRunning("the daemon has the device open; stop it first (systemctl stop edge-agent)")


def _traffic(config: Path, device: DeviceSettings, seconds: float) -> Iterator[Chunk]:
    """What passes between driver and device: asked of the daemon, or, while it is stopped, read here."""
    loaded = settings.load_settings(config)
    if registry.entry(device.driver, loaded.drivers).camera:
        raise RequestRefused(f"{device.name} is a camera: pictures of people are never recorded")
    try:
        arguments = DeviceWatchArguments(device=device.name, seconds=seconds)
        for row in ask(loaded.settings.kiosk.run_dir, DEVICES_WATCH, arguments, seconds + 30):
            yield Chunk(t_ns=row.t_ns, dir=row.direction, hex=row.hex)
    except AgentNotRunning:
        driver = registry.reader_class(device.driver, loaded.drivers)
        yield from _traffic_here(driver, device, seconds)


def _traffic_here(driver: type[Reader], device: DeviceSettings, seconds: float) -> Iterator[Chunk]:
    seen: list[Chunk] = []

    def tap(direction: str, data: bytes) -> None:
        seen.append(Chunk(t_ns=time.monotonic_ns(), dir="SEND" if direction == "SEND" else "RECV", hex=data.hex()))

    reader = driver(device.name, device.options, tap=tap)
    reader.open()
    until = time.monotonic() + seconds
    with closing(reader):
        while time.monotonic() < until:
            reader.read(READ_S)
            yield from seen
            seen.clear()


def _told(event: DeviceEvent) -> dict[str, object]:
    match event:
        case CardRead(uid=uid, again=again):
            told: dict[str, object] = {"event": "read", "uid": uid.hex, "bits": uid.bits, "tech": uid.technology.value}
            return told | {"partial": uid.partial, "again": again}
        case CodeRead(text=text):
            return {"event": "code", "text": text}
        case PersonMatched(number=number, method=method, score=score):
            return {"event": "match", "number": number, "method": method, "score": score}
        case PalmFrame(image=image, nir=nir):
            return {"event": "frame", "height": image.shape[0], "width": image.shape[1], "nir": nir}
        case CardRemoved():
            return {"event": "removed"}
        case StreamFault(what=what):
            return {"event": "fault", "what": what}
        case _:
            assert_never(event)
