"""What goes into a capture, what redaction leaves of it, and that it plays again."""

import io
import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.capture import CaptureTap, Chunk, read_capture
from drivers.bench.decoding import Read, decode
from drivers.bench.redaction import HELD_BYTES_MAX, Redactor
from drivers.cards.em4100 import Em4100, Em4100Settings
from drivers.cards.ironlogic import IronLogic, IronLogicSettings
from drivers.errors import DeviceGone, NotSupported, ProtocolError
from drivers.protocols import em4100, ironlogic
from drivers.readings import CardRead, DeviceEvent
from drivers.registry import DriverEntry, DriverKind
from drivers.transports.recorded import RecordedTransport
from tests.drivers.protocols import cutting
from tests.vectors import load_reader

KEY = b"a key of this capture"
EM_VECTORS = load_reader("em4100_serial")["vectors"]
IL_VECTORS = load_reader("ironlogic_text")["vectors"]
CARD = bytes.fromhex("1F00644BB6")


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


def captured(protocol: str, chunks: Sequence[bytes], *, redact_key: bytes | None) -> io.BytesIO:
    settings = Em4100Settings(port="p") if protocol == "em4100" else IronLogicSettings(port="p")
    out = io.BytesIO()
    tap = CaptureTap(out, protocol, settings, clock=Clock(), redact_key=redact_key)
    for chunk in chunks:
        tap("RECV", chunk)
    tap.finish()
    out.seek(0)
    return out


def received(file: io.BytesIO) -> list[bytes]:
    _, chunks = read_capture(file)
    return [bytes.fromhex(chunk.hex) for chunk in chunks]


def redacted(protocol: str, data: bytes) -> bytes:
    redactor = Redactor(protocol, KEY)
    pieces = [*redactor.push(1, "RECV", data), *redactor.end()]
    return b"".join(piece for _, _, piece in pieces)


def test_a_capture_names_its_driver_and_holds_every_byte_with_its_time() -> None:
    frame = em4100.encode(CARD)
    file = captured("em4100", [frame[:5], frame[5:]], redact_key=None)
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert lines[0] == {
        "capture": 1,
        "driver": "em4100",
        "settings": {"port": "p", "baud": 9600, "uid_encoding": "hex", "hold_ms": 500},
        "redacted": False,
    }
    assert lines[1:] == [
        {"t_ns": 1_001_000_000, "dir": "RECV", "hex": frame[:5].hex()},
        {"t_ns": 1_002_000_000, "dir": "RECV", "hex": frame[5:].hex()},
    ]


def test_a_chunk_shows_no_bytes_in_its_repr() -> None:
    _, chunks = read_capture(captured("em4100", [em4100.encode(CARD)], redact_key=None))
    assert em4100.encode(CARD).hex() not in repr(list(chunks))


def test_a_camera_is_never_captured() -> None:
    drivers = {"palm": DriverEntry(DriverKind.READER, "x:X", "palms", camera=True)}
    settings = Em4100Settings(port="p")
    with pytest.raises(NotSupported, match="never captured"):
        CaptureTap(io.BytesIO(), "palm", settings, clock=Clock(), redact_key=None, drivers=drivers)


def test_what_cannot_be_redacted_is_not_captured_redacted() -> None:
    with pytest.raises(NotSupported, match="no redaction"):
        Redactor("osdp", KEY)


def test_a_capture_has_an_end() -> None:
    out = io.BytesIO()
    tap = CaptureTap(out, "em4100", Em4100Settings(port="p"), clock=Clock(), redact_key=None, bytes_max=1000)
    for _ in range(100):
        tap("RECV", b"x" * 100)
    assert tap.full
    assert len(out.getvalue()) <= 1000
    out.seek(0)
    _, chunks = read_capture(out)
    assert list(chunks)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "line 1"),
        (b"{}\n", "line 1"),
        (b'{"capture":2,"driver":"em4100","settings":{}}\n', "line 1"),
        (b'{"capture":1,"driver":"em4100","settings":{}}\nrubbish\n', "line 2"),
        (b'{"capture":1,"driver":"em4100","settings":{}}\n{"t_ns":1,"dir":"RECV","hex":"0"}\n', "line 2"),
        (b'{"capture":1,"driver":"em4100","settings":{}}\n{"t_ns":1,"dir":"UP","hex":"00"}\n', "line 2"),
        (b'{"capture":1,"driver":"em4100","settings":{}}\n\xff\n', "line 2"),
    ],
)
def test_a_file_that_is_no_capture_names_the_line(text: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        list(read_capture(io.BytesIO(text))[1])


# redaction


def number_of(protocol: str, data: bytes) -> str:
    [line] = [line for line in decode(protocol, [data]) if isinstance(line, Read)]
    return line.uid


@pytest.mark.parametrize("vector", EM_VECTORS + IL_VECTORS, ids=lambda v: v["expected_uid_hex"])
def test_a_redacted_frame_is_whole_of_the_same_length_and_of_another_card(vector: dict[str, str]) -> None:
    protocol = "ironlogic" if "line" in vector else "em4100"
    frame = bytes.fromhex(vector["frame_hex"])
    hidden = redacted(protocol, frame)
    assert len(hidden) == len(frame)
    uid = number_of(protocol, hidden)
    assert uid != vector["expected_uid_hex"]
    assert len(uid) == len(vector["expected_uid_hex"])
    assert uid[2:] not in vector["expected_uid_hex"]
    for secret in (vector["expected_uid_hex"][2:], vector.get("dec10", "?"), vector["w26_fc_card"][-5:]):
        assert secret.encode() not in hidden.upper()
    assert redacted(protocol, frame) == hidden, "the same card is the same pseudonym"


def test_one_card_has_one_pseudonym_on_both_kinds_of_reader() -> None:
    by_em = number_of("em4100", redacted("em4100", em4100.encode(CARD, crlf=True)))
    assert by_em == number_of("ironlogic", redacted("ironlogic", ironlogic.encode_em_marine(CARD)))
    assert number_of("ironlogic", redacted("ironlogic", b":1F00644BB67C\r\n")) == by_em
    other = Redactor("em4100", b"another key").push(1, "RECV", em4100.encode(CARD))
    assert number_of("em4100", other[0][2]) != by_em


def test_what_is_no_whole_frame_tells_nothing() -> None:
    damaged = em4100.encode(CARD)[:-3] + b"00\x03"
    assert redacted("em4100", damaged) == b"\x02" + b"x" * 12 + b"\x03"
    assert redacted("em4100", b"noise 644BB6" + em4100.encode(CARD))[:12] == b"x" * 12
    assert redacted("ironlogic", b"Em-Marine[1F00] 100,0938\r\n") == b"x" * 24 + b"\r\n"
    assert redacted("ironlogic", b"00123 No card\r\n") == b"00123 No card\r\n"


@pytest.mark.parametrize(
    "line", [b"Em-Marine[A100] 7,42", b"Em-Marine[A1 00]  107, 9342,", b"Em-Marine[A1-00-07-00-2A]"]
)
def test_a_line_of_another_firmware_keeps_its_form_and_loses_its_number(line: bytes) -> None:
    hidden = redacted("ironlogic", line + b"\r\n")
    assert len(hidden) == len(line) + 2
    assert hidden != line + b"\r\n"
    assert number_of("ironlogic", hidden)[:2] == "A1"
    assert [c if not chr(c).isalnum() else 0 for c in hidden] == [
        c if not chr(c).isalnum() else 0 for c in line + b"\r\n"
    ]
    assert redacted("ironlogic", b"Mifare[BCD14264] 1K (0004,08) 66,53692\r\n").strip(b"x") == b"\r\n"


def test_a_frame_that_never_ends_is_let_go_without_its_content() -> None:
    redactor = Redactor("em4100", KEY)
    out = [piece for _ in range(40) for piece in redactor.push(1, "RECV", b"1F00644BB6" * 20)]
    assert b"".join(data for _, _, data in out).strip(b"x") == b""
    assert sum(len(data) for _, _, data in redactor._held) <= HELD_BYTES_MAX


@given(
    values=st.lists(st.binary(min_size=5, max_size=5), max_size=4),
    noise=st.binary(max_size=20),
    places=cutting.places,
    protocol=st.sampled_from(["em4100", "ironlogic"]),
)
def test_redaction_keeps_times_lengths_and_order_however_the_stream_is_cut(
    values: list[bytes], noise: bytes, places: list[int], protocol: str
) -> None:
    encode = em4100.encode if protocol == "em4100" else ironlogic.encode_em_marine
    stream = noise + b"".join(encode(value) for value in values)
    chunks = [chunk for chunk in cutting.cut(stream, places) if chunk]
    redactor = Redactor(protocol, KEY)
    pieces = [piece for t_ns, chunk in enumerate(chunks) for piece in redactor.push(t_ns, "RECV", chunk)]
    pieces += redactor.end()
    assert b"".join(data for _, _, data in pieces) == redacted(protocol, stream)
    for t_ns, chunk in enumerate(chunks):
        assert sum(len(data) for at, _, data in pieces if at == t_ns) == len(chunk)
    assert [at for at, _, _ in pieces] == sorted(at for at, _, _ in pieces)


# replay


def played(file: io.BytesIO, *, gaps: bool) -> list[DeviceEvent]:
    header, chunks = read_capture(file)
    recorded = RecordedTransport(chunks, gaps=gaps)
    reader: Em4100 | IronLogic
    if header.driver == "em4100":
        reader = Em4100("r", Em4100Settings(port="p"), clock=recorded.clock, transport=recorded)
    else:
        reader = IronLogic("r", IronLogicSettings(port="p"), clock=recorded.clock, transport=recorded)
    reader.open()
    events: list[DeviceEvent] = []
    while not recorded.ended:
        events += reader.read(0.02)
    with pytest.raises(DeviceGone, match="ended"):
        reader.read(0)
    reader.close()
    return events


@pytest.mark.parametrize("protocol", ["em4100", "ironlogic"])
def test_a_replay_gives_the_same_events_with_gaps_and_without(protocol: str) -> None:
    dice = random.Random(7)
    vectors = EM_VECTORS if protocol == "em4100" else IL_VECTORS
    stream = b"".join(bytes.fromhex(vector["frame_hex"]) for vector in vectors)
    chunks = cutting.cut(stream, [dice.randrange(10_000) for _ in range(20)])
    file = captured(protocol, [chunk for chunk in chunks if chunk], redact_key=None)
    slow = played(file, gaps=True)
    file.seek(0)
    assert played(file, gaps=False) == slow
    firsts = [event.uid.hex for event in slow if isinstance(event, CardRead) and not event.again]
    assert firsts == [vector["expected_uid_hex"] for vector in vectors]


def test_a_redacted_capture_replays_as_many_cards() -> None:
    file = captured("em4100", [bytes.fromhex(vector["frame_hex"]) for vector in EM_VECTORS], redact_key=KEY)
    cards = [event for event in played(file, gaps=False) if isinstance(event, CardRead)]
    assert len({card.uid for card in cards}) == len(EM_VECTORS)


def test_a_gap_longer_than_the_timeout_is_waited_out_in_parts() -> None:
    chunks = [
        Chunk(t_ns=0, dir="RECV", hex="aa"),
        Chunk(t_ns=30_000_000, dir="SEND", hex="bb"),
        Chunk(t_ns=30_000_000, dir="RECV", hex="cc"),
    ]
    recorded = RecordedTransport(chunks)
    recorded.open()
    assert recorded.read(0.01) == b"\xaa"
    reads = [recorded.read(0.01) for _ in range(3)]
    assert reads == [b"", b"", b"\xcc"]
    assert recorded.clock() == 30_000_000


def test_every_byte_that_arrives_is_told_again() -> None:
    chunks = [bytes((value,)) for value in range(256)]
    assert b"".join(received(captured("em4100", chunks, redact_key=None))) == bytes(range(256))
