"""`devices watch` and `devices capture`: the bytes between a driver and its device."""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from drivers import registry
from drivers.base import Reader
from drivers.bench import line_signs, osdp_trace
from drivers.bench.capture import CaptureTap
from drivers.bench.described import describe_event
from drivers.bench.line_signs import LineSigns
from drivers.errors import DeviceError
from drivers.readings import DeviceEvent
from edge_agent.cli.devices.options import DeviceArgument, SecondsOption, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.control import ask
from edge_agent.control_api import DEVICES_WATCH, DeviceTraffic, DeviceWatchArguments
from edge_agent.errors import AgentError, AgentNotRunning, RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import DeviceSettings

READ_S = 0.5


def watch(
    device: DeviceArgument,
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show bytes as they pass, and what the reader's driver reports. Card numbers are shown whole."""
    reader = find_reader(config, device)
    signs = LineSigns(registry.entry(reader.driver, load_settings(config).drivers).protocol)
    verdict = ""
    for row in _watch_traffic(config, reader, seconds):
        if as_json:
            print_json({"t_ns": row.t_ns, "dir": row.direction, "hex": row.hex, "events": row.events})
            continue
        if row.hex:
            out.print(f"{row.t_ns / 1e9:12.3f} {row.direction} {row.hex}", markup=False, soft_wrap=True)
        for event in row.events:
            out.print(f"{'':12} {json.dumps(event, ensure_ascii=False)}", markup=False, soft_wrap=True)
        before, verdict = verdict, _judge(signs, row)
        if verdict and verdict != before:
            out.print(f"{'':12} → {verdict}", markup=False, soft_wrap=True)


def _judge(signs: LineSigns, row: DeviceTraffic) -> str:
    """Returns what the bytes since the last reading say of the line, as the daemon judges them."""
    if signs.protocol not in line_signs.PROTOCOLS:
        return ""
    if row.direction == "RECV":
        signs.hear(bytes.fromhex(row.hex))
    if any(event["event"] in ("read", "code") for event in row.events):
        signs.clear()
    return signs.judge()


def capture(
    device: DeviceArgument,
    target: Annotated[Path, typer.Argument(help="The new file; it must not exist yet.")],
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    whole: Annotated[bool, typer.Option("--whole", help="Keep real card numbers; such a file is a secret.")] = False,
) -> None:
    """Record what a reader sends, with times. Card numbers are replaced unless --whole. OSDP gives an OSDPCAP file."""
    reader = find_reader(config, device)
    drivers = load_settings(config).drivers
    now_ns = 0
    try:
        file = target.open("xb")
    except FileExistsError as error:
        raise RequestRefused(f"{target} exists", "name a new file, nothing is overwritten") from error
    except OSError as error:
        raise RequestRefused(f"cannot write {target}: {error.strerror}", "choose another folder") from error
    with _remove_after_error(target), file:
        key = None if whole else secrets.token_bytes(32)
        record: CaptureTap | osdp_trace.OsdpTrace
        if registry.entry(reader.driver, drivers).protocol == "osdp":
            record = osdp_trace.OsdpTrace(file, clock=lambda: now_ns, redact_key=key)
        else:
            record = CaptureTap(
                file, reader.driver, reader.options, clock=lambda: now_ns, redact_key=key, drivers=drivers
            )
        for row in _watch_traffic(config, reader, seconds):
            if row.hex:
                now_ns = row.t_ns
                record(row.direction, bytes.fromhex(row.hex))
        if not now_ns:
            raise RequestRefused(
                f"nothing came from {device} in {seconds:g} s, so no file was kept", "try again longer"
            )
        record.finish()
    out.print(f"{target}: {'whole, keep it safe' if whole else 'card numbers replaced'}", markup=False)


@contextmanager
def _remove_after_error(target: Path) -> Iterator[None]:
    """Removes the file if the capture fails: an empty file would only be in the way of the next one."""
    try:
        yield
    except (DeviceError, AgentError):
        target.unlink()
        raise


def _watch_traffic(config: Path, reader: DeviceSettings, seconds: float) -> Iterator[DeviceTraffic]:
    """Yields the bytes between driver and device with the driver's events: from the daemon, or, while it is stopped,
    from the driver run here.
    """
    loaded = load_settings(config)
    if registry.entry(reader.driver, loaded.drivers).camera:
        raise RequestRefused(f"{reader.name} is a camera: pictures of people are never recorded", "name another reader")
    try:
        arguments = DeviceWatchArguments(device=reader.name, seconds=seconds)
        yield from ask(loaded.settings.kiosk.run_dir, DEVICES_WATCH, arguments, seconds + 30)
    except AgentNotRunning:
        driver = registry.reader_class(reader.driver, loaded.drivers)
        yield from _read_traffic(driver, reader, seconds)


def _read_traffic(driver: type[Reader], settings_: DeviceSettings, seconds: float) -> Iterator[DeviceTraffic]:
    passed: list[DeviceTraffic] = []

    def row(direction: str, payload: bytes, events: Sequence[DeviceEvent] = ()) -> DeviceTraffic:
        side: Literal["RECV", "SEND"] = "SEND" if direction == "SEND" else "RECV"
        described = tuple(map(describe_event, events))
        return DeviceTraffic(
            t_ns=time.monotonic_ns(), device=settings_.name, direction=side, hex=payload.hex(), events=described
        )

    reader = driver(
        settings_.name, settings_.options, tap=lambda direction, payload: passed.append(row(direction, payload))
    )
    reader.open()
    until = time.monotonic() + seconds
    with closing(reader):
        while time.monotonic() < until:
            events = reader.read(READ_S)
            yield from passed
            passed.clear()
            if events:
                yield row("RECV", b"", events)
