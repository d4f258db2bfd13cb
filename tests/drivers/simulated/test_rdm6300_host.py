"""Somebody else's host against our simulated EM4100 reader: it says whether the peer is one."""

import os
import subprocess
from pathlib import Path

import pytest

from drivers.simulated.card_peer import CardPeer
from tests.vectors import load_reader

HOSTS = Path(__file__).parents[3] / ".venv" / "hosts"
CARDS = [vector["expected_uid_hex"] for vector in load_reader("em4100_serial")["vectors"]]
HANG_S = 60.0

HOST = """
import sys, rdm6300
class Reader(rdm6300.BaseReader):
    def card_inserted(self, card): print(card.type, card.value, flush=True)
    def card_removed(self, card): pass
    def invalid_card(self, card): print("invalid", flush=True)
    def tick(self): pass
reader = Reader(sys.argv[1], 0.05)
print("ready", flush=True)
reader.start()
"""


def test_the_rdm6300_package_reads_every_recorded_card_from_our_peer(tmp_path: Path) -> None:
    if not (HOSTS / "ready-2").exists():
        pytest.skip("the rdm6300 package is not installed: sh scripts/install-test-hosts.sh")
    with CardPeer(tmp_path / "usb-rdm6300-if00") as peer:
        process = subprocess.Popen(
            [HOSTS / "bin" / "python", "-c", HOST, os.path.realpath(peer.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its thread dies with a trace when the peer goes
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for card in CARDS:
            value = bytes.fromhex(card)
            peer.noise()
            peer.present(value, frames=3)
            # the package drops the customer's byte from the number and calls it the card's type
            assert process.stdout.readline().split() == [str(value[0]), str(int.from_bytes(value[1:], "big"))]
    process.kill()
    process.wait(HANG_S)
    process.stdout.close()
