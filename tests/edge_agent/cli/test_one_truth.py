"""Recorded bytes give the same events in the daemon, `watch`, `replay`, and `decode` with a reader's name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from drivers import registry
from drivers.base import DriverSettings
from drivers.bench.capture import CaptureTap, Chunk
from drivers.bench.described import describe_event
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import DeviceGone, NotSupported
from drivers.protocols import hid, osdpcap, pcsc
from drivers.readings import CardRead, CodeRead
from drivers.settings import parse
from drivers.transports.recorded import RecordedTransport
from edge_agent.cli.devices.traffic import _read_traffic
from edge_agent.cli.main import build
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Supervisor
from edge_agent.runtime.devices import DevicePresence, ReaderLoop
from edge_agent.runtime.guarded import GuardedReader
from edge_agent.runtime.inbox import Inbox, Scan
from edge_agent.runtime.taps import DeviceTaps, ReaderTap
from edge_agent.settings.tables import DeviceSettings
from tests.edge_agent.process.test_supervision import eventually
from tests.edge_agent.runtime.test_inbox_and_devices import now
from tests.vectors import load_jsonl, load_reader

Described = dict[str, Any]
T_NS = 1_000_000_000
APP = build("devices")


@dataclass(frozen=True)
class Recording:
    """Bytes of a real reader, and the settings of the reader that gets them."""

    driver: str
    options: Mapping[str, object]
    data: bytes


def recordings() -> Iterator[Recording]:
    em, il = load_reader("em4100_serial"), load_reader("ironlogic_text")
    for vector in (*em["vectors"], *em["phantoms"], *em["invalid"]):
        yield Recording("em4100", {"port": "p"}, bytes.fromhex(vector["frame_hex"]))
    yield Recording(
        "em4100", {"port": "p", "uid_encoding": "hex-reversed"}, bytes.fromhex(em["vectors"][0]["frame_hex"])
    )
    yield Recording("em4100", {"port": "p"}, bytes.fromhex(em["streams"][0]["stream_hex"]))
    for vector in (*il["vectors"], *il["status_lines"]):
        yield Recording("ironlogic", {"port": "p"}, bytes.fromhex(vector["frame_hex"]))
    for line in il["cross_reader"][0]["readings"].values():
        yield Recording("ironlogic", {"port": "p"}, line.encode() + b"\r\n")
    for vector in load_reader("pn532_hsu")["vectors"]:
        yield Recording("pn532", {"port": "p"}, bytes.fromhex(vector["stream_hex"]))
    for vector in load_reader("wiegand")["vectors"]:
        form = {"port": "p", "form": f"w{vector['n']}-bits"}
        yield Recording("line", form, vector["bits"].encode() + b"\r\n")
        if "corrected_bits" in vector:
            yield Recording("line", form, vector["corrected_bits"].encode())  # no end of line: silence ends it
    for name in ("dec10", "hex", "code"):
        for vector in load_reader("same_card_other_reader")["vectors"]:
            for reading in vector["readings"].values():
                yield Recording("line", {"port": "p", "form": name}, str(reading).encode() + b"\r\n")
    for vector in load_jsonl("canteen/card_reader_vectors.jsonl"):
        if vector["reader"] == "hid_keyboard_wedge" and vector["layout"] == "us":
            yield Recording("hid-wedge", {"device": "d"}, hid.encode(vector["raw"].strip()))
    text = load_reader("hid_wedge")["vectors"][0]["expected_text"]
    yield Recording("hid-wedge", {"device": "d", "reads": "code"}, hid.encode(text))
    for vector in load_reader("pcsc")["vectors"]:
        if "atr_hex" in vector:
            yield Recording("pcsc", {}, pcsc.encode(bytes.fromhex(vector["atr_hex"]), bytes.fromhex("04A3C6CA9000")))
    for case in load_jsonl("field_readers.jsonl"):
        if case["protocol"] in ("ironlogic", "em4100") and "hex" in case["input"]:
            yield Recording(case["protocol"], {"port": "p"}, bytes.fromhex(case["input"]["hex"]))
        if case["protocol"].startswith("line") and "hex" in case["input"]:
            yield Recording("line", {"port": "p", "form": "code"}, bytes.fromhex(case["input"]["hex"]))


CASES = list(recordings())


def in_daemon(driver: Any, settings: DriverSettings, chunks: Sequence[Chunk]) -> list[Described]:
    """Returns what a technician who watches the running daemon is shown, after proof that the station got the same."""
    taps, inbox, recorded = DeviceTaps(), Inbox(), RecordedTransport(chunks, gaps=False)
    presence = DevicePresence("door", "driver")
    tap = ReaderTap(taps, "door", presence.refusals.hear)
    reader = GuardedReader("door", partial(driver, "door", settings, clock=recorded.clock, transport=recorded, tap=tap))
    supervisor = Supervisor()
    loop = ReaderLoop(reader, presence, inbox, now, lambda feedback: None, Counters(), None, tap.report)
    with taps.watch() as watcher:
        supervisor.add("reader", loop.run)
        supervisor.start()
        eventually(lambda: "ended" in presence.why)
        assert supervisor.stop() == []
        traffic = watcher.drain(0)
    assert b"".join(row.chunk for row in traffic if row.direction == "RECV") == b"".join(
        bytes.fromhex(chunk.hex) for chunk in chunks
    )
    events = [event for row in traffic for event in row.events]
    scans = [work.reading for work in iter(partial(inbox.next_work, 0), None) if isinstance(work, Scan)]
    assert scans == [event for event in events if isinstance(event, CardRead | CodeRead)]
    return [describe_event(event) for event in events]


def while_stopped(driver: Any, settings: DriverSettings, chunks: Sequence[Chunk]) -> list[Described]:
    """Returns what `watch` shows while no daemon runs."""
    recorded = RecordedTransport(chunks, gaps=False)
    played = partial(driver, transport=recorded, clock=recorded.clock)
    device = DeviceSettings(name="door", driver="driver", options=settings)
    shown: list[Described] = []
    with suppress(DeviceGone):  # the recording has ended
        for row in _read_traffic(played, device, 60.0):  # type: ignore[arg-type]  # a class with some arguments given
            shown += row.events
    return shown


def run_command(*arguments: str) -> list[Described]:
    result = CliRunner().invoke(APP, ["devices", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def write_config(folder: Path, driver: str, settings: DriverSettings) -> Path:
    keys = {key: value for key, value in msgspec.to_builtins(settings).items() if value != ""}
    config = folder / "agent.toml"
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    config.write_text(
        f'[kiosk]\nstate_dir = "{folder}"\nrun_dir = "{folder}"\n[[readers]]\nname = "door"\n'
        f'driver = "{driver}"\n{table}'
    )
    return config


@pytest.mark.parametrize("case", CASES, ids=[f"{case.driver}-{number}" for number, case in enumerate(CASES)])
def test_four_ways_give_the_same_events(tmp_path: Path, case: Recording) -> None:
    try:
        driver = registry.reader_class(case.driver)
    except NotSupported as missing:
        pytest.skip(str(missing))
    settings = parse(driver.Settings, case.options)
    chunks = [Chunk(t_ns=T_NS, dir="RECV", hex=case.data.hex())]
    daemon = in_daemon(driver, settings, chunks)
    assert while_stopped(driver, settings, chunks) == daemon
    capture, raw = tmp_path / "capture.jsonl", tmp_path / "bytes"
    raw.write_bytes(case.data)
    with capture.open("wb") as file:
        tap = CaptureTap(file, case.driver, settings, clock=lambda: T_NS, redact_key=None)
        tap("RECV", case.data)
        tap.finish()
    config = ("--config", str(write_config(tmp_path, case.driver, settings)))
    assert run_command("replay", str(capture), "--fast") == daemon
    assert run_command("replay", str(capture), "--fast", "--reader", "door", *config) == daemon
    assert run_command("decode", "door", str(raw), *config) == daemon


def test_osdp_has_one_meaning_under_the_readers_settings(tmp_path: Path) -> None:
    settings = parse(OsdpSettings, {"port": "p", "uid_encoding": "hex-reversed", "commissioning": True})
    config = ("--config", str(write_config(tmp_path, "osdp", settings)))
    for vector in load_reader("osdp")["vectors"]:
        frame, capture, raw = bytes.fromhex(vector["frame_hex"]), tmp_path / "capture", tmp_path / "raw"
        capture.write_bytes(osdpcap.encode(osdpcap.PassedBytes(1, "RECV" if vector["reply"] else "SEND", frame)))
        raw.write_bytes(frame)
        played = run_command("replay", str(capture), "--fast", "--reader", "door", *config)
        assert run_command("decode", "door", str(raw), *config) == played, vector
