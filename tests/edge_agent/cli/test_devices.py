"""The `edge-agent devices` commands."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.errors import DeviceGone
from drivers.protocols import hid
from drivers.settings import WrongSetting
from drivers.simulated.card_peer import CardPeer
from edge_agent.cli.main import build
from edge_agent.errors import ExitCode, RequestRefused
from tests.drivers.relay_board import RelayBoard
from tests.drivers.uart import line_levels, receive

FRAME = "0231463030363434424236383603"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build(arguments[0]), arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        f'[[readers]]\nname = "door"\ndriver = "em4100"\nport = "{tmp_path}/door"\n'
    )
    return path


def test_list_names_drivers_and_what_is_configured(config: Path) -> None:
    listed = json.loads(run("devices", "list", "--config", str(config), "--json"))
    assert {"em4100", "ironlogic"} <= {row["driver"] for row in listed["drivers"]}
    (door,) = [row for row in listed["configured"] if row["name"] == "door"]
    assert door["why"] == "the agent is not running"


def test_probe_prints_a_line_when_nothing_is_plugged_in() -> None:
    assert run("devices", "probe")


def test_off_switches_every_relay_off_and_says_what_it_could_not_reach(tmp_path: Path) -> None:
    board = RelayBoard(tmp_path / "gate")
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        f'[[indicators]]\nname = "gate"\ndriver = "turnstile"\nport = "{board.port}"\nway_in = 1\nway_out = 2\n'
        f'[[indicators]]\nname = "lamp"\ndriver = "lcus"\nport = "{tmp_path}/none"\n'
        f'[[indicators]]\nname = "reader-lamp"\ndriver = "osdp-light"\nport = "{tmp_path}/none"\n'
    )
    result = CliRunner().invoke(build("devices"), ["devices", "off", "--config", str(config)])
    assert result.exit_code == ExitCode.DEVICE
    gate, lamp = result.output.splitlines()
    assert gate == "gate: off"
    assert lamp.startswith("lamp: ")
    assert "not there" in lamp
    assert board.on == set()
    assert {event.relay for event in board.switched} == {1, 2}
    board.unplug()


@pytest.mark.parametrize(
    "text",
    [FRAME, f"{FRAME[:7]} {FRAME[7:]}\n", FRAME.lower() + "\r\n", bytes.fromhex(FRAME).hex(":"), "-".join(FRAME)],
)
def test_decode_takes_hex_however_it_is_laid_out(tmp_path: Path, text: str) -> None:
    source = tmp_path / "bytes.hex"
    source.write_text(text)
    line = json.loads(run_bytes("devices", "decode", "em4100", str(source), "--hex"))
    assert line == {"event": "read", "uid": "1F00644BB6", "bits": 40, "tech": "em4100", "partial": False}


def test_decode_reads_standard_input_too() -> None:
    assert '"1F00644BB6"' in run_bytes("devices", "decode", "em4100", stdin=bytes.fromhex(FRAME) + b"\xff\xff")


def test_decode_prints_the_events_of_a_live_line_before_it_ends() -> None:
    code = "from edge_agent.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", code, "devices", "decode", "em4100"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(bytes.fromhex(FRAME))
        assert b'"1F00644BB6"' in process.stdout.readline()
        process.stdin.close()


@pytest.mark.parametrize(
    "words", [("decode", "em4100", "nowhere"), ("decode", "em4100", "/"), ("import", "door", "nowhere")]
)
def test_a_missing_file_is_an_error_of_use(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(build("devices"), ["devices", *words])
    assert result.exit_code == ExitCode.USAGE
    assert "does not exist" in result.output or "is a directory" in result.output


def test_a_card_reader_imports_no_rows_of_a_terminal(config: Path, tmp_path: Path) -> None:
    rows = tmp_path / "attlog.dat"
    rows.write_text("     1001\t2026-11-20 09:40:15\t1\t0\t25\t0\n")
    with pytest.raises(RequestRefused, match="no terminal but RDM6300"):
        run("devices", "import", "door", str(rows), "--config", str(config))


def test_a_file_that_no_terminal_writes_is_not_read(tmp_path: Path) -> None:
    config, huge = tmp_path / "agent.toml", tmp_path / "attlog.dat"
    config.write_text(
        f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        '[[readers]]\nname = "palms"\ndriver = "zk-adms"\nlisten = "127.0.0.1:1"\nserials = ["A"]\n'
    )
    with huge.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(RequestRefused, match="64 MiB"):
        run("devices", "import", "palms", str(huge), "--config", str(config))


def test_decode_refuses_what_is_no_hex(tmp_path: Path) -> None:
    source = tmp_path / "bytes.hex"
    source.write_bytes(b"\xff\xfe")
    with pytest.raises(RequestRefused, match="not hex; leave --hex out"):
        run("devices", "decode", "em4100", str(source), "--hex")


def test_decode_refuses_half_a_byte(tmp_path: Path) -> None:
    source = tmp_path / "bytes.hex"
    source.write_text("023")
    with pytest.raises(RequestRefused, match="odd number of hex digits"):
        run("devices", "decode", "em4100", str(source), "--hex")


def test_capture_replaces_numbers_and_replay_plays_it_through_the_driver(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "capture.jsonl"
    with CardPeer(tmp_path / "door") as peer:
        peer.send(bytes.fromhex(FRAME))
        while_sending(peer, "devices", "capture", "door", str(target), "--seconds", "1", "--config", str(config))
    assert b"1F00644BB6".hex() not in target.read_text()
    events = [json.loads(line) for line in run("devices", "replay", str(target), "--fast").splitlines()]
    assert events
    assert {event["event"] for event in events} == {"read"}
    assert events[0]["uid"] != "1F00644BB6"


def test_an_empty_capture_leaves_no_file(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "capture.jsonl"
    words = ("devices", "capture", "door", str(target), "--seconds", "0.2", "--config", str(config))
    with pytest.raises(DeviceGone):
        run(*words)
    assert not target.exists()
    with CardPeer(tmp_path / "door"), pytest.raises(RequestRefused, match="nothing came"):
        run(*words)
    assert not target.exists()
    with pytest.raises(RequestRefused, match="cannot write"):
        run("devices", "capture", "door", str(tmp_path / "none" / "x"), "--config", str(config))


def test_a_capture_whose_settings_no_driver_has_is_refused(tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl"
    capture.write_text('{"capture":1,"driver":"em4100","settings":{"port":"x","bauds":9600}}\n')
    with pytest.raises(WrongSetting, match="did you mean baud"):
        run("devices", "replay", str(capture))


def test_watch_shows_bytes_and_what_they_mean(config: Path, tmp_path: Path) -> None:
    words = ("devices", "watch", "door", "--seconds", "1", "--config", str(config))
    with CardPeer(tmp_path / "door") as peer:
        output = while_sending(peer, *words)
        rows = [json.loads(line) for line in while_sending(peer, *words, "--json").splitlines()]
    expected = {"event": "read", "uid": "1F00644BB6", "bits": 40, "tech": "em4100", "partial": False, "again": False}
    assert f"RECV {FRAME}" in output
    assert expected in [json.loads(line) for line in output.splitlines() if line.lstrip().startswith("{")]
    assert FRAME in [row["hex"] for row in rows]
    assert next(row for row in rows if row["events"])["events"][0] == expected


def test_the_error_for_an_unknown_reader_names_the_configured_readers(config: Path) -> None:
    with pytest.raises(RequestRefused, match="choose one of: door"):
        run("devices", "watch", "dor", "--config", str(config), "--seconds", "1")


def run_bytes(*arguments: str, stdin: bytes = b"") -> str:
    """Returns the output of a command in a process of its own: `decode` writes bytes past the text layer."""
    code = "from edge_agent.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


def test_calibrate_finds_the_setting_from_a_card_and_writes_it(config: Path, tmp_path: Path) -> None:
    with CardPeer(tmp_path / "door") as peer:
        output = while_sending(peer, "devices", "calibrate", "door", "B64B64001F", "--write", "--config", str(config))
    assert 'uid_encoding = "hex-reversed"' in output
    assert 'uid_encoding = "hex-reversed"' in config.read_text()


def while_sending(peer: CardPeer, *arguments: str, sent: bytes = bytes.fromhex(FRAME)) -> str:
    """Returns the output of a command. The card lies on the reader for as long as it runs."""
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.1):
            peer.send(sent)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return run(*arguments)
    finally:
        stop.set()
        sender.join()


@pytest.mark.parametrize(
    ("number", "line"),
    [("04A3C6CA", 'uid_encoding = "w34-reversed"'), ("CAC6A304", 'uid_encoding = "w34"')],
)
def test_calibrate_finds_a_converters_byte_order(tmp_path: Path, number: str, line: str) -> None:
    config = line_reader(tmp_path, "w34-hex")
    with CardPeer(tmp_path / "door") as peer:
        output = while_sending(
            peer, "devices", "calibrate", "door", number, "--config", str(config), sent=b"CAC6A304\r\n"
        )
    assert line in output


@pytest.mark.parametrize(
    ("typed", "number", "encoding"),
    [
        ("0006572982", "0006572982", "dec10"),
        ("1F00644BB6", "0006572982", "hex"),
        ("B64B64001F", "0006572982", "hex-reversed"),
        ("10019382", "100,19382", "w26"),
        ("805AC8DA68AF04", "04:AF:68:DA:C8:5A:80", "hex-reversed"),
    ],
)
def test_calibrate_finds_a_keyboard_readers_setting_under_a_wrong_setting(
    tmp_path: Path, typed: str, number: str, encoding: str
) -> None:
    """The default setting is ten decimals, under which most of these inputs are no card."""
    device = tmp_path / "event-kbd"
    os.mkfifo(device)
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        f'[[readers]]\nname = "desk"\ndriver = "hid-wedge"\ndevice = "{device}"\n'
    )
    keys = os.open(device, os.O_RDWR)
    os.write(keys, hid.encode(typed, size=hid.SIZE_HERE, start_us=10**15))
    output = run("devices", "calibrate", "desk", number, "--write", "--config", str(config))
    os.close(keys)
    assert f'uid_encoding = "{encoding}"' in output
    assert f'uid_encoding = "{encoding}"' in config.read_text()


def test_calibrate_names_the_fault_in_a_reading(tmp_path: Path) -> None:
    config = line_reader(tmp_path, "dec10")
    words = ("devices", "calibrate", "door", "1234", "--config", str(config), "--seconds", "2")
    with CardPeer(tmp_path / "door") as peer, pytest.raises(RequestRefused, match="no card: a line that is no dec10"):
        while_sending(peer, *words, sent=b"CAC6A304\r\n")


def test_calibrate_says_what_it_read_and_how_it_differs(tmp_path: Path) -> None:
    config = line_reader(tmp_path, "hex")
    words = ("devices", "calibrate", "door", "04:56:46:3A:AC:22:80", "--config", str(config), "--seconds", "2")
    with CardPeer(tmp_path / "door") as peer, pytest.raises(RequestRefused, match="only the last 4 bytes of 7"):
        while_sending(peer, *words, sent=b"3AAC2280\r\n")


def test_watch_says_what_is_wrong_with_the_line(config: Path, tmp_path: Path) -> None:
    heard = receive(line_levels(bytes.fromhex(FRAME) * 4), sent_baud=9_600, read_baud=19_200)
    words = ("devices", "watch", "door", "--seconds", "1", "--config", str(config))
    with CardPeer(tmp_path / "door") as peer:
        output = while_sending(peer, *words, sent=heard)
    assert "→ the speed is wrong, the port is faster than the reader: set a lower baud" in output


def test_calibrate_names_a_wrong_speed(config: Path, tmp_path: Path) -> None:
    heard = receive(line_levels(bytes.fromhex(FRAME) * 4), sent_baud=9_600, read_baud=19_200)
    words = ("devices", "calibrate", "door", "1234", "--config", str(config), "--seconds", "2")
    with CardPeer(tmp_path / "door") as peer, pytest.raises(RequestRefused, match="set a lower baud"):
        while_sending(peer, *words, sent=heard)


def line_reader(folder: Path, form: str) -> Path:
    config = folder / "agent.toml"
    config.write_text(
        f'[kiosk]\nstate_dir = "{folder}"\nrun_dir = "{folder}"\n'
        f'[[readers]]\nname = "door"\ndriver = "line"\nport = "{folder}/door"\nform = "{form}"\n'
    )
    return config


def test_a_device_without_a_byte_protocol_can_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        f'[[readers]]\nname = "palm"\ndriver = "palm-bridge"\nsocket = "{tmp_path}/vendor.sock"\n'
    )
    run("devices", "watch", "palm", "--seconds", "0.2", "--config", str(path))
