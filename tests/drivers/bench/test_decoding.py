import json

import pytest

from drivers.bench.decoding import PROTOCOLS, decode, to_json
from drivers.errors import NotSupported
from drivers.protocols import em4100
from drivers.registry import DRIVERS
from tests.vectors import load_reader

EM, IL = load_reader("em4100_serial"), load_reader("ironlogic_text")


def lines(protocol: str, data: bytes) -> list[dict[str, object]]:
    """As a terminal shows them, after proof that the cut does not matter."""
    whole = [json.loads(to_json(line)) for line in decode(protocol, [data])]
    bytewise = [json.loads(to_json(line)) for line in decode(protocol, (data[i : i + 1] for i in range(len(data))))]
    assert bytewise == whole
    return whole


@pytest.mark.parametrize("vector", EM["vectors"], ids=lambda v: v["expected_uid_hex"])
def test_em4100(vector: dict[str, str]) -> None:
    expected = {"event": "read", "uid": vector["expected_uid_hex"], "bits": 40, "tech": "em4100", "partial": False}
    assert lines("em4100", bytes.fromhex(vector["frame_hex"])) == [expected]


@pytest.mark.parametrize("vector", EM["invalid"], ids=lambda v: v["why"])
def test_em4100_faults(vector: dict[str, str]) -> None:
    [line] = lines("em4100", bytes.fromhex(vector["frame_hex"]))
    assert line["event"] == "fault"
    assert line["what"]


def test_a_held_card_is_one_line() -> None:
    [stream] = EM["streams"]
    found = lines("em4100", bytes.fromhex(stream["stream_hex"]))
    assert [line["uid"] for line in found if line["event"] == "read"] == stream["expected_events"]
    assert found[-1] == {"event": "fault", "what": "a frame broke off"}


def test_a_number_of_zeros_is_a_fault() -> None:
    [line] = lines("em4100", em4100.encode(bytes(5)))
    assert line["event"] == "fault"


@pytest.mark.parametrize("vector", IL["vectors"], ids=lambda v: v["line"])
def test_ironlogic(vector: dict[str, str]) -> None:
    uid = vector["expected_uid_hex"]
    tech = "em4100" if vector["kind"] == "em-marine" else "iso14443a"
    found = lines("ironlogic", bytes.fromhex(vector["frame_hex"]) + b"no card\r\n")
    assert found == [
        {"event": "read", "uid": uid, "bits": 4 * len(uid), "tech": tech, "partial": False},
        {"event": "removed"},
    ]


def test_a_card_that_left_and_came_back_is_two_lines() -> None:
    line = bytes.fromhex(IL["vectors"][0]["frame_hex"])
    found = lines("ironlogic", line + b"No card\r\n" + line)
    assert [event["event"] for event in found] == ["read", "removed", "read"]


def test_an_unknown_protocol_names_the_nearest_before_anything_is_read() -> None:
    with pytest.raises(NotSupported, match="did you mean em4100"):
        decode("em4001", [])


def test_every_protocol_that_a_driver_names_can_be_decoded() -> None:
    assert {entry.protocol for entry in DRIVERS.values() if entry.protocol} <= set(PROTOCOLS)


def test_the_repr_of_a_line_shows_no_number() -> None:
    [line] = decode("em4100", [em4100.encode(bytes.fromhex("1F00644BB6"))])
    assert "644BB6" not in repr(line)
