"""An access control system without a gate: it posts what passed, with the proof of who it is, and hears the answer.

Does not imitate: a system's own retries, its pages, TLS.
"""

import base64
import hashlib
import hmac
import http.client
import json
from dataclasses import dataclass

GATE_ANSWER_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The answer to one post. `status` is 0 where there was none."""

    status: int
    text: str = ""


class GateSystem:
    """One system that posts to `host:port` and `path`; `auth` is token, basic or hmac."""

    def __init__(self, address: str, secret: bytes, *, auth: str = "token", path: str = "/gate") -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._secret, self._auth, self._path = secret, auth, path

    def post(self, content: object) -> GateAnswer:
        """Posts JSON; bytes go as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self._call("POST", body)

    def beat(self) -> GateAnswer:
        """Shows that the system lives."""
        return self._call("GET", b"")

    def proof(self, body: bytes) -> dict[str, str]:
        """Returns the header that proves who posts this body."""
        match self._auth:
            case "hmac":
                return {"X-Signature": "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()}
            case "basic":
                return {"Authorization": "Basic " + base64.b64encode(self._secret).decode("ascii")}
            case _:
                return {"Authorization": "Bearer " + self._secret.decode("ascii")}

    def _call(self, method: str, body: bytes) -> GateAnswer:
        call = http.client.HTTPConnection(self._host, self._port, timeout=GATE_ANSWER_WAIT_S)
        try:
            call.request(method, self._path, body, self.proof(body) | {"Content-Type": "application/json"})
            answer = call.getresponse()
            return GateAnswer(answer.status, answer.read(10_000).decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException):
            return GateAnswer(0)
        finally:
            call.close()
