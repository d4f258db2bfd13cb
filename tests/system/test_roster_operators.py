"""Operators of the roster at a real daemon: a PIN is given here, the roster says who somebody is, and ends it."""

import json
from pathlib import Path

import httpx

from tests.system.daemon import Daemon, edge_agent, school_export


def import_roster(daemon: Daemon, number: int, operators: str) -> None:
    folder = school_export(daemon.folder / f"export{number}", "sch-1", {"u-1": ("em4100", "0100BC614E")})
    (folder / "operators.csv").write_text(f"sourcedId,name,roles,group\n{operators}", "utf-8")
    edge_agent("roster", "import", str(folder), "--local", "--config", str(daemon.config))


def test_an_operator_of_the_roster_signs_in_and_is_off_with_it(tmp_path: Path) -> None:
    with Daemon(tmp_path, kiosk='school = "sch-1"') as daemon:
        import_roster(daemon, 1, "t-1,Гүлнар Ахметова,head,\nt-7,Анна Ли,class_teacher,3 «Б»\n")
        before = daemon.start()
        screen, first = before["screen"], before["roster"]["version"]

        def command(*arguments: str) -> list[dict[str, object]]:
            done = edge_agent("operators", *arguments, "--json", "--config", str(daemon.config))
            return [json.loads(line) for line in done.stdout.splitlines()]

        with httpx.Client(base_url=str(screen), timeout=20) as client:
            assert client.get("/staff/session").json()["choices"] == []
            for name in ("Гүлнар Ахметова", "Анна Ли"):
                (given,) = command("pin", name)
                body = {"operator": given["id"], "pin": given["pin"], "new_pin": "480159"}
                assert client.post("/staff/pin", json=body).json() == {"operator": name}
            assert client.get("/staff/session").json()["rights"] == ["call", "enter", "find", "void"]
            import_roster(daemon, 2, "t-1,Гүлнар Ахметова,head,\n")
            daemon.until(lambda status: status["roster"]["version"] > first)
            assert client.get("/staff/session").json()["operator"] == "", "the session ends with the roster"
            assert [choice["id"] for choice in client.get("/staff/session").json()["choices"]] == ["t-1"]
