"""Readers on microcontrollers (ESP32 with ESPHome or Tasmota) that send what they read to an MQTT broker.

    host = "192.168.1.10"
    topics = { "canteen/door/tag" = "plain", "tele/door/SENSOR" = "/RDM6300/UID" }
    presence_topic = "canteen/door/status"

Each topic has a form: `plain`, or the JSON pointer of the number. A message that was there before we came (retained) is
of nobody who stands there now, and is passed over. What a broker kept for us is at most `ttl_s` old. A message is
acknowledged with the next `read`: a caller that reads again has taken it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta
from paho.mqtt.client import topic_matches_sub

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.presence import HeldCards
from drivers.credential_file import credential_path, read_credential
from drivers.errors import DeviceGone, NotSupported
from drivers.network.http_callers import utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.protocols.fault import Fault
from drivers.protocols.gate_json import check_pointer
from drivers.protocols.mqtt_payload import MQTT_PAYLOAD_MAX, PLAIN, bare_number, read_tag
from drivers.readings import CardRead, CodeRead, DeviceEvent, FaultCause, PersonMatched, StreamFault, Technology
from drivers.transports.mqtt import Broker, MqttLink, MqttMessage
from drivers.uid import RejectedNumber, UidEncoding, to_uid

STATUS_WAIT_S = 2.0  # for the retained message that says whether the reader is there
REPEATS_MAX = 256  # messages of which a repeat is known


class TagKind(StrEnum):
    """The kind of what a reader sends."""

    CARD = "card"
    CODE = "code"
    PERSON = "person"  # the number of a person whom the device has matched


class MqttSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, Meta(pattern="^[0-9A-Za-z.:-]{1,100}$")]
    topics: Annotated[dict[str, str], Meta(min_length=1, max_length=32)]  # filter → plain, or a JSON pointer
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    client_id: Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{0,64}$")] = ""  # empty: edge-agent- and the reader's name
    user: str = ""
    password_file: str = ""  # a plain name stands in the credentials folder
    tls: bool = False
    ca_file: str = ""  # of the broker's authority; empty: the system's
    version: Literal["5", "3.1.1"] = "5"
    kind: TagKind = TagKind.CARD
    uid_encoding: UidEncoding = UidEncoding.HEX
    technology: Technology = Technology.UNKNOWN
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "palm"  # by which a person was matched
    presence_topic: str = ""  # of the reader's last will
    presence_online: str = "online"  # what it says while it is there
    hold_ms: Annotated[int, Meta(ge=0, le=60_000)] = 1_500  # the same card again within this time is still there
    ttl_s: Annotated[int, Meta(ge=0, le=100)] = 60  # how old a message may be that the broker kept for us


class Mqtt:
    Settings: ClassVar[type[DriverSettings]] = MqttSettings

    def __init__(
        self,
        name: str,
        settings: MqttSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,  # a broker is no stream of bytes: not used
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = name
        self._settings, self._clock, self._tap = settings, clock, tap
        self._link: MqttLink | None = None
        self._held = HeldCards(settings.hold_ms)
        self._taken = RecentKeys(REPEATS_MAX)
        self._early: list[MqttMessage] = []  # came while the reader's presence was waited for
        self._pending: list[MqttMessage] = []  # told, and not acknowledged yet
        self._away: DeviceGone | None = None  # what the last will said
        self._dropped = 0

    def open(self) -> None:
        settings = self._settings
        try:
            for form in settings.topics.values():
                if form != PLAIN:
                    check_pointer(form)
        except ValueError as error:
            raise NotSupported(f"topics: {error}; or plain") from error
        link = MqttLink(self._broker())
        link.open()
        self._link, self._pending, self._early, self._away, self._dropped = link, [], [], None, 0
        self._held.clear()
        self._taken.forget_given()
        try:
            self._await_presence(link)
        except DeviceGone:
            self.close()
            raise

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Acknowledges what was taken, then gives the next messages."""
        link = self._link
        if link is None:
            raise DeviceGone(f"{self.name} is not open")
        self._taken.confirm()
        self._acknowledge(link)
        self._raise_if_away()
        events: list[DeviceEvent] = []
        for message in self._messages(link, timeout_s):
            if message.topic == self._settings.presence_topic:
                link.acknowledge(message)
                self._judge_presence(message)
            else:
                self._pending.append(message)
                events += self._told(message)
        if link.dropped > self._dropped:
            self._dropped = link.dropped
            events.append(self._fault("messages that came faster than they could be read: is a device in a loop?"))
        if not events:
            self._raise_if_away()
        return events

    def close(self) -> None:
        link = self._link
        self._link = None
        if link is not None:
            link.close()

    def _broker(self) -> Broker:
        settings = self._settings
        password = ""
        if settings.password_file:
            path = credential_path("password_file", settings.password_file)
            secret = read_credential("password_file", path, "write the broker's password into it")
            password = secret.decode("utf-8", "replace")
        presence = (settings.presence_topic,) if settings.presence_topic else ()
        return Broker(
            settings.host,
            settings.port,
            settings.client_id or f"edge-agent-{self.name}",
            (*settings.topics, *presence),
            settings.user,
            password,
            settings.tls,
            settings.ca_file,
            settings.version,
            settings.ttl_s,
        )

    def _acknowledge(self, link: MqttLink) -> None:
        pending, self._pending = self._pending, []
        for message in pending:
            link.acknowledge(message)

    def _messages(self, link: MqttLink, timeout_s: float) -> Iterator[MqttMessage]:
        """Yields what is there. A connection that is lost is told by the next read, after what came before."""
        early, self._early = self._early, []
        yield from early
        is_first = not early
        while True:
            try:
                message = link.read(timeout_s if is_first else 0)
            except DeviceGone:
                if is_first:
                    raise
                return
            if message is None:
                return
            is_first = False
            yield message

    def _await_presence(self, link: MqttLink) -> None:
        """Waits for the reader's last will. Raises DeviceGone where the reader is away, or has none."""
        topic = self._settings.presence_topic
        until_ns = time.monotonic_ns() + int(STATUS_WAIT_S * 1e9)
        while topic and (wait_s := (until_ns - time.monotonic_ns()) / 1e9) > 0:
            message = link.read(wait_s)
            if message is None:
                continue
            if message.topic != topic:
                self._early.append(message)
                continue
            link.acknowledge(message)
            if message.retained:  # one that is not was kept for us, and may be of long ago
                self._judge_presence(message)
                topic = ""
        if topic:
            raise DeviceGone(
                f"{self.name}: nothing was ever said on {topic}: switch the reader on, and let its birth and last will "
                "be retained"
            )
        self._raise_if_away()  # what is not acknowledged the broker sends again when the reader is there

    def _raise_if_away(self) -> None:
        if self._away is not None:
            raise self._away

    def _told(self, message: MqttMessage) -> Iterator[DeviceEvent]:
        if self._tap is not None:
            self._tap("RECV", message.topic.encode() + b" " + message.payload[:MQTT_PAYLOAD_MAX] + b"\n")
        if message.retained:
            yield self._fault("a message that was kept by the broker (retained): switch retain off in the reader")
            return
        key = (message.topic, message.number, message.payload)
        if message.qos and not self._taken.is_new(key) and message.repeated:
            return
        tag = read_tag(message.payload, self._form(message.topic))
        if isinstance(tag, Fault):
            yield self._fault(tag.what, tag.cause)
        elif tag is not None:
            yield from self._readings(tag)

    def _readings(self, tag: str) -> Iterator[DeviceEvent]:
        now_ns = self._clock()
        match self._settings.kind:
            case TagKind.CODE:
                yield CodeRead(self.name, tag, now_ns)
            case TagKind.PERSON:
                yield PersonMatched(self.name, tag, now_ns, self._settings.method)
            case TagKind.CARD:
                uid = to_uid(bare_number(tag), self._settings.uid_encoding, self._settings.technology)
                if isinstance(uid, RejectedNumber):
                    yield self._fault(uid.why, uid.cause)
                elif self._held.frames(uid, now_ns) == 1:
                    yield CardRead(self.name, uid, now_ns)
                    yield CardRead(self.name, uid, now_ns, again=True)  # its own firmware has checked the frame

    def _judge_presence(self, message: MqttMessage) -> None:
        said = message.payload[:64].decode("utf-8", "replace").strip()
        self._away = None
        if said.casefold() != self._settings.presence_online.casefold():
            self._away = DeviceGone(
                f"{self.name}: the reader is away, says its last will on {self._settings.presence_topic}: check its "
                "power and its Wi-Fi"
            )

    def _form(self, topic: str) -> str:
        forms = self._settings.topics
        return next((form for pattern, form in forms.items() if topic_matches_sub(pattern, topic)), PLAIN)

    def _fault(self, what: str, cause: FaultCause = FaultCause.LINE) -> StreamFault:
        return StreamFault(self.name, what, self._clock(), cause)
