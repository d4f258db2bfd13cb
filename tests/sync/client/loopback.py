"""A real HTTP server on a loopback socket, in a thread: with TLS where a test wants it, and with bad manners."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from sync.client.channel import HttpResponse, HttpTransport

Serve = Callable[[BaseHTTPRequestHandler], None]
"""A function that answers one request, down to the bytes."""


def from_transport(transport: HttpTransport) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        response = transport.request(request.command, parts.path, parts.query, headers, body, 1 << 20)
        respond(request, response)

    return serve


def respond(request: BaseHTTPRequestHandler, response: HttpResponse) -> None:
    request.send_response(response.status)
    for name, value in response.headers.items():
        request.send_header(name, value)
    request.send_header("content-length", str(len(response.body)))
    request.end_headers()
    request.wfile.write(response.body)


class _CountingServer(ThreadingHTTPServer):
    daemon_threads = True
    serve: Serve
    connections = 0

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stays silent: a kiosk that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write an answer: two would cost 40 ms each on a loopback with delayed acknowledgements
    server: _CountingServer

    def do_GET(self) -> None:  # the library's name
        self.server.serve(self)

    do_POST = do_GET  # noqa: N815  # the library's name

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, _CountingServer]]:
    """Yields the server's address, and the server, which counts connections."""
    listening = _CountingServer(("127.0.0.1", 0), _Handler)
    listening.serve = serve
    if tls:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{listening.server_address[1]}", listening
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
