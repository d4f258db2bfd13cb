"""Every parser that bytes from outside reach, each with what a real device might say to it: for `fuzzing`.

`SERVED` are those that a network, a stick or another vendor's process reaches, and DECODED those of `devices decode`.
"""

import io
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import cv2
import numpy as np

from drivers.bench import capture
from drivers.bench.decoding import PROTOCOLS, Decoding, start
from drivers.cards.line import LineReader, LineSettings
from drivers.errors import DeviceGone, ProtocolError
from drivers.network.hikvision import Hikvision
from drivers.network.hikvision_settings import HikvisionSettings, HikvisionTerminal
from drivers.network.zk_4370 import Zk4370, Zk4370Settings
from drivers.palm.palm_bridge import PalmBridge, PalmBridgeSettings
from drivers.palm.zk_adms import ZkAdms, ZkAdmsSettings
from drivers.protocols import (
    adms,
    adms_upload,
    bridge,
    em4100,
    gate_json,
    hid,
    http,
    ironlogic,
    json_lines,
    keypad,
    osdp,
    osdpcap,
    pcsc,
    picture,
    pn532,
    wiegand,
    zk_attlog,
)
from drivers.protocols.fault import Fault
from drivers.protocols.gate_json import GateBodyUnreadable, GateMap
from drivers.protocols.line import encode_block
from drivers.protocols.line_forms import Form
from drivers.protocols.mqtt_payload import read_tag
from drivers.protocols.multipart import JsonPartSieve
from drivers.protocols.zk_packets import Decoder, ZkPacket, encode_frame
from drivers.transports.memory import MemoryTransport

DATE = "Sun, 22 Nov 2026 09:00:00 GMT"
ROWS = b"1001\t2026-11-20 09:40:15\t0\t25\t0\n     1002\t2026-11-20 09:40:18\t1\t0\t2\t0\t\r\n"
CARD = osdp.encode(0, osdp.RAW, b"\0\1\x20\x001234", reply=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """One parser at the start of a stream."""

    feed: Callable[[bytes], Iterable[object]]
    end: Callable[[], Iterable[object]] = field(default=tuple)


@dataclass(frozen=True, slots=True)
class Parser:
    start: Callable[[], Machine]
    seeds: tuple[bytes, ...]
    same_in_every_cut: bool = True
    file: bool = False  # is given a whole file at once, and has no stream to keep
    kept_bytes_max: int = 256 * 1024


def _decoding(protocol: str, scbk: bytes | None = None) -> Callable[[], Machine]:
    def begin() -> Machine:
        decoding: Decoding = start(protocol, scbk)
        return Machine(decoding.feed, decoding.end)

    return begin


def _post(target: bytes, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: k\r\nContent-Length: %d\r\n\r\n%s" % (target, len(body), body)


def _adms() -> Machine:
    """A connection as the driver serves it; a new one takes over where one was refused."""
    connection: list[http.Exchange] = []

    def feed(data: bytes) -> Sequence[object]:
        told: list[object] = []
        if not connection:
            connection.append(http.Exchange(body_bytes_max=64 * 1024, unwanted=adms.unwanted))
        events = connection[0].feed(data)
        while events:
            told += events
            if isinstance(events[0], Fault):
                connection[0].refusal(DATE)
                connection.clear()
                return told
            assert isinstance(events[0], http.HttpRequest)
            try:
                told.append(adms_upload.upload(adms.call(events[0].target).table, events[0].body))
            except ValueError:
                told.append("no target")
            if connection[0].answer("OK", DATE)[1]:
                connection.clear()
                return told
            events = connection[0].next()
        return told

    return Machine(feed)


def _terminal() -> Machine:
    """The whole driver, on the stream of one terminal; each time that it hangs up the next one calls."""
    line = MemoryTransport()
    settings = ZkAdmsSettings(listen="127.0.0.1:1", serials=("1",), requests_per_minute=10_000)
    driver = ZkAdms("palm", settings, transport=line)
    driver.open()

    def feed(data: bytes) -> Sequence[object]:
        line.put(data)
        line.written.clear()
        return [event for _ in range(3) for event in driver.read(0.0)]

    return Machine(feed)


HIKVISION_SERIAL = "DS-1"
EVENT = (
    b'{"dateTime":"2026-11-20T09:40:15+05:00","eventType":"AccessControllerEvent","AccessControllerEvent":'
    b'{"majorEventType":5,"subEventType":75,"employeeNoString":"1001","serialNo":7,"currentEvent":true}}'
)
PARTS = (
    b'--MIME_boundary\r\nContent-Disposition: form-data; name="event_log"\r\nContent-Type: application/json\r\n\r\n'
    + EVENT
    + b'\r\n--MIME_boundary\r\nContent-Disposition: form-data; name="Picture"; filename="Picture.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\r\n--MIME_boundary--\r\n"
)


def _post_of(kind: bytes, body: bytes) -> bytes:
    head = b"POST /hikvision/DS-1 HTTP/1.1\r\nHost: k\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
    return head % (kind, len(body), body)


def _sieve() -> Machine:
    """The sieve of one body; what it keeps is one text, however the body is cut."""
    sieve, kept = JsonPartSieve(b"MIME_boundary"), bytearray()

    def feed(data: bytes) -> Sequence[object]:
        kept.extend(sieve.feed(data))
        del kept[:-100_000]
        return ()

    return Machine(feed, lambda: [bytes(kept)])


def _hikvision() -> Machine:
    """The whole driver, on the stream of one terminal."""
    line = MemoryTransport()
    settings = HikvisionSettings(
        listen="127.0.0.1:1", terminals=(HikvisionTerminal(serial=HIKVISION_SERIAL),), requests_per_minute=10_000
    )
    driver = Hikvision("door", settings, transport=line)
    driver.open()

    def feed(data: bytes) -> Sequence[object]:
        line.put(data)
        line.written.clear()
        return [event for _ in range(3) for event in driver.read(0.0)]

    return Machine(feed)


def _records() -> Machine:
    """A body at a time; what was cut in the middle is no body."""
    gate_map = GateMap(UTC, "/logs", "/n", "/c", "/id", "/t", directions={"1": "in"}, where={"/k": ["1"]})

    def feed(data: bytes) -> Sequence[object]:
        try:
            return gate_json.read_records(data, gate_map)
        except GateBodyUnreadable as refused:
            return [str(refused)]

    return Machine(feed)


def _conversation() -> bytes:
    """Returns what a terminal answers from the connection to its rows."""
    sizes = struct.pack("<20i", *(1 if place in (4, 8) else 0 for place in range(20)))
    row = struct.pack("<I", 40) + struct.pack("<H24sBIB8s", 1, b"1001", 25, 864_121_215, 0, b"")
    answers = [b"", b"~SerialNumber=A1\0", b"", struct.pack("<I", 864_121_220), sizes, row, b""]
    commands = [1501 if content is row else 2000 for content in answers]
    packets = (
        ZkPacket(command, 7, number, content)
        for number, (command, content) in enumerate(zip(commands, answers, strict=True))
    )
    return b"".join(map(encode_frame, packets))


def _called_terminal() -> Machine:
    """The whole driver, on what a terminal answers; opened again each time that it gives one up."""
    line = MemoryTransport()
    driver = Zk4370("old", Zk4370Settings(host="none"), transport=line)
    driver.open()

    def feed(data: bytes) -> Sequence[object]:
        line.put(data)
        line.written.clear()
        told: list[object] = []
        try:
            told += [event for _ in range(3) for event in driver.read(0.0)]
        except (DeviceGone, ProtocolError):
            driver.close()
            driver.open()
        return told

    return Machine(feed)


def _vendor() -> Machine:
    """The whole driver, on what vendors' processes say; opened again each time that it gives one up."""
    line = MemoryTransport()
    driver = PalmBridge("palm", PalmBridgeSettings(socket="none"), transport=line)
    driver.open()

    def feed(data: bytes) -> Sequence[object]:
        line.put(data)
        line.written.clear()
        told: list[object] = []
        for _ in range(2):
            try:
                told += driver.read(0.0)
            except DeviceGone as gone:
                told.append(str(gone))
                driver.close()
                driver.open()
        return told

    return Machine(feed)


def _attlog_file(data: bytes) -> Sequence[object]:
    found = zk_attlog.preview(data)
    assert len(found.punches) + found.repeated + len(found.faults) <= data.count(b"\n") + 1
    return [*found.punches, *found.faults, found.first, found.last]


def _capture_file(data: bytes) -> Sequence[object]:
    try:
        header, chunks = capture.read_capture(io.BytesIO(data))
        told: list[object] = [header, *chunks]
    except ProtocolError as refused:
        return [str(refused)]
    return told


def _picture_file(data: bytes) -> Sequence[object]:
    found = picture.decode(data)
    return [found if isinstance(found, Fault) else found.shape]


def _pictures() -> tuple[bytes, ...]:
    image = np.arange(48 * 40, dtype=np.uint8).reshape(48, 40)
    return tuple(cv2.imencode(kind, image)[1].tobytes() for kind in (".png", ".jpg"))


def _keypad() -> Machine:
    """A reader with a keypad, on the bits that its converter writes."""
    line = MemoryTransport()
    reader = LineReader("door", LineSettings(port="x", form=Form.W26_BITS, keypad_bits=8), transport=line)
    reader.open()

    def feed(data: bytes) -> Sequence[object]:
        line.put(data)
        return [event for _ in range(3) for event in reader.read(0.0)]

    return Machine(feed)


SERVED: Mapping[str, Parser] = {
    "keypad": Parser(
        _keypad,
        (
            b"".join(keypad.encode_wiegand_key(key, 8).encode() + b"\r\n" for key in "1042#7391#"),
            wiegand.encode(b"abc").encode() + b"\n",
        ),
        same_in_every_cut=False,  # silence ends a line too
    ),
    "adms": Parser(
        _adms,
        (
            _post(b"/iclock/cdata?SN=1&table=ATTLOG&Stamp=9999", ROWS),
            _post(
                b"/iclock/cdata?SN=1&table=OPERLOG",
                b"USER PIN=5\tName=A\nOPLOG\t6\t1\t2026-11-20 09:00:00\t1\nFP PIN=1\tTMP=AA\n",
            ),
            _post(b"/iclock/cdata?SN=1&table=options", b"~DeviceName=X,FirmVer=Ver 6.60"),
            _post(b"/iclock/cdata?SN=1&table=BIODATA", b"x" * 99),
            b"GET /iclock/getrequest?SN=1 HTTP/1.1\r\nHost: k\r\n\r\n",
            b"HEAD /iclock/cdata?SN=1 HTTP/1.1\r\nHost: k\r\n\r\n",
            b"POST /iclock/cdata?SN=1&table=ATTLOG HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(ROWS), ROWS),
        ),
        same_in_every_cut=False,  # of a connection that was refused the rest is lost, and where it was the cut says
    ),
    "zk-adms": Parser(
        _terminal,
        (
            _post(b"/iclock/cdata?SN=1&table=ATTLOG&Stamp=9999", ROWS),
            _post(
                b"/iclock/cdata?SN=1&table=ATTLOG", b"1\t0001-01-01 00:00:00\t0\t25\n1\t9999-12-31 23:59:59\t0\t25\n"
            ),
            _post(b"/iclock/cdata?SN=1&table=USERINFO", b"PIN=1\tName=A\n"),
            b"GET /iclock/cdata?SN=1&options=all HTTP/1.1\r\nHost: k\r\n\r\n",
            b"GET /iclock/rtdata?SN=1&type=time HTTP/1.1\r\nHost: k\r\n\r\n",
            b"GET /iclock/getrequest?SN=1 HTTP/1.1\r\nHost: k\r\n\r\n",
        ),
        same_in_every_cut=False,
        kept_bytes_max=8 * 1024 * 1024,  # it remembers the last 10,000 rows
    ),
    "gate-json": Parser(
        _records,
        (
            b'{"logs":[{"id":1,"n":"1001","t":"2026-11-20T09:40:15","k":1},{"id":2,"k":"1"}]}',
            b'{"logs":{"id":1,"c":7,"t":"2026-11-20 09:40:15Z","k":"1"}}',
        ),
        same_in_every_cut=False,  # it is given bodies, and no stream
    ),
    "mqtt-payload": Parser(
        lambda: Machine(lambda data: [read_tag(data, "/RDM6300/UID"), read_tag(data, "plain")]),
        (b'{"Time":"2021-01-01T12:00:00","RDM6300":{"UID":"001C3A5E"}}', b"74-10-37-94"),
        same_in_every_cut=False,  # it is given messages, and no stream
    ),
    "zk-packets": Parser(
        lambda: Machine(Decoder().feed),
        (_conversation(), encode_frame(ZkPacket(500, 1, 0, bytes(32))), b"\x50\x50\x82\x7d"),
        kept_bytes_max=512 * 1024,
    ),
    "zk-4370": Parser(
        _called_terminal,
        (_conversation(), encode_frame(ZkPacket(500, 1, 0, b"1001".ljust(26, b"\0") + bytes((26, 11, 30, 12, 0, 0))))),
        same_in_every_cut=False,  # what was said behind a refusal is lost
        kept_bytes_max=8 * 1024 * 1024,  # it remembers the last 50,000 rows
    ),
    "multipart": Parser(_sieve, (PARTS, PARTS[:-20], PARTS.replace(b"\r\n", b"\n"))),
    "hikvision": Parser(
        _hikvision,
        (
            _post_of(b"application/json", EVENT),
            _post_of(b"multipart/form-data; boundary=MIME_boundary", PARTS),
            _post_of(b"application/json", b'{"eventType":"heartBeat"}'),
            _post_of(b"application/json", EVENT.replace(b"75", b"76")),
            b"GET /hikvision/DS-1 HTTP/1.1\r\nHost: k\r\n\r\n",
        ),
        same_in_every_cut=False,
        kept_bytes_max=8 * 1024 * 1024,  # it remembers the last 10,000 events
    ),
    "bridge": Parser(
        lambda: Machine(bridge.Decoder().feed),
        (bridge.encode("match", {"subject": "1042", "score": 9731}), bridge.encode("frame", {}, bytes(300))),
    ),
    "palm-bridge": Parser(
        _vendor,
        (
            bridge.encode("hello", {"api": 1, "name": "x", "version": "1"}),
            bridge.encode("hello", {"api": 2}),
            bridge.encode("match", {"subject": "1042", "score": 9731, "hand": "left", "live": True}),
            bridge.encode("ping"),
            bridge.encode("fault", {"what": "dirty"}),
            bridge.encode("gone"),
        ),
        same_in_every_cut=False,  # what was said behind a `gone` is lost
    ),
    "json_lines": Parser(
        lambda: Machine(json_lines.Decoder().feed), (b'{"number":"1042"}\n', b"\n", b"x" * 5_000 + b"\n")
    ),
    "attlog-file": Parser(lambda: Machine(_attlog_file), (ROWS, b"\xef\xbb\xbf" + ROWS), file=True),
    "capture-file": Parser(
        lambda: Machine(_capture_file),
        (
            b'{"capture":1,"driver":"em4100","settings":{"port":"x"},"redacted":true}\n',
            b'{"t_ns":1,"dir":"RECV","hex":"0231463030"}\n',
        ),
        file=True,
    ),
    "picture-file": Parser(lambda: Machine(_picture_file), _pictures(), file=True),
}

DECODED: Mapping[str, Parser] = {
    "em4100": Parser(_decoding("em4100"), (em4100.encode(b"\x1f\x00dK\xb6"), em4100.encode(b"12345", crlf=True))),
    "ironlogic": Parser(
        _decoding("ironlogic"),
        (ironlogic.encode_em_marine(b"12345"), ironlogic.encode_mifare(b"1234567"), ironlogic.NO_CARD),
    ),
    "pn532": Parser(
        _decoding("pn532"),
        (pn532.ACK, pn532.encode(pn532.CHIP, b"\x4b\x01\x01\x00\x04\x08\x041234"), pn532.encode(0xD5, bytes(260))),
    ),
    "osdp": Parser(
        _decoding("osdp"),
        (
            b"\xff" + osdp.encode(0, osdp.POLL),
            CARD,
            osdp.encode(0, osdp.RAW, b"\0\1\x20\x001234", reply=True, crc=False),
            osdp.encode(0, osdp.KEYPAD, b"\0\x0212", reply=True),
            osdpcap.encode(osdpcap.PassedBytes(1, "RECV", CARD)),
        ),
    ),
    "osdp-with-key": Parser(
        _decoding("osdp", bytes(range(16))),
        (
            osdp.encode(0, osdp.POLL),
            CARD,
            bytes.fromhex("ff530013000c0311017600b0b1b2b3b4b5b6b7"),
            bytes.fromhex("ff5380080005160140"),
        ),
    ),
    "pcsc": Parser(
        _decoding("pcsc"), (pcsc.encode(b"\x3b\x81\x80\x01\x80\x80", b"1234\x90\0"), pcsc.REMOVED, pcsc.MUTE)
    ),
    "wiegand26": Parser(_decoding("wiegand26"), (wiegand.encode(b"abc").encode() + b"\n",)),
    "wiegand34": Parser(_decoding("wiegand34"), (wiegand.encode(b"abcd").encode() + b"\n",)),
    "wiegand32": Parser(_decoding("wiegand32"), (wiegand.encode_bare(b"abcd").encode() + b"\n",)),
    "wiegand58": Parser(_decoding("wiegand58"), (wiegand.encode(b"abcdefg").encode() + b"\n",)),
    "line": Parser(
        _decoding("line"), (b"1293D8\r", encode_block(b"0012345678"), "]Q1Әлия\r\n".encode(), b"018,37848\n")
    ),
    "hid": Parser(_decoding("hid"), (hid.encode("0012345678"), hid.encode("aB", size=16))),
    "zk-attlog": Parser(
        _decoding("zk-attlog"),
        (b"     1001\t2026-11-20 09:40:15\t1\t0\t25\t0\t\r\n", b"7\t2026-11-20 09:40:15\t0\t25\n"),
    ),
}

PARSERS: Mapping[str, Parser] = {**SERVED, **DECODED}
FORGOTTEN = set(PROTOCOLS) - set(DECODED)  # of `devices decode`, without a parser here
