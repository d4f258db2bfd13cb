"""The questions to a Hikvision terminal over ISAPI: who it is, where it posts its events, which events it has kept.

    GET  /ISAPI/System/deviceInfo                     <DeviceInfo><serialNumber>…
    GET  /ISAPI/Event/notification/httpHosts          <HttpHostNotificationList><HttpHostNotification><id>1</id><url>…
    PUT  /ISAPI/Event/notification/httpHosts          the same, with our address in it
    POST /ISAPI/AccessControl/AcsEvent?format=json    {"AcsEventCond": {…}} → a page of events, 30 at most

What the field knows: some firmware forgets its listener when it starts; what else stands in the list (other servers,
fields of one firmware) must be sent back as it came; several models answer a search with `notSupport`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

DEVICE_INFO = "/ISAPI/System/deviceInfo"
HTTP_HOSTS = "/ISAPI/Event/notification/httpHosts"
EVENT_SEARCH = "/ISAPI/AccessControl/AcsEvent?format=json"
ISAPI_BYTES_MAX = 256 * 1024
PAGE_EVENTS_MAX = 30

_NAMESPACE = "http://www.isapi.org/ver20/XMLSchema"


@dataclass(frozen=True, slots=True)
class EventListener:
    """The place to which a terminal posts its events: ours, as we want it in its list."""

    host_id: int  # the line of the terminal's list that is ours
    path: str
    address: str  # an IPv4 address
    port: int
    heartbeat_s: int

    def _fields(self) -> tuple[tuple[str, str], ...]:
        return (
            ("id", str(self.host_id)),
            ("url", self.path),
            ("protocolType", "HTTP"),
            ("parameterFormatType", "JSON"),
            ("addressingFormatType", "ipaddress"),
            ("ipAddress", self.address),
            ("portNo", str(self.port)),
            ("httpAuthenticationMethod", "none"),
        )

    def is_set_in(self, hosts: bytes) -> bool:
        """Tells if the terminal's list has this listener as it should be. Raises ValueError for what is no list."""
        host = _host(_xml(hosts, "HttpHostNotificationList"), self.host_id)
        return host is not None and all(_text(host, name) == value for name, value in self._fields())

    def put_into(self, hosts: bytes) -> bytes:
        """Returns the terminal's list with this listener in it; all else stays. Raises ValueError for another text."""
        listing = _xml(hosts, "HttpHostNotificationList")
        namespace = listing.tag.partition("}")[0] + "}" if "}" in listing.tag else ""
        host = _host(listing, self.host_id)
        if host is None:
            host = ElementTree.SubElement(listing, f"{namespace}HttpHostNotification")
        for name, value in self._fields():
            _child(host, name, namespace).text = value
        subscription = _child(host, "SubscribeEvent", namespace)
        _child(subscription, "heartbeat", namespace).text = str(self.heartbeat_s)
        _child(subscription, "eventMode", namespace).text = "all"
        if namespace:
            ElementTree.register_namespace("", namespace[1:-1])
        text: bytes = ElementTree.tostring(listing, encoding="UTF-8", xml_declaration=True)
        return text


def empty_hosts() -> bytes:
    """Returns a list without a listener, for a terminal that has none."""
    return f'<HttpHostNotificationList version="2.0" xmlns="{_NAMESPACE}"/>'.encode()


def serial_number(device: bytes) -> str:
    """Returns the serial number in a terminal's account of itself. Raises ValueError where there is none."""
    serial = _text(_xml(device, "DeviceInfo"), "serialNumber")
    if not serial:
        raise ValueError("a terminal that does not say its serial number")
    return serial


def search(search_id: str, position: int, start: datetime, end: datetime) -> bytes:
    """Returns the body of a search for the events between two aware times, from `position` on."""
    condition = {
        "searchID": search_id,
        "searchResultPosition": position,
        "maxResults": PAGE_EVENTS_MAX,
        "major": 5,
        "minor": 0,
        "startTime": start.isoformat(timespec="seconds"),
        "endTime": end.isoformat(timespec="seconds"),
    }
    return json.dumps({"AcsEventCond": condition}).encode()


def _xml(text: bytes, root: str) -> ElementTree.Element:
    if len(text) > ISAPI_BYTES_MAX or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("an answer that no terminal gives")
    try:
        element = ElementTree.fromstring(text)  # noqa: S314 - no entity can be declared: see above
    except (ElementTree.ParseError, ValueError, LookupError):
        raise ValueError("an answer that is no XML: is another device at this address?") from None
    if _name(element) != root:
        raise ValueError(f"an answer without {root}: is another device at this address?")
    return element


def _host(listing: ElementTree.Element, host_id: int) -> ElementTree.Element | None:
    return next((host for host in listing if _text(host, "id") == str(host_id)), None)


def _child(element: ElementTree.Element, name: str, namespace: str) -> ElementTree.Element:
    found = next((child for child in element if _name(child) == name), None)
    return ElementTree.SubElement(element, f"{namespace}{name}") if found is None else found


def _text(element: ElementTree.Element, name: str) -> str:
    return next(((child.text or "").strip() for child in element if _name(child) == name), "")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
