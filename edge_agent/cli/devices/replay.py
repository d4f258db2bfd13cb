"""`devices replay`: a capture, played through the real driver."""

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, BinaryIO, assert_never

import typer

from drivers import registry
from drivers.bench import osdp_key, osdp_trace
from drivers.bench.capture import read_capture
from drivers.cards.osdp_reports import OsdpSettings
from drivers.protocols import osdpcap
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.transports.recorded import RecordedTransport
from edge_agent.cli.devices.options import KeyFileOption
from edge_agent.cli.options import print_json
from edge_agent.errors import RequestRefused

READ_S = 0.5
GAP_S_MAX = 3_600.0


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
            raise RequestRefused(f"{source} is no OSDPCAP file, and has no secure channel", "leave --key-file out")
        header, chunks = read_capture(file)
        recorded = RecordedTransport(chunks, gaps=not fast)
    driver = registry.reader_class(header.driver)
    options = parse(driver.Settings, header.settings)
    reader = driver("replay", options, clock=recorded.clock, transport=recorded)
    reader.open()
    with closing(reader):
        while not recorded.ended:
            for event in reader.read(READ_S):
                print_json(describe_event(event))


def _replay_trace(file: BinaryIO, scbk: bytes | None, *, gaps: bool) -> None:
    """Plays an OSDPCAP file. It holds no settings of its reader, so the driver's defaults apply; no port is opened."""
    before_ns: int | None = None
    lines = iter(lambda: file.readline(osdpcap.OSDPCAP_LINE_BYTES_MAX + 1), b"")
    for event in osdp_trace.events(lines, OsdpSettings(port=file.name), scbk=scbk):
        if gaps and before_ns is not None:
            time.sleep(min(max(event.monotonic_ns - before_ns, 0) / 1e9, GAP_S_MAX))
        before_ns = event.monotonic_ns
        print_json(describe_event(event))


def describe_event(event: DeviceEvent) -> dict[str, object]:
    """Returns the event as a JSON object; of a palm frame only its size."""
    match event:
        case CardRead(uid=uid, again=again):
            return {
                "event": "read",
                "uid": uid.hex,
                "bits": uid.bits,
                "tech": uid.technology.value,
                "partial": uid.partial,
                "again": again,
            }
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
