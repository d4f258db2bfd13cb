"""A network camera on loopback: MJPEG over HTTP, as ESP32 cameras and mjpg-streamer send it. It can be pulled.

Each viewer is sent one picture at once, then whatever `send` is given, in the same moment.
"""

import queue
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

from drivers.protocols.picture import Image


def picture(number: int, *, width: int = 320, height: int = 240) -> Image:
    """A picture like no other, colour."""
    dots = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(dots, (width, height)), np.uint8)


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


class MjpegCamera:
    def __init__(self, *, login: str = "") -> None:
        self.asked_for: list[str] = []
        self._login = "Basic " + b64encode(login.encode()).decode() if login else ""
        self._viewers: set[queue.Queue[bytes | None]] = set()
        self._lock = threading.Lock()
        self._plugged_in = False
        self._number = 0
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.plug_in()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/video.mjpg"

    def show(self) -> None:
        """The next picture."""
        self._number += 1
        self.send(jpeg(picture(self._number)))

    def send(self, body: bytes) -> None:
        with self._lock:
            for viewer in self._viewers:
                viewer.put(body)

    def hang_up(self) -> None:
        """On all who look; who comes again is served."""
        with self._lock:
            for viewer in self._viewers:
                viewer.put(None)

    def pull(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            with self._lock:
                self._plugged_in = False
            self.hang_up()
            self._server.server_close()  # waits for all who are served
            self._server = None

    def plug_in(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                camera.asked_for.append(self.path)
                if camera._login and self.headers.get("Authorization") != camera._login:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with suppress(OSError):  # the viewer left
                    for body in camera._bodies():
                        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                        self.wfile.write(b"Content-Length: %d\r\n\r\n%b\r\n" % (len(body), body))

        class Server(ThreadingHTTPServer):
            daemon_threads = False

        self._plugged_in = True
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _bodies(self) -> Iterator[bytes]:
        viewer: queue.Queue[bytes | None] = queue.Queue()
        with self._lock:
            if not self._plugged_in:
                return
            self._viewers.add(viewer)
        try:
            yield jpeg(picture(0))
            while (body := viewer.get()) is not None:
                yield body
        finally:
            with self._lock:
                self._viewers.discard(viewer)
