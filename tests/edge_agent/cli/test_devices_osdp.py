"""The `edge-agent devices` commands with an OSDP reader: libosdp's own, in another process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.bench import osdp_key
from drivers.errors import NotSupported
from edge_agent.errors import AgentRunning, RequestRefused
from tests.drivers.osdp_peer import OsdpPeer
from tests.edge_agent.cli.control_peer import serve_status
from tests.edge_agent.cli.test_devices import run, run_bytes

KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
CARD = bytes.fromhex("04A3C6CA")
READ = {"event": "read", "uid": CARD.hex().upper(), "bits": 32, "tech": "unknown", "partial": False}


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[OsdpPeer]:
    peer = OsdpPeer(tmp_path, KEY)
    yield peer
    peer.dispose()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[OsdpPeer]:
    """Starts a reader in install mode."""
    peer = OsdpPeer(tmp_path, None)
    yield peer
    peer.dispose()


def settings(folder: Path, port: Path, more: str) -> str:
    path = folder / "agent.toml"
    path.write_text(
        f'[kiosk]\nstate_dir = "{folder}"\nrun_dir = "{folder}"\n'
        f'[[readers]]\nname = "door"\ndriver = "osdp"\nport = "{port}"\n{more}\n'
        f'[[readers]]\nname = "coil"\ndriver = "em4100"\nport = "{folder}/coil"\n'
    )
    return str(path)


def test_a_session_is_captured_then_decoded_and_replayed_with_the_readers_key(peer: OsdpPeer, tmp_path: Path) -> None:
    config = settings(tmp_path, peer.port, f'key_file = "{peer.key_file}"')
    trace, key = str(tmp_path / "door.osdpcap"), str(peer.key_file)
    peer.card(32, CARD)
    assert "replaced" in run("devices", "capture", "door", trace, "--seconds", "2", "--config", config)
    assert set(json.loads(Path(trace).read_text().splitlines()[0])) >= {"timeSec", "io", "data", "osdpTraceVersion"}
    assert [
        json.loads(line) for line in run_bytes("devices", "decode", "osdp", trace, "--key-file", key).split("\n")[:-1]
    ] == [READ]
    hidden = run_bytes("devices", "decode", "osdp", trace)
    assert "its key is needed" in hidden
    assert CARD.hex().upper() not in hidden
    events = [json.loads(line) for line in run("devices", "replay", trace, "--fast", "--key-file", key).splitlines()]
    assert [(event["event"], event["uid"]) for event in events] == [("read", READ["uid"])] * 2
    assert KEY.hex() not in Path(trace).read_text().replace(" ", "").lower()


def test_a_key_for_a_protocol_without_encryption_is_refused(tmp_path: Path) -> None:
    key, capture = tmp_path / "door.key", tmp_path / "capture.jsonl"
    osdp_key.create(key)
    capture.write_text('{"capture":1,"driver":"em4100","settings":{"port":"p"},"redacted":true}\n')
    with pytest.raises(RequestRefused, match="no OSDPCAP"):
        run("devices", "replay", str(capture), "--key-file", str(key))
    with pytest.raises(NotSupported, match="no secure channel"):
        run("devices", "decode", "em4100", str(capture), "--key-file", str(key))


def test_a_reader_gets_a_key_and_the_operator_reads_each_step(new: OsdpPeer, tmp_path: Path) -> None:
    config = settings(tmp_path, new.port, "commissioning = true")
    key_file = tmp_path / "door.key"
    output = run("devices", "commission", "door", "--key-file", str(key_file), "--config", config)
    assert output.index("install mode") < output.index("answers to the new key") < output.index("commissioning = false")
    key = osdp_key.load(key_file)
    assert bytes.fromhex(new.command()["data"]) == key
    assert key.hex() not in output.lower()


def test_nothing_changes_unless_the_settings_allow_commissioning(tmp_path: Path) -> None:
    config, key_file = settings(tmp_path, tmp_path / "door", ""), tmp_path / "door.key"
    for device, why in (
        ("door", "commissioning = true"),
        ("coil", "no OSDP reader"),
        ("dor", "choose one of: door, coil"),
    ):
        with pytest.raises(RequestRefused, match=why):
            run("devices", "commission", device, "--key-file", str(key_file), "--config", config)
    assert not list(tmp_path.glob("door.key*"))


def test_a_daemon_that_has_the_reader_open_must_be_stopped_first(tmp_path: Path) -> None:
    config, key_file = settings(tmp_path, tmp_path / "door", "commissioning = true"), tmp_path / "door.key"
    with serve_status(tmp_path, {}), pytest.raises(AgentRunning, match="stop it first"):
        run("devices", "commission", "door", "--key-file", str(key_file), "--config", config)
    assert not list(tmp_path.glob("door.key*"))
