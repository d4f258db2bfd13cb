"""Strangers at a ledger's door, as a process: `python -m tests.benchmarks.strangers HOST PORT HALF RATE BODIES`.

They hold half requests and half bodies open, again when they are thrown out, and send so many unsigned requests a
second. Prints `ready`, and at the end, when standard input closes, how many requests were answered.
"""

import asyncio
import sys
import time

UNSIGNED = b"GET /v1/devices/sch-1-0000000000000000/cursor HTTP/1.1\r\nHost: ledger\r\nAccept: */*\r\n\r\n"
HALF_REQUEST = b"POST /v1/enrolments HTTP/1.1\r\nHost: ledger\r\nX-Slow: "
BODY_BYTES = 1_000_000
HALF_BODY = (
    b"POST /v1/devices/sch-1-0000000000000000/epochs/00000000000000aa/batches HTTP/1.1\r\nHost: ledger\r\n"
    b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n"
    b'Signature-Input: cnt=("@method" "@path" "@query" "content-digest" "content-type");created=1;'
    b'keyid="sch-1-0000000000000000";alg="ed25519"\r\nSignature: cnt=:AAAA:\r\n'
    b"Content-Digest: sha-256=:AAAA:\r\n\r\n" % BODY_BYTES
)
FLOOD_CONNECTIONS = 50


class Strangers:
    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.answered = 0

    async def hold(self, beginning: bytes) -> None:
        """Begins something, and leaves it at that until it is thrown out; then again."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
                writer.write(beginning)
                await reader.read()
                writer.close()
            except OSError:
                await asyncio.sleep(0.1)
            await asyncio.sleep(5.0)

    async def flood(self, rate_per_s: float) -> None:
        """Sends unsigned requests at this rate, each after the answer to the one before."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
                while True:
                    until = time.monotonic() + 1 / rate_per_s
                    writer.write(UNSIGNED)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    self.answered += 1
                    await asyncio.sleep(max(0.0, until - time.monotonic()))
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)


async def main(host: str, port: int, half: int, rate_per_s: float, bodies: int) -> None:
    strangers = Strangers(host, port)
    tasks = [asyncio.create_task(strangers.hold(HALF_REQUEST)) for _ in range(half)]
    tasks += [asyncio.create_task(strangers.hold(HALF_BODY + bytes(BODY_BYTES // 2))) for _ in range(bodies)]
    if rate_per_s:
        tasks += [
            asyncio.create_task(strangers.flood(rate_per_s / FLOOD_CONNECTIONS)) for _ in range(FLOOD_CONNECTIONS)
        ]
    print("ready", flush=True)
    began = time.monotonic()
    await asyncio.to_thread(sys.stdin.read)
    print(strangers.answered / (time.monotonic() - began), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(number) for number in sys.argv[2:6])))
