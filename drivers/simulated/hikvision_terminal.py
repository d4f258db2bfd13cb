"""A Hikvision terminal without a device: it posts events as one does, and answers what we ask of one, with a digest.

`recognise` posts an event in which a person was recognised, with a picture behind it; what nobody answers 200 is kept
and posted again with `post_kept`. `restart` forgets the listener, as some firmware does.

Does not imitate: HTTPS, the account that is locked after wrong passwords, a search by person, doors.
"""

import hashlib
import http.client
import json
import re
import secrets
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from xml.etree import ElementTree

from drivers.protocols import isapi

REALM = "DVRNVRDVS"
POST_WAIT_S = 5.0
_BOUNDARY = "MIME_boundary"
_PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 64 + b"\xff\xd9"


class HikvisionPeer:
    """One terminal. `address` is where it is asked; it posts to the listener that it was given."""

    def __init__(self, serial: str, password: str, *, user: str = "admin") -> None:
        self.serial, self.user, self.password = serial, user, password
        self.hosts = isapi.empty_hosts()
        self.gives_history = True
        self.events: list[dict[str, object]] = []  # all that happened, oldest first
        self.kept: list[dict[str, object]] = []  # those that were not answered 200
        self.asked: list[str] = []
        self._server = _IsapiServer(self)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "HikvisionPeer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Switches the terminal off for good."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def restart(self) -> None:
        """Starts it anew: its listener is lost, its events are not."""
        self.hosts = isapi.empty_hosts()

    def happen(
        self, minor: int, at: datetime, number: str = "", *, major: int = 5, **more: object
    ) -> dict[str, object]:
        """Returns an event that the terminal now has, with a number of its own; nothing is posted."""
        event: dict[str, object] = {
            "dateTime": at.isoformat(timespec="seconds"),
            "eventType": "AccessControllerEvent",
            "shortSerialNumber": self.serial[-9:],
            "AccessControllerEvent": {
                "deviceName": "Access Controller",
                "majorEventType": major,
                "subEventType": minor,
                "serialNo": len(self.events) + 1,
                "currentVerifyMode": "faceOrFpOrCardOrPw",
                "currentEvent": True,
                **({"employeeNoString": number, "name": "N. N.", "attendanceStatus": "undefined"} if number else {}),
                **more,
            },
        }
        self.events.append(event)
        return event

    def recognise(self, number: str, at: datetime, minor: int = 75) -> int:
        """Recognises a person and posts it; returns the status of the answer, 0 where there was none."""
        return self.post(self.happen(minor, at, number), picture=True)

    def beat(self, at: datetime) -> int:
        """Posts a sign of life."""
        return self.post({"dateTime": at.isoformat(timespec="seconds"), "eventType": "heartBeat"})

    def post_kept(self) -> int:
        """Posts again, oldest first, what was not answered 200, as events of the past. Returns how many are left."""
        waiting, self.kept = self.kept, []
        for event in waiting:
            inner = event["AccessControllerEvent"]
            assert isinstance(inner, dict)
            self.post(event | {"AccessControllerEvent": inner | {"currentEvent": False}})
        return len(self.kept)

    def post(self, event: dict[str, object], *, picture: bool = False) -> int:
        """Posts one event to its listener; returns the status of the answer, 0 where there was none."""
        status = self._send(json.dumps(event).encode(), picture=picture)
        if status != 200 and "AccessControllerEvent" in event:
            self.kept.append(event)
        return status

    def _send(self, body: bytes, *, picture: bool) -> int:
        listener = self._listener()
        if listener is None:
            return 0
        host, port, path = listener
        call = http.client.HTTPConnection(host, port, timeout=POST_WAIT_S)
        try:
            content = _multipart(body) if picture else body
            kind = f"multipart/form-data; boundary={_BOUNDARY}" if picture else "application/json"
            call.request("POST", path, content, {"Content-Type": kind})
            return call.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            call.close()

    def _listener(self) -> tuple[str, int, str] | None:
        found: dict[str, str] = {}
        for element in ElementTree.fromstring(self.hosts).iter():  # noqa: S314 - what our own driver wrote
            found.setdefault(element.tag.rpartition("}")[2], element.text or "")
        if not found.get("url"):
            return None
        return found["ipAddress"], int(found["portNo"]), found["url"]

    def page(self, condition: dict[str, object]) -> dict[str, object]:
        """Returns a page of a search, as the terminal gives it."""
        start, end = (datetime.fromisoformat(str(condition[key])) for key in ("startTime", "endTime"))
        rows = [
            {"major": inner["majorEventType"], "minor": inner["subEventType"], "time": event["dateTime"]}
            | {key: inner[key] for key in ("serialNo", "employeeNoString", "cardNo") if key in inner}
            for event in self.events
            if isinstance(inner := event["AccessControllerEvent"], dict)
            and start <= datetime.fromisoformat(str(event["dateTime"])) <= end
            and inner["majorEventType"] == condition["major"]
        ]
        position, most = condition["searchResultPosition"], condition["maxResults"]
        assert isinstance(position, int)
        assert isinstance(most, int)
        part = rows[position : position + most]
        status = "NO MATCH" if not part else "MORE" if position + len(part) < len(rows) else "OK"
        return {"AcsEvent": {"responseStatusStrg": status, "numOfMatches": len(part), "InfoList": part}}


def _multipart(event: bytes) -> bytes:
    parts = (
        ('name="event_log"', "application/json", event),
        ('name="Picture"; filename="Picture.jpg"', "image/jpeg", _PICTURE),
    )
    return (
        b"".join(
            f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, kind, content in parts
        )
        + f"--{_BOUNDARY}--\r\n".encode()
    )


class _IsapiServer(ThreadingHTTPServer):
    def __init__(self, peer: HikvisionPeer) -> None:
        self.peer = peer
        self.nonce = secrets.token_hex(16)
        super().__init__(("127.0.0.1", 0), _IsapiAnswers)


class _IsapiAnswers(BaseHTTPRequestHandler):
    server: _IsapiServer
    protocol_version = "HTTP/1.1"
    timeout = POST_WAIT_S

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Says nothing: whoever holds the peer sees `asked`."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        peer = self.server.peer
        if not self._knows_the_password():
            challenge = f'Digest qop="auth", realm="{REALM}", nonce="{self.server.nonce}", algorithm=MD5'
            self._answer(401, b"", ("WWW-Authenticate", challenge))
            return
        peer.asked.append(f"{self.command} {self.path}")
        match self.command, self.path:
            case "GET", isapi.DEVICE_INFO:
                serial = f"<serialNumber>{peer.serial}</serialNumber>"
                self._answer(
                    200, f'<DeviceInfo xmlns="http://www.isapi.org/ver20/XMLSchema">{serial}</DeviceInfo>'.encode()
                )
            case "GET", isapi.HTTP_HOSTS:
                self._answer(200, peer.hosts)
            case "PUT", isapi.HTTP_HOSTS:
                peer.hosts = body
                self._answer(200, b"<ResponseStatus><statusCode>1</statusCode></ResponseStatus>")
            case "POST", isapi.EVENT_SEARCH if peer.gives_history:
                self._answer(200, json.dumps(peer.page(json.loads(body)["AcsEventCond"])).encode())
            case _:
                self._answer(403, b"<ResponseStatus><statusString>Invalid Operation</statusString></ResponseStatus>")

    def _knows_the_password(self) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization", "")))
        peer = self.server.peer
        secret = _md5(f"{peer.user}:{REALM}:{peer.password}")
        asked = _md5(f"{self.command}:{said.get('uri', '')}")
        middle = ":".join(said.get(key, "") for key in ("nonce", "nc", "cnonce", "qop"))
        return said.get("nonce") == self.server.nonce and said.get("response") == _md5(f"{secret}:{middle}:{asked}")

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
