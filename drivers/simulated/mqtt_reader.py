"""A reader on a microcontroller without one: a client of a broker with a birth message and a last will, as ESPHome's.

Does not imitate: Wi-Fi, the firmware's own debounce, a radio field.
"""

import os
import socket
import threading

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

PUBLISH_WAIT_S = 10.0


class MqttReaderPeer:
    """One reader; `status` is the topic of its last will, empty for none."""

    def __init__(self, host: str, port: int, *, status: str = "", user: str = "", password: str = "") -> None:
        self._status = status
        self._connected = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="", reconnect_on_failure=False)
        self._client.on_connect = self._on_connect
        if user:
            self._client.username_pw_set(user, password)
        if status:
            self._client.will_set(status, "offline", qos=1, retain=True)
        self._client.connect(host, port)
        self._client.loop_start()
        if not self._connected.wait(PUBLISH_WAIT_S):
            raise ConnectionError("the broker does not let the simulated reader in")
        if status:
            self.publish(status, "online", retain=True)

    def publish(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publishes and waits until the broker has it."""
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(PUBLISH_WAIT_S)

    def die(self) -> None:
        """Cuts the power: the broker says the last will."""
        connection = self._client.socket()
        if connection is not None:
            with socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def close(self) -> None:
        """Goes in good order; the last will is not said."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if not reason.is_failure:
            self._connected.set()
