"""The whole driver against a real mosquitto, with our simulated reader at its other side."""

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.network.mqtt import Mqtt, MqttSettings
from drivers.readings import CardRead, CodeRead, DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.simulated.mqtt_reader import MqttReaderPeer
from tests.drivers.network.mosquitto_broker import MOSQUITTO, MosquittoBroker, needs_mosquitto

pytestmark = needs_mosquitto
HANG_S = 20.0
STATUS = "door/status"


class BrokerWorld:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = MosquittoBroker(folder)
        self.readers: list[Mqtt] = []
        self.peers: list[MqttReaderPeer] = []

    def reader(self, **options: object) -> Mqtt:
        settings = {
            "host": "127.0.0.1",
            "port": self.broker.port,
            "topics": {"door/tag": "plain", "tele/+/SENSOR": "/RDM6300/UID"},
            "client_id": f"test-{self.broker.port}",
        } | options
        reader = Mqtt("door", parse(MqttSettings, settings))
        self.readers.append(reader)
        return reader

    def peer(self, status: str = "", **options: str) -> MqttReaderPeer:
        peer = MqttReaderPeer("127.0.0.1", self.broker.port, status=status, **options)
        self.peers.append(peer)
        return peer

    def dispose(self) -> None:
        for reader in self.readers:
            reader.close()
        for peer in self.peers:
            peer.close()
        self.broker.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[BrokerWorld]:
    world = BrokerWorld(tmp_path)
    yield world
    world.dispose()


def read_until(reader: Mqtt, is_enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + HANG_S
    while not is_enough(events):
        assert time.monotonic() < until, events
        events += reader.read(0.1)
    return events


def some(reader: Mqtt) -> list[DeviceEvent]:
    return read_until(reader, bool)


def error_of(act: Callable[[], object]) -> DeviceError:
    """The error that an act meets in the end."""
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        try:
            act()
        except DeviceError as error:
            return error
    pytest.fail("nothing went wrong")


def test_cards_of_esphome_and_tasmota(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    peer = world.peer()
    peer.publish("door/tag", "74-10-37-94")
    [first, again] = some(reader)
    assert isinstance(first, CardRead)
    assert isinstance(again, CardRead)
    assert (first.uid.hex, first.again, again.again) == ("74103794", False, True)
    peer.publish("tele/hall/SENSOR", '{"Time":"2026-11-20T09:40:15","Wifi":{"RSSI":50}}')
    peer.publish("tele/hall/SENSOR", '{"Time":"2026-11-20T09:40:15","RDM6300":{"UID":"001C3A5E"}}')
    event = some(reader)[0]
    assert isinstance(event, CardRead)
    assert event.uid.hex == "001C3A5E"


def test_a_held_card_counts_once(world: BrokerWorld) -> None:
    reader = world.reader(hold_ms=60_000)
    reader.open()
    peer = world.peer()
    for _ in range(5):
        peer.publish("door/tag", "74-10-37-94")
    peer.publish("door/tag", "04-A3-C6-CA")
    events = read_until(reader, lambda events: len(events) >= 4)
    assert [event.uid.hex for event in events if isinstance(event, CardRead)] == ["74103794"] * 2 + ["04A3C6CA"] * 2


def test_codes_and_people(world: BrokerWorld) -> None:
    code = world.reader(kind="code", client_id="code")
    person = world.reader(kind="person", method="palm", client_id="person")
    code.open()
    person.open()
    world.peer().publish("door/tag", "A-17")
    assert isinstance(event := some(code)[0], CodeRead)
    assert event.text == "A-17"
    assert isinstance(match := some(person)[0], PersonMatched)
    assert (match.number, match.method) == ("A-17", "palm")


def test_a_retained_message_is_nobody(world: BrokerWorld) -> None:
    peer = world.peer()
    peer.publish("door/tag", "74-10-37-94", retain=True)
    reader = world.reader()
    reader.open()
    [fault] = some(reader)
    assert isinstance(fault, StreamFault)
    assert "retain" in fault.what
    peer.publish("door/tag", "04-A3-C6-CA")
    assert isinstance(some(reader)[0], CardRead)


def test_a_message_is_acknowledged_only_after_it_was_taken(world: BrokerWorld) -> None:
    reader = world.reader(hold_ms=0)
    reader.open()
    world.peer().publish("door/tag", "74-10-37-94")
    assert some(reader)
    reader.close()  # before the next read: the broker was told nothing
    other = world.reader(hold_ms=0)
    other.open()
    assert isinstance(some(other)[0], CardRead), "it comes again"
    other.read(0)
    other.close()
    third = world.reader(hold_ms=0)
    third.open()
    assert not third.read(0.3), "it was taken, and does not"


def test_what_was_not_taken_comes_again_to_the_same_reader_and_what_was_does_not(world: BrokerWorld) -> None:
    reader = world.reader(hold_ms=0)
    reader.open()
    world.peer().publish("door/tag", "74-10-37-94")
    assert some(reader)
    reader.close()  # nobody could take it
    reader.open()
    assert isinstance(some(reader)[0], CardRead)
    reader.read(0)
    reader.close()
    reader.open()
    assert not reader.read(0.3)


def test_what_the_broker_kept_is_given_and_what_is_older_than_ttl_is_not(world: BrokerWorld) -> None:
    reader = world.reader(ttl_s=100)
    reader.open()
    reader.close()
    world.peer().publish("door/tag", "74-10-37-94")
    reader.open()
    assert isinstance(some(reader)[0], CardRead)
    reader.read(0)
    reader.close()
    short = world.reader(ttl_s=0, client_id="short")
    short.open()
    short.close()
    world.peer().publish("door/tag", "04-A3-C6-CA")
    short.open()
    assert not short.read(0.3)


def test_the_last_will_says_that_the_reader_is_away_and_its_birth_that_it_is_back(world: BrokerWorld) -> None:
    reader = world.reader(presence_topic=STATUS)
    with pytest.raises(DeviceGone, match="nothing was ever said"):
        reader.open()
    peer = world.peer(STATUS)
    reader.open()
    peer.publish("door/tag", "74-10-37-94")
    assert isinstance(some(reader)[0], CardRead)
    peer.die()
    assert "last will" in str(error_of(lambda: reader.read(0.1)))
    reader.close()
    with pytest.raises(DeviceGone, match="last will"):
        reader.open()
    world.peer(STATUS).publish("door/tag", "04-A3-C6-CA")
    reader.open()
    assert isinstance(some(reader)[0], CardRead), "what came meanwhile is not lost"


def test_a_card_just_before_the_power_cut_is_not_lost(world: BrokerWorld) -> None:
    reader = world.reader(presence_topic=STATUS)
    peer = world.peer(STATUS)
    reader.open()
    peer.publish("door/tag", "74-10-37-94")
    peer.die()
    assert isinstance(some(reader)[0], CardRead)
    error_of(lambda: reader.read(0.1))


def test_rubbish_is_told_and_holds_nothing_of_it(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    peer = world.peer()
    peer.publish("door/tag", "")
    peer.publish("door/tag", b"\xff\xfe")
    peer.publish("door/tag", "not a card at all")
    peer.publish("tele/x/SENSOR", "74-10-37-94")
    peer.publish("door/tag", b"1" * 10_000)
    events = read_until(reader, lambda events: len(events) >= 5)
    assert all(isinstance(event, StreamFault) for event in events)
    assert {event.cause for event in events if isinstance(event, StreamFault)} > {FaultCause.CARD, FaultCause.SETTINGS}
    assert "74-10" not in repr(events)


def test_a_megabyte_never_reaches_us_and_what_comes_behind_does(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    peer = world.peer()
    peer.publish("door/tag", b"1" * 1_000_000)
    peer.publish("door/tag", "04-A3-C6-CA")
    assert isinstance(some(reader)[0], CardRead)


def test_a_flood_is_bounded_and_told(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    peer = world.peer()
    for number in range(400):
        peer.publish("door/tag", f"{number:08X}", qos=0)
    peer.publish("other", "", qos=1)  # the broker has them all
    events = read_until(reader, lambda events: any(isinstance(event, StreamFault) for event in events))
    faults = [event.what for event in events if isinstance(event, StreamFault)]
    assert any("faster" in what or "zeros" in what for what in faults)


def test_a_broker_that_goes_is_gone_and_comes_back(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    world.broker.stop()
    assert isinstance(error_of(lambda: reader.read(0.1)), DeviceGone)
    reader.close()
    with pytest.raises(DeviceGone, match="does not answer"):
        reader.open()
    world.broker.start()
    reader.open()
    world.peer().publish("door/tag", "74-10-37-94")
    assert isinstance(some(reader)[0], CardRead)


def test_a_client_id_is_held_by_one(world: BrokerWorld) -> None:
    first, second = world.reader(), world.reader()
    first.open()
    with pytest.raises(DeviceBusy, match="lsof"):
        second.open()
    first.close()
    second.open()


def test_another_machine_with_our_client_id_is_named(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    thief = Client(CallbackAPIVersion.VERSION2, client_id=f"test-{world.broker.port}", reconnect_on_failure=False)
    thief.connect("127.0.0.1", world.broker.port)
    thief.loop_start()
    assert "client_id" in str(error_of(lambda: reader.read(0.1)))
    thief.disconnect()
    thief.loop_stop()


def test_version_3_1_1(world: BrokerWorld) -> None:
    reader = world.reader(version="3.1.1")
    reader.open()
    world.peer().publish("door/tag", "74-10-37-94")
    assert isinstance(some(reader)[0], CardRead)


def test_settings_that_cannot_work_say_what_to_do(world: BrokerWorld) -> None:
    for options, said in (
        ({"topics": {"door/tag": "tag"}}, "write /tag"),
        ({"password_file": "/no/such/file"}, "password_file"),
    ):
        with pytest.raises(NotSupported, match=said):
            world.reader(**options).open()


def test_what_is_no_broker_is_gone_in_time(world: BrokerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("drivers.transports.mqtt.CONNECT_WAIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeviceGone, match="is it a broker"):
        world.reader(port=silent.getsockname()[1]).open()


def test_a_user_and_a_password(world: BrokerWorld, tmp_path: Path) -> None:
    users = tmp_path / "users"
    password_tool = Path(MOSQUITTO).parents[1] / "bin" / "mosquitto_passwd"
    if not password_tool.exists():
        pytest.skip(f"there is no {password_tool}, which comes with mosquitto")
    subprocess.run([password_tool, "-b", "-c", users, "kiosk", "secret"], check=True, capture_output=True)
    locked = MosquittoBroker(tmp_path, ("allow_anonymous false", f"password_file {users}"))
    try:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        secret.chmod(0o600)
        settings: dict[str, object] = {"port": locked.port, "user": "kiosk", "password_file": str(secret)}
        world.reader(**settings).open()
        secret.write_text("wrong")
        with pytest.raises(NotSupported, match="password_file"):
            world.reader(**settings, client_id="other").open()
    finally:
        locked.stop()


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_with_the_brokers_own_authority(world: BrokerWorld, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    locked = MosquittoBroker(tmp_path, tls=f"certfile {certificate}\nkeyfile {key}\nallow_anonymous true")
    try:
        reader = world.reader(port=locked.port, tls=True, ca_file=str(certificate), client_id="tls")
        reader.open()
        reader.close()
        with pytest.raises(NotSupported, match="ca_file"):
            world.reader(port=locked.port, tls=True, client_id="strange").open()
    finally:
        locked.stop()
    assert ssl.OPENSSL_VERSION


def test_close_wakes_a_read_that_waits(world: BrokerWorld) -> None:
    reader = world.reader()
    reader.open()
    outcome: list[object] = []
    thread = threading.Thread(target=lambda: outcome.append(list(reader.read(HANG_S * 9))), daemon=True)
    thread.start()
    time.sleep(0.1)
    reader.close()
    thread.join(HANG_S)
    assert outcome == [[]]
