"""Readers that read and refuse, and readers that cannot be used, in the daemon as its users meet it."""

import json
from pathlib import Path

from drivers.simulated.card_peer import CardPeer, ReaderModel
from tests.drivers.uart import line_levels, receive
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader

CARDS = {"u-1": ("em4100", "015A3C9601")}
PHONE = b"Mifare[08A1B2C3] 4K (0004,20) 178,41224\r\n"  # a random number of a phone: the field's case


def test_every_reader_tells_of_itself_and_the_others_work(tmp_path: Path) -> None:
    wrong = '[[readers]]\nname = "gate"\ndriver = "em4100"\nprot = "/dev/x"\n'
    with (
        CardPeer(tmp_path / "door") as door,
        CardPeer(tmp_path / "hall", ReaderModel.IRONLOGIC) as hall,
        CardPeer(tmp_path / "gate") as gate,
    ):
        readers = serial_reader("door", "em4100", door.port) + serial_reader("hall", "ironlogic", hall.port) + wrong
        readers += serial_reader("yard", "ironlogic", gate.port)
        with Daemon(tmp_path, readers, kiosk='school = "sch-1"') as daemon:
            export = school_export(tmp_path / "export", "sch-1", CARDS)
            edge_agent("roster", "import", str(export), "--local", "--config", str(daemon.config))
            daemon.launch()
            status = daemon.until(
                lambda status: [reader["there"] for reader in status["readers"]] == [True, True, False, True]
            )
            assert "readers[2].prot: found a key that nobody knows" in status["readers"][2]["why"]
            hall.send(PHONE)
            assert daemon.wait_lights(1) == ["ask"]
            door.present(bytes.fromhex("015A3C9601"))
            assert daemon.wait_lights(2) == ["ask", "welcome"]
            door.send(b"rubbish" * 3)
            status = daemon.until(lambda status: status["readers"][0]["refusal"] is not None)
            gate.send(receive(line_levels(PHONE * 2), sent_baud=9_600, read_baud=38_400))
            assert daemon.wait_lights(3) == ["ask", "welcome", "ask"]  # its child is told; noise at the door is nobody
            status = daemon.until(lambda status: status["readers"][3]["refusal"] is not None)
            assert "set a lower baud" in status["readers"][3]["refusal"]["what"]
            listed = json.loads(edge_agent("devices", "list", "--json", "--config", str(daemon.config)).stdout)
            configured = {device["name"]: device for device in listed["configured"]}
            assert configured["hall"]["refusal"]["cause"] == "phone"
            assert configured["hall"]["refusal"]["count"] == 1
            table = edge_agent("devices", "list", "--config", str(daemon.config)).stdout
            assert "hall refused once, at " in table
            assert "a random number (08…), as phones give: use a card" in table
            doctor = edge_agent("doctor", "--config", str(daemon.config), check=False).stdout
            assert "readers[2].prot" in doctor
            assert "as phones give" in doctor
            assert daemon.log.count("a random number (08…), as phones give: use a card") == 1
            assert "08A1B2C3" not in daemon.log + doctor + table
            assert edge_agent("config", "check", "--config", str(daemon.config), check=False).returncode == 3
