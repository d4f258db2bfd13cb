"""An RTSP camera on loopback, as small as FFmpeg lets it be: JPEG over RTP inside the RTSP connection.

RFC 2326 (RTSP), RFC 2435 (RTP payload of JPEG; tables in band, Q = 255). Each viewer is sent one picture at once, then
whatever is shown. Does not imitate: H.264, UDP, RTCP, logins, keep-alives.
"""

import queue
import socketserver
import struct
import threading
from contextlib import suppress

from tests.drivers.palm.mjpeg_camera import jpeg, picture

PAYLOAD_BYTES_MAX = 1_400
TICKS_A_FRAME = 6_000  # of 90 kHz: 15 frames a second
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=palm\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\nc=IN IP4 0.0.0.0\r\na=control:track1\r\n"
)


class RtspCamera:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self._viewers: list[queue.Queue[bytes | None]] = []
        self.shown = 0
        camera = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True  # else the end of each picture waits for the next

            def handle(self) -> None:
                with suppress(OSError):  # the viewer left
                    camera._serve(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"rtsp://127.0.0.1:{self._server.server_address[1]}/live"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def show(self) -> None:
        self.shown += 1
        for viewer in list(self._viewers):
            viewer.put(jpeg(picture(self.shown)))

    def hang_up(self) -> None:
        for viewer in list(self._viewers):
            viewer.put(None)

    def pull(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()

    def _serve(self, handler: socketserver.StreamRequestHandler) -> None:
        while line := handler.rfile.readline().decode():
            method, url, _ = line.split()
            self.asked.append(method)
            headers = {}
            while (header := handler.rfile.readline().decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            answer, body = "", ""
            match method:
                case "OPTIONS":
                    answer = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                case "DESCRIBE":
                    answer, body = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n", SDP
                case "SETUP":
                    answer = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                case _:
                    answer = "Session: 1\r\n"
            head = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{answer}Content-Length: {len(body)}\r\n\r\n"
            handler.wfile.write((head + body).encode())
            if method == "PLAY":
                self._play(handler)
                return

    def _play(self, handler: socketserver.StreamRequestHandler) -> None:
        viewer: queue.Queue[bytes | None] = queue.Queue()
        self._viewers.append(viewer)
        viewer.put(jpeg(picture(0)))
        sequence = ticks = 0
        while (body := viewer.get()) is not None:
            ticks += TICKS_A_FRAME
            for payload, last in payloads(body):
                sequence += 1
                packet = struct.pack(">BBHII", 0x80, 26 | last << 7, sequence & 0xFFFF, ticks, 1) + payload
                handler.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def payloads(body: bytes) -> list[tuple[bytes, bool]]:
    """(payload, whether it is the last of the picture): the scan of a JPEG in pieces, its tables before the first."""
    tables, kind, width, height, at = b"", 0, 0, 0, 2
    while True:
        marker, length = body[at + 1], int.from_bytes(body[at + 2 : at + 4])
        segment, at = body[at + 4 : at + 2 + length], at + 2 + length
        if marker == 0xDB:
            tables += b"".join(segment[first + 1 : first + 65] for first in range(0, len(segment), 65))
        elif marker == 0xC0:
            height, width = struct.unpack_from(">HH", segment, 1)
            kind = 1 if segment[7] == 0x22 else 0
        elif marker == 0xDA:
            break
    scan, made = body[at:-2], []
    for start in range(0, len(scan), PAYLOAD_BYTES_MAX):
        piece = scan[start : start + PAYLOAD_BYTES_MAX]
        head = struct.pack(">IBBBB", start, kind, 255, width // 8, height // 8)
        quantisation = struct.pack(">BBH", 0, 0, len(tables)) + tables if start == 0 else b""
        made.append((head + quantisation + piece, start + len(piece) == len(scan)))
    return made
