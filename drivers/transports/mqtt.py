"""A broker of MQTT messages, by paho-mqtt: one connection that hears some topics. Errors become ours here.

The connection is made anew by opening it again; nothing reconnects by itself. A message of QoS 1 is acknowledged by
`acknowledge` only. With protocol 5 the broker keeps messages for us while we are away, and throws all away after
`keep_s`, so that none is older; with 3.1.1 it cannot say so, and keeps nothing.
"""

import queue
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported

CONNECT_WAIT_S = 10.0
KEEPALIVE_S = 20
MESSAGES_MAX = 256  # of QoS 0 that wait to be read; of QoS 1 the broker sends UNACKNOWLEDGED_MAX and waits
UNACKNOWLEDGED_MAX = 16
MQTT_PACKET_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Broker:
    """The place of a broker, and how we are let in."""

    host: str
    port: int
    client_id: str
    topics: tuple[str, ...]  # filters
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""  # empty: the system's authorities
    version: str = "5"
    keep_s: int = 60


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message as it came. `number` is for `acknowledge`."""

    topic: str
    payload: bytes = field(repr=False)
    retained: bool  # it was there before we came
    repeated: bool  # the broker has sent it before and knows of no acknowledgement
    qos: int
    number: int


class MqttLink:
    """One connection. Its client id is held: two processes with the same would throw each other out for ever."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._held: socket.socket | None = None
        self._arrived: queue.Queue[MqttMessage | DeviceError | None] = queue.Queue(MESSAGES_MAX)
        self._answer: queue.Queue[DeviceError | None] = queue.Queue(1)
        self.dropped = 0  # messages for which there was no room

    def open(self) -> None:
        """Connects and subscribes. Raises DeviceGone, DeviceBusy or NotSupported."""
        with self._lock:
            if self._client is not None:
                raise RuntimeError("the connection is already open: close it first")
            self._held = _hold(self._broker.client_id)
            self._arrived = queue.Queue(MESSAGES_MAX)
            self._answer = queue.Queue(1)
            try:
                self._client = self._connect()
                answer = self._wait_for_answer()
                if answer is not None:
                    raise answer
            except DeviceError:
                self._close()
                raise

    def read(self, timeout_s: float) -> MqttMessage | None:
        """Returns the oldest message; None where none came in time. Raises DeviceGone once the connection is lost."""
        if self._client is None:
            raise DeviceGone(f"{self._where} is not open")
        try:
            arrived = self._arrived.get(timeout=timeout_s) if timeout_s > 0 else self._arrived.get_nowait()
        except queue.Empty:
            return None
        if isinstance(arrived, DeviceError):
            self._arrived.put(arrived)  # it stays lost
            raise arrived
        return arrived

    def acknowledge(self, message: MqttMessage) -> None:
        """Tells the broker that a message need not come again. A connection that is lost makes it come again."""
        client = self._client
        if client is not None and message.qos:
            client.ack(message.number, message.qos)

    def close(self) -> None:
        """Ends the connection; a `read` that waits returns."""
        with self._lock:
            self._close()

    @property
    def _where(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.on_disconnect = None
            client.disconnect()
            client.loop_stop()
            with suppress(queue.Full):
                self._arrived.put_nowait(None)
        if self._held is not None:
            self._held.close()
            self._held = None

    def _connect(self) -> Client:
        broker, is_5 = self._broker, self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if is_5 else True,
            protocol=MQTTv5 if is_5 else MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_WAIT_S
        client.on_connect, client.on_message, client.on_disconnect = self._connected, self._took, self._lost
        client.on_subscribe = self._subscribed
        if broker.user:
            client.username_pw_set(broker.user, broker.password or None)
        try:
            if broker.tls:
                client.tls_set(ca_certs=broker.ca_file or None)
            if is_5:
                client.connect(
                    broker.host, broker.port, KEEPALIVE_S, clean_start=False, properties=_session(broker.keep_s)
                )
            else:
                client.connect(broker.host, broker.port, KEEPALIVE_S)
        except ssl.SSLError as error:
            raise NotSupported(
                f"tls: {self._where} and we cannot agree ({error.reason}): check ca_file, the host's name and the port"
            ) from error
        except (OSError, ValueError) as error:
            raise DeviceGone(
                f"{self._where} does not answer ({error}): check host, port, and that the broker runs"
            ) from error
        client.loop_start()
        return client

    def _wait_for_answer(self) -> DeviceError | None:
        try:
            return self._answer.get(timeout=CONNECT_WAIT_S)
        except queue.Empty:
            return DeviceGone(f"{self._where} takes the connection and says nothing: is it a broker?")

    def _connected(self, client: Client, _: object, flags: ConnectFlags, reason: ReasonCode, props: object) -> None:
        if reason.is_failure:
            self._say(self._refused(str(reason)))
            return
        outcome, _number = client.subscribe([(topic, 1) for topic in self._broker.topics])
        if outcome is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._say(DeviceGone(f"{self._where} went away while we subscribed"))

    def _subscribed(self, client: Client, _: object, number: int, reasons: list[ReasonCode], props: object) -> None:
        refused = [topic for topic, reason in zip(self._broker.topics, reasons, strict=False) if reason.is_failure]
        self._say(
            NotSupported(f"topics: the broker does not let us hear {refused[0]}: give this user the right to")
            if refused
            else None
        )

    def _refused(self, reason: str) -> DeviceError:
        if "protocol" in reason.lower():
            return NotSupported(f'version: {self._where} says: {reason}; set version = "3.1.1"')
        if any(word in reason.lower() for word in ("user", "password", "authori")):
            return NotSupported(f"user: {self._where} says: {reason}; check user and password_file")
        return DeviceGone(f"{self._where} refuses us: {reason}; look at the broker's log")

    def _took(self, client: Client, _: object, message: MQTTMessage) -> None:
        taken = MqttMessage(
            message.topic, bytes(message.payload), message.retain, message.dup, message.qos, message.mid
        )
        try:
            self._arrived.put_nowait(taken)
        except queue.Full:  # of QoS 0 only: see MESSAGES_MAX
            self.dropped += 1

    def _lost(self, client: Client, _: object, flags: DisconnectFlags, reason: ReasonCode, props: object) -> None:
        gone = DeviceGone(f"{self._where} is gone ({reason}): check the broker, and that no other has our client_id")
        self._say(gone)
        while True:
            try:
                self._arrived.put_nowait(gone)
            except queue.Full:
                with suppress(queue.Empty):
                    self._arrived.get_nowait()  # it was not acknowledged, or never would have been: it makes room
            else:
                return

    def _say(self, answer: DeviceError | None) -> None:
        with suppress(queue.Full):  # the first answer counts
            self._answer.put_nowait(answer)


def _session(keep_s: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = keep_s
    properties.ReceiveMaximum = UNACKNOWLEDGED_MAX
    properties.MaximumPacketSize = MQTT_PACKET_BYTES_MAX
    return properties


def _hold(client_id: str) -> socket.socket:
    """Holds a client id on this machine until it is closed. Raises DeviceBusy where another process holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0edge-agent-mqtt-{client_id}")
    except OSError as error:
        held.close()
        raise DeviceBusy(
            f"client_id: another reader here uses {client_id}, and each would throw the other out: `lsof -U` says "
            "which program; give each its own"
        ) from error
    return held
