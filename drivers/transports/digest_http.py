"""Asks a device that is an HTTP server with digest authentication. One address, no proxy, no redirect, bounded answers.

The password is sent to nobody: a digest proves that we know it, to the configured address only.
"""

import httpx

from drivers.errors import DeviceError, DeviceGone, NotSupported, ProtocolError

ANSWER_WAIT_S = 10.0


class WrongPassword(NotSupported):
    """The device does not take user or password. Asking on would lock the account."""


class NotOffered(NotSupported):
    """The device does not know this request."""


class DigestHttp:
    """One device. `address` is `host` or `host:port`; with `tls` its certificate is not checked, for it has its own."""

    def __init__(self, address: str, user: str, password: str, *, tls: bool = False, bytes_max: int) -> None:
        self._address, self._bytes_max = address, bytes_max
        self._client = httpx.Client(
            base_url=f"{'https' if tls else 'http'}://{address}",
            auth=httpx.DigestAuth(user, password),
            timeout=ANSWER_WAIT_S,
            trust_env=False,
            follow_redirects=False,
            verify=not tls,
        )

    def ask(self, method: str, target: str, body: bytes = b"", content_type: str = "application/xml") -> bytes:
        """Returns the body of the answer. Raises DeviceGone, ProtocolError, WrongPassword or NotOffered."""
        headers = {"Content-Type": content_type} if body else {}
        try:
            with self._client.stream(method, target, content=body, headers=headers) as answer:
                content = b""
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > self._bytes_max:
                        raise ProtocolError(f"{self._address} answers without end: is another device there?")
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise DeviceGone(
                f"{self._address} does not answer ({type(error).__name__}): check power, cable and address"
            ) from error
        if answer.is_success:
            return content
        raise self._refused(answer.status_code)

    def close(self) -> None:
        """Ends the connections; asking again opens new ones."""
        self._client.close()

    def _refused(self, status: int) -> DeviceError:
        match status:
            case 401:
                return WrongPassword(
                    f"{self._address} does not take user and password: write the right one into password_file"
                )
            case 403 | 404 | 405 | 501:
                return NotOffered(
                    f"{self._address} answers {status}: its firmware does not offer this, or the user may not"
                )
            case _:
                return ProtocolError(f"{self._address} answers {status}")
