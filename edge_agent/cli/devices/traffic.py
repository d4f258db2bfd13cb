"""`devices watch` and `devices capture`: the bytes between a driver and its device."""

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from drivers import registry
from drivers.base import Reader
from drivers.bench import decoding, osdp_trace
from drivers.bench.capture import CaptureTap, Chunk
from drivers.errors import DeviceError
from edge_agent import settings
from edge_agent.cli.devices.options import DeviceArgument, SecondsOption, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.control import ask
from edge_agent.control_api import DEVICES_WATCH, DeviceWatchArguments
from edge_agent.errors import AgentError, AgentNotRunning, RequestRefused
from edge_agent.settings import DeviceSettings

READ_S = 0.5


def watch(
    device: DeviceArgument,
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show bytes as they pass, and what they mean. Card numbers are shown whole."""
    reader = find_reader(config, device)
    decoder = decoding.decoding_for(registry.entry(reader.driver, settings.load_settings(config).drivers).protocol)
    for chunk in _watch_traffic(config, reader, seconds):
        lines = decoder.feed(bytes.fromhex(chunk.hex)) if chunk.dir == "RECV" else ()
        if as_json:
            events = [msgspec.to_builtins(line) for line in lines]
            print_json({"t_ns": chunk.t_ns, "dir": chunk.dir, "hex": chunk.hex, "events": events})
            continue
        out.print(f"{chunk.t_ns / 1e9:12.3f} {chunk.dir} {chunk.hex}", markup=False, soft_wrap=True)
        for line in lines:
            out.print(f"{'':12} {decoding.to_json(line).decode()}", markup=False, soft_wrap=True)


def capture(
    device: DeviceArgument,
    target: Annotated[Path, typer.Argument(help="The new file; it must not exist yet.")],
    seconds: SecondsOption = 60.0,
    config: ConfigOption = CONFIG_DEFAULT,
    whole: Annotated[bool, typer.Option("--whole", help="Keep real card numbers; such a file is a secret.")] = False,
) -> None:
    """Record what a reader sends, with times. Card numbers are replaced unless --whole. OSDP gives an OSDPCAP file."""
    reader = find_reader(config, device)
    drivers = settings.load_settings(config).drivers
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
        for chunk in _watch_traffic(config, reader, seconds):
            now_ns = chunk.t_ns
            record(chunk.dir, bytes.fromhex(chunk.hex))
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


def _watch_traffic(config: Path, reader: DeviceSettings, seconds: float) -> Iterator[Chunk]:
    """Yields the bytes between driver and device: from the daemon, or from the device itself while it is stopped."""
    loaded = settings.load_settings(config)
    if registry.entry(reader.driver, loaded.drivers).camera:
        raise RequestRefused(f"{reader.name} is a camera: pictures of people are never recorded", "name another reader")
    try:
        arguments = DeviceWatchArguments(device=reader.name, seconds=seconds)
        for row in ask(loaded.settings.kiosk.run_dir, DEVICES_WATCH, arguments, seconds + 30):
            yield Chunk(t_ns=row.t_ns, dir=row.direction, hex=row.hex)
    except AgentNotRunning:
        driver = registry.reader_class(reader.driver, loaded.drivers)
        yield from _read_traffic(driver, reader, seconds)


def _read_traffic(driver: type[Reader], settings_: DeviceSettings, seconds: float) -> Iterator[Chunk]:
    passed: list[Chunk] = []

    def tap(direction: str, payload: bytes) -> None:
        side: Literal["RECV", "SEND"] = "SEND" if direction == "SEND" else "RECV"
        passed.append(Chunk(t_ns=time.monotonic_ns(), dir=side, hex=payload.hex()))

    reader = driver(settings_.name, settings_.options, tap=tap)
    reader.open()
    until = time.monotonic() + seconds
    with closing(reader):
        while time.monotonic() < until:
            reader.read(READ_S)
            yield from passed
            passed.clear()
