"""A school's day with terminals that tell late, and one whose clock is wrong: the same visits as the day in order.

The real daemon under a scripted clock that is synchronised, terminals over real HTTP, and the real ledger.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from sync.contract.event import Claim
from sync.contract.roster import (
    Consent,
    Credential,
    CredentialKind,
    Entitlement,
    MealSession,
    Person,
    Programme,
    Record,
)
from sync.contract.visits import Visit
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from tests.drivers.palm.test_zk_adms import free_port
from tests.golden.kiosk import SEAMS, WAIT_S, Kiosk

ALMATY = ZoneInfo("Asia/Almaty")
SERIALS = ("SN1", "SN2", "SN3")
PEOPLE = {"SN1": (1, 2), "SN2": (3, 4), "SN3": (5, 6)}  # whom each terminal sees
SLOW = timedelta(hours=3)


def last_weekday() -> date:
    day = datetime.now(ALMATY).date() - timedelta(days=1)
    return day - timedelta(days=max(0, day.weekday() - 4))


DAY = last_weekday()


def local(clock: str) -> datetime:
    return datetime.fromisoformat(f"{DAY}T{clock}").replace(tzinfo=ALMATY)


@dataclass(frozen=True)
class Row:
    """Somebody whom a terminal saw."""

    at: datetime
    number: int

    def line(self, wrong: timedelta = timedelta()) -> str:
        return f"{self.number}\t{self.at + wrong:%Y-%m-%d %H:%M:%S}\t0\t25\t0\t0\t0\n"


def rows_of(serial: str) -> list[Row]:
    """Breakfast and lunch of its people, in and out, and one who comes back too soon."""
    first, second = PEOPLE[serial]
    shift = SERIALS.index(serial) * 40
    times = [
        ("08:05:00", first), ("08:06:30", second), ("08:20:10", first), ("12:04:00", first), ("12:04:03", first),
        ("12:05:00", second), ("12:05:30", second), ("12:31:00", second), ("12:33:00", first),
    ]  # fmt: skip
    return [Row(local(clock) + timedelta(seconds=shift), number) for clock, number in times]


class TerminalKiosk(Kiosk):
    """`edge-agent run` with a port that three terminals call, and a card reader."""

    def _write_files(self) -> None:
        super()._write_files()
        self.port = free_port()
        text = self.config.read_text("utf-8").replace('school = "sch-1"\n', "")  # its registration names it
        head, _, _ = text.partition('[[readers]]\nname = "exit"')
        palm = f'[[readers]]\nname = "palm"\ndriver = "zk-adms"\nlisten = "127.0.0.1:{self.port}"\n'
        self.config.write_text(f"{head}{palm}serials = {list(SERIALS)}\n", "utf-8")

    def start(self) -> None:
        self._starts += 1
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(SEAMS), "run", "--config", str(self.config)],
                stdout=log, stderr=log, env=self.environment(NOTIFY_SOCKET=str(self.folder / "notify")),
            )  # fmt: skip
        self._told("READY=1")

    def ask(self, command: str, **arguments: object) -> list[dict[str, Any]]:
        """As a kiosk answers; asked again where it hung up, since by its clock the connection was idle for hours."""
        answers: list[list[dict[str, Any]]] = []

        def has_answered() -> bool:
            try:
                answers.append(super(TerminalKiosk, self).ask(command, **arguments))
            except ConnectionError:
                return False
            return bool(answers[-1])

        self.until(has_answered)
        return answers[-1]

    def move_to(self, moment: datetime) -> None:
        """Lets the time go on to this moment."""
        self.script.advance(moment.timestamp() - self.script.wall_ns / 1e9)

    def call(self, method: str, target: str, body: str = "") -> str:
        """The answer to a terminal's call, which it makes again until there is one: the port may just be reopened."""
        content: list[str] = []

        def ask() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
            try:
                connection.request(method, target, body.encode())
                answer = connection.getresponse()
                assert answer.status == 200
                content.append(answer.read().decode())
            except ConnectionError:
                return False
            finally:
                connection.close()
            return True

        self.until(ask)
        return content[0]

    def tell(self, serial: str, rows: Sequence[Row], wrong: timedelta = timedelta()) -> None:
        """A terminal's call with rows; they are in the journal when this returns."""
        head = self.head()
        body = "".join(row.line(wrong) for row in rows)
        assert self.call("POST", f"/iclock/cdata?SN={serial}&table=ATTLOG&Stamp=1", body) == f"OK: {len(rows)}"
        self.until(lambda: self.head() >= head + len(rows))

    def deliver(self) -> None:
        self.ask("sync.now")
        self.until(lambda: self.status()["journal"]["queue"] == 0)


def open_school(db: psycopg.Connection, school: str) -> None:
    records: list[Record] = [
        Programme(id="state", name="State meals"),
        MealSession(id="breakfast", name="Breakfast", start="08:00", end="09:00"),
        MealSession(id="lunch", name="Lunch", start="12:00", end="13:00"),
    ]
    people: list[Record] = [
        record
        for number in sorted(number for numbers in PEOPLE.values() for number in numbers)
        for record in (
            Person(id=f"u{number}", given_name="Арман", family_name=f"Әлиев{number}", group="5 «А»"),
            Credential(id=f"t{number}", person=f"u{number}", kind=CredentialKind.TERMINAL, value=str(number)),
            Consent(id=f"k{number}", person=f"u{number}", given_at="2020-09-01T00:00:00Z"),
            Entitlement(id=f"e{number}", person=f"u{number}", programme="state"),
        )
    ]
    rosters.apply_changes(db, school, [*records, *people])


@contextmanager
def kiosk_of(folder: Path, url: str, db: psycopg.Connection, school: str) -> Iterator[TerminalKiosk]:
    open_school(db, school)
    code = schools.issue_code(db, school, "door", datetime.now(UTC))
    folder.mkdir()
    with TerminalKiosk(folder, int(local("07:30:00").timestamp() * 1e9)) as kiosk:
        kiosk.command("register", url, code, "--config", str(kiosk.config))
        kiosk.start()
        kiosk.until(lambda: kiosk.status()["roster"]["people"] == 6)
        yield kiosk


def essence(db: psycopg.Connection, school: str) -> list[tuple[object, ...]]:
    settle_days(db, school, now=datetime.now(UTC))
    return [
        (visit.person, visit.session, visit.service_date, visit.entry_time, visit.exit_time, visit.claim, visit.closing)
        for visit in visits_of(db, school)
    ]


def visits_of(db: psycopg.Connection, school: str) -> list[Visit]:
    return read_visits(db, school, DAY - timedelta(days=1), DAY + timedelta(days=1))


def test_a_day_of_late_terminals_and_a_wrong_clock_gives_the_visits_of_the_day_in_order(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    everything = sorted(((row, serial) for serial in SERIALS for row in rows_of(serial)), key=lambda pair: pair[0].at)
    with kiosk_of(tmp_path / "straight", server.url, db, school) as kiosk:
        for row, serial in everything:
            kiosk.move_to(row.at)
            kiosk.tell(serial, [row])
        kiosk.deliver()
    straight = essence(db, school)
    assert [len([visit for visit in straight if visit[1] == session]) for session in ("breakfast", "lunch")] == [6, 6]
    assert {visit[5] for visit in straight} == {Claim.CLAIMABLE}

    late_school = f"{school}-late"
    schools.add_school(db, late_school, "Мектеп")
    with kiosk_of(tmp_path / "late", server.url, db, late_school) as kiosk:
        # SN3 is on the network all day, and three hours slow: that is measured, for it has nothing older to tell.
        for _ in range(8):
            kiosk.call("GET", "/iclock/getrequest?SN=SN3")
            kiosk.script.advance(10)
        for row in rows_of("SN3"):
            kiosk.move_to(row.at)
            kiosk.tell("SN3", [row], -SLOW)
        # The other two come back in the afternoon: one with all its rows in one call, the newest first, one with the
        # lunch before the breakfast.
        kiosk.move_to(local("15:00:00"))
        kiosk.tell("SN1", rows_of("SN1")[::-1])
        kiosk.tell("SN2", rows_of("SN2")[3:])
        kiosk.tell("SN2", rows_of("SN2")[:3])
        kiosk.deliver()
        held = [visit for visit in essence(db, late_school) if visit[5] is Claim.HELD]
        assert {visit[0] for visit in held} == {"u5", "u6"}
        assert {visit[1] for visit in held} == {""}, "no child is put into another meal"
        others = [visit for visit in essence(db, late_school) if visit[5] is not Claim.HELD]
        assert others == [visit for visit in straight if visit[0] not in ("u5", "u6")]

        (clock,) = [line["row"] for line in kiosk.ask("devices.clocks") if "row" in line]
        assert (clock["terminal"], clock["offset_s"], clock["rows"]) == ("SN3", -10_800, 9)
        reader = next(reader for reader in kiosk.status()["readers"] if reader["name"] == "palm")
        (doubted,) = reader["doubted_clocks"]
        assert (doubted["terminal"], doubted["offset_s"]) == ("SN3", -10_800)
        assert "3 h 0 min behind" in doubted["why"]
        health = json.loads(kiosk.http("GET", "/events/staff")[2])["health"]
        assert [line["names"] for line in health if line["subject"] == "terminal_clock"] == [["SN3"]]
        note = ("--note", "compared with the hall's clock")
        confirm = ("devices", "confirm-clock", "SN3", *note, "--config", str(kiosk.config))
        nobody = kiosk.command(*confirm, "--operator", "Nobody", check=False)
        assert (nobody.returncode, "--operator names one of: Cook" in nobody.stderr) == (1, True), nobody.stderr
        said = kiosk.command(*confirm, "--operator", "cook").stdout
        assert "9 rows count now" in said
        assert not [line for line in kiosk.ask("devices.clocks") if "row" in line]
        kiosk.deliver()
        own = [line["row"] for line in kiosk.ask("journal.visits", day=DAY.isoformat()) if "row" in line]
    assert essence(db, late_school) == straight
    assert [(visit["person"], visit["session"], visit["claim"]) for visit in own] == [
        (visit[0], visit[1], visit[5]) for visit in straight
    ]
