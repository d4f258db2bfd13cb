"""A PC/SC reader without hardware: pcscd and a virtual card, in a process and a network namespace of their own."""

import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PCD = Path(__file__).with_name("pcsc_pcd.py")
VPCD = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
NO_PYSCARD = "pyscard is not installed: apt install gcc swig python3-dev libpcsclite-dev, then make test"
READER = "Virtual PCD 00 00"
CLASSIC = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
CHIP = bytes.fromhex("3B8180018080")
UID = bytes.fromhex("04A3C6CA")
WAIT_S = 60.0
ONE_PCSCD = pytest.mark.xdist_group("pcscd")  # its socket has one place on a machine


def why_not() -> str:
    if not shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin") or not VPCD.exists():
        return "pcscd and vsmartcard-vpcd are not installed: apt install pcscd vsmartcard-vpcd"
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return "a network namespace of its own needs root and unshare"
    if Path("/run/pcscd/pcscd.comm").exists():
        return "another pcscd runs on this machine"
    return ""


class PcscPeer:
    def __init__(self) -> None:
        pytest.importorskip("smartcard", reason=NO_PYSCARD)
        if reason := why_not():
            pytest.skip(reason)
        self.asked: queue.Queue[bytes] = queue.Queue()
        self._said: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            ["unshare", "-n", sys.executable, str(PCD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PATH": os.environ.get("PATH", "") + ":/usr/sbin"},
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.replug()
        except BaseException:
            self.dispose()
            raise

    def insert(self, uid: bytes = UID, atr: bytes = CLASSIC, status: bytes = b"\x90\x00") -> None:
        self._do(f"insert {atr.hex()} {(uid + status).hex()}")

    def insert_chip(
        self, uid: bytes, application: bytes, number: int, key: bytes, *, shown: bytes = b"", atr: bytes = CHIP
    ) -> None:
        """Puts a card down that has a key. `shown`: the drawn number that it shows before it is asked."""
        numbers = f"{(shown or uid).hex()} {uid.hex()} {application.hex()} {number}"
        self._do(f"chip {atr.hex()} {numbers} {key.hex()}")

    def insert_classic(self, uid: bytes, block: int, content: bytes, key: bytes) -> None:
        """Puts a MIFARE Classic down with something in one block."""
        self._do(f"classic {CLASSIC.hex()} {uid.hex()} {block} {content.hex()} {key.hex()}")

    def remove(self) -> None:
        self._do("remove")

    def unplug(self) -> None:
        self._do("pull")

    def replug(self) -> None:
        self._do("plug")

    def dispose(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _do(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._said.get(timeout=WAIT_S) == "ok"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("apdu "):
                self.asked.put(bytes.fromhex(line[5:]))
            else:
                self._said.put(line.strip())
        self._said.put("gone")
