"""OSDP readers in processes of their own, and the cable, which can be cut in the middle or pulled from our side."""

import json
import os
import queue
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

PD = Path(__file__).with_name("osdp_pd.py")
WAIT_S = 20.0


class _Reader:
    """One process at the end of its own terminal; a terminal has two ends only, so the cable is a thread."""

    def __init__(self, address: int, key_file: Path | None) -> None:
        self.said: queue.Queue[str] = queue.Queue()
        self.connected = True
        self.end, self._slave = os.openpty()  # the slave is held open, or the terminal hangs up before it is used
        tty.setraw(self._slave)
        self._process = subprocess.Popen(
            [sys.executable, str(PD), os.ttyname(self._slave), str(key_file or "-"), str(address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def card(self, bits: int | str, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{bits} {data.hex()}\n")
        self._process.stdin.flush()

    def dispose(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)
        self._process.stdout.close()

    def close(self) -> None:
        for end in (self.end, self._slave):
            os.close(end)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.put(line.strip())


class OsdpPeer:
    """One reader, or several on one line, which then hear each other as well."""

    def __init__(self, folder: Path, key: bytes | None, *, echo: bool = False, addresses: Sequence[int] = (0,)) -> None:
        pytest.importorskip("osdp", reason="libosdp is not installed: pip install canteen-edge-agent[osdp]")
        self.port = folder / "usb-rs485-if00"
        self.key_file = folder / "reader.key"
        self.echo = echo  # as adapters do that hear themselves
        self.passed: list[tuple[str, bytes]] = []  # from the panel's point of view
        self._lock = threading.Lock()
        self._ours: int | None = None
        self._ended = threading.Event()
        if key is not None:
            self.key_file.write_text(key.hex(), "ascii")
            self.key_file.chmod(0o600)
        self.readers = {address: _Reader(address, self.key_file if key is not None else None) for address in addresses}
        self._first = self.readers[addresses[0]]
        self.said = self._first.said
        self.replug()
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()
        for reader in self.readers.values():
            assert reader.said.get(timeout=WAIT_S) == "ready"

    def card(self, bits: int, data: bytes) -> None:
        self._first.card(bits, data)

    def press(self, keys: bytes) -> None:
        self._first.card("keys", keys)

    def command(self) -> dict[str, Any]:
        """The next command that the reader was given."""
        given: dict[str, Any] = json.loads(self.said.get(timeout=WAIT_S))
        return given

    def noise(self, data: bytes) -> None:
        with self._lock:
            assert self._ours is not None
            os.write(self._ours, data)

    def cut(self) -> None:
        """Cut the wires between adapter and reader: our side still has its port."""
        self._first.connected = False

    def mend(self) -> None:
        self._first.connected = True

    def unplug(self) -> None:
        """Pull the adapter out of the kiosk."""
        with self._lock:
            self.port.unlink(missing_ok=True)
            if self._ours is not None:
                os.close(self._ours)
            self._ours = None

    def replug(self) -> None:
        ours, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(ours, False)
        with self._lock:
            self.port.unlink(missing_ok=True)
            self.port.symlink_to(os.ttyname(slave))
            self._ours = ours
        os.close(slave)

    def dispose(self) -> None:
        self.unplug()
        for reader in self.readers.values():
            reader.dispose()
        self._ended.set()
        self._carrier.join(WAIT_S)
        for reader in self.readers.values():
            reader.close()

    def _carry(self) -> None:
        """The cable: bytes pass in both directions while it is whole."""
        while not self._ended.wait(0.002):
            with self._lock:
                ours = self._ours
                ends = [reader.end for reader in self.readers.values()] + ([] if ours is None else [ours])
                for end in select.select(ends, (), (), 0)[0]:
                    self._pass_on(end, ours)

    def _pass_on(self, end: int, ours: int | None) -> None:
        with suppress(OSError):  # the driver has not opened its side yet, or has just closed it
            data = os.read(end, 4096)
            if ours is None:
                return
            if end == ours and self.echo:
                os.write(ours, data)
            heard = [reader for reader in self.readers.values() if reader.connected]
            if end == ours:
                if heard:
                    self.passed.append(("SEND", data))
            elif end in [reader.end for reader in heard]:
                self.passed.append(("RECV", data))
                os.write(ours, data)
            else:
                return
            for reader in heard:
                if reader.end != end:
                    os.write(reader.end, data)
