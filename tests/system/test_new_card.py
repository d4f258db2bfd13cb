"""A lost card is replaced at the desk: the real daemon with a simulated reader, its pages in Chromium."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from edge_agent.palm.protection.school_key import to_paper
from edge_agent.palms import keys as palm_keys
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.registry import rosters, schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogate
from sync.ledger.server import LedgerOptions, LedgerServer
from sync.ledger.transparency.webhooks import add_webhook
from tests.browser import run_browser
from tests.sync.ledger.kiosk import OPEN_DOOR
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader
from tests.system.staff_page import open_desk

LOST, OTHERS, NEW, LATER = "010A1B2C3D", "010A1B2C3E", "010A1B2C3F", "010A1B2C40"
CARDS = {"u-1": ("em4100", LOST), "u-2": ("em4100", OTHERS)}
PIN = "2468"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def start_kiosk(daemon: Daemon, url: str, db: psycopg.Connection, school: str) -> str:
    """Registers and starts a kiosk; returns the address of its screen."""
    code = schools.issue_code(db, school, daemon.folder.name, datetime.now(UTC))
    edge_agent("register", url, code, "--config", str(daemon.config))
    credentials = daemon.folder / "credentials"
    credentials.mkdir()
    (credentials / "staff-pin").write_text(PIN)
    (credentials / "staff-pin").chmod(0o600)
    daemon.start(CREDENTIALS_DIRECTORY=str(credentials))
    return str(daemon.until(lambda status: status["roster"]["people"] == len(CARDS))["screen"])


def sign_in(browser: Browser, screen: str) -> Page:
    page = open_desk(browser, screen)
    page.fill("#sign-pin", PIN)
    page.keyboard.press("Enter")
    expect(page.locator("#desk")).to_be_visible()
    return page


def test_a_lost_card_is_replaced_at_the_desk(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    export = school_export(tmp_path / "export", school, CARDS)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    (tmp_path / "first").mkdir()
    with (
        CardPeer(tmp_path / "first" / "door") as peer,
        Daemon(
            tmp_path / "first", serial_reader("door", "em4100", tmp_path / "first" / "door") + "hold_ms = 50\n"
        ) as daemon,
    ):
        page = sign_in(browser, start_kiosk(daemon, server.url, db, school))
        page.fill("#find", "u-1")
        page.get_by_role("button", name="New card: Әлия Family-u-1").click()
        peer.present(bytes.fromhex(OTHERS))
        expect(page.locator("#card-problem")).to_contain_text("somebody else's")
        page.screenshot(path=tmp_path / "taken.png")
        peer.present(bytes.fromhex(NEW), frames=2)
        expect(page.locator("#outcome")).to_have_text("Әлия Family-u-1 has the new card. Former cards blocked: 1.")
        peer.present(bytes.fromhex(LOST))
        expect(page.locator("#feed li").first).to_contain_text("This card was replaced")
        page.screenshot(path=tmp_path / "replaced.png")
        peer.present(bytes.fromhex(NEW))
        assert daemon.wait_lights(4) == ["welcome", "ask", "ask", "welcome"]  # the first one: hold it there once more
        page.get_by_role("button", name="New card", exact=True).first.click()
        page.fill("#card-number", "12")
        page.keyboard.press("Enter")
        expect(page.locator("#card-problem")).to_contain_text("no card number")
        page.fill("#card-number", f"{int.from_bytes(bytes.fromhex(LATER)[1:]):010}")
        page.get_by_role("button", name="Use this number").click()
        expect(page.locator("#outcome")).to_have_text("Әлия Family-u-1 has the new card. Former cards blocked: 1.")
        page.close()
        rows = daemon.rows()
        replaced = list(facts(rows, "card_replaced"))
        assert [fact["operator"] for fact in replaced] == ["Cook", "Cook"]
        assert [fact.get("reader", "") for fact in replaced] == ["door", ""]
        assert replaced[0]["blocked"].endswith(".card1")
        assert len({fact["digest"] for fact in replaced}) == 2
        assert next(facts(rows, "refusal"))["reason"] == "card_replaced"
        text = json.dumps(rows)
        assert not any(number in text.upper() for number in (NEW[2:], LATER[2:]))


def test_a_new_card_is_known_behind_the_other_door_until_the_source_has_it(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    """The number travels sealed; the former card is blocked there; an import that still has it changes nothing."""
    today = datetime.now(UTC).date().isoformat()

    def import_cards(name: str, card: str) -> None:
        export = school_export(tmp_path / name, school, CARDS | {"u-1": ("em4100", card)})
        import_export(db, read_export(export), [school], date=today)

    import_cards("export", LOST)
    with ExitStack() as stack:
        peers, doors = [], []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            peers.append(stack.enter_context(CardPeer(tmp_path / name / "door")))
            readers = serial_reader("door", "em4100", tmp_path / name / "door") + "hold_ms = 50\n"
            doors.append(stack.enter_context(Daemon(tmp_path / name, readers)))
        first, second = doors
        screens = []
        for door in doors:
            door.state_dir.mkdir()
            if door is first:
                edge_agent("palm", "key", "make", "--yes", "--config", str(door.config))
            else:
                palm_keys.restore(second.state_dir, " ".join(to_paper(palm_keys.load(first.state_dir, {}))))
            screens.append(start_kiosk(door, server.url, db, school))

        page = sign_in(browser, screens[0])
        page.fill("#find", "u-1")
        page.get_by_role("button", name="New card: Әлия Family-u-1").click()
        page.fill("#card-number", f"{int.from_bytes(bytes.fromhex(NEW)[1:]):010}")
        page.get_by_role("button", name="Use this number").click()
        expect(page.locator("#outcome")).to_contain_text("has the new card")
        second.until(lambda _: "other kiosks in force: 1 of 1" in second.log, 15)
        (sealed,) = db.execute("SELECT sealed FROM replacement_card WHERE school = %s", (school,)).fetchone() or (b"",)
        assert sealed
        assert bytes.fromhex(NEW)[1:] not in bytes(sealed)
        assert show_card(peers[1], second, LOST) == "ask"
        assert show_card(peers[1], second, NEW) == "welcome"

        import_cards("unchanged", LOST)  # the office does not know of it yet
        version = rosters.read_version(db, school)
        second.until(lambda status: status["roster"]["version"] == version)
        wait_cards(second, 1)
        import_cards("agreed", NEW)
        for door in doors:
            wait_cards(door, 0)
        assert show_card(peers[0], first, NEW) == "welcome"
        assert db.execute("SELECT ended, sealed FROM replacement_card WHERE school = %s", (school,)).fetchall() == [
            (True, None)
        ]
        page.close()


def show_card(peer: CardPeer, door: Daemon, card: str) -> str:
    """Returns the light that a card brings."""
    before = len(door.lights())
    peer.present(bytes.fromhex(card))
    return door.wait_lights(before + 1)[-1]


def wait_cards(door: Daemon, number: int) -> None:
    """Waits until this many replacement cards are in force at a kiosk."""

    def count(_: object) -> bool:
        with closing(sqlite3.connect(f"file:{door.journal}?mode=ro", uri=True)) as database:
            (found,) = database.execute("SELECT count(*) FROM replacement_card WHERE ended = 0").fetchone()
        return bool(found == number)

    door.until(count)


def stored_cards(daemon: Daemon) -> list[tuple[str, int]]:
    """Returns the replacement cards of a kiosk's journal: the key's name, and how many bytes are sealed."""
    with closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as journal:
        return journal.execute("SELECT key, length(sealed) FROM replacement_card").fetchall()


def present(daemon: Daemon, peer: CardPeer, card: str) -> dict[str, str]:
    """Presents a card and returns the event that came of it."""
    before = len(daemon.lights())
    peer.present(bytes.fromhex(card))
    daemon.wait_lights(before + 1)
    return dict(daemon.rows()[-1]["event"])


def test_a_card_given_while_the_ledger_is_away_comes_to_the_other_kiosk_later(
    tmp_path: Path, open_folder: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    """The ledger is away, and the kiosk's power fails; then comes a roster that still has the old card."""
    today = datetime.now(UTC).date().isoformat()

    def bring_roster(name: str, cards: dict[str, tuple[str, str]]) -> None:
        import_export(db, read_export(school_export(tmp_path / name, school, cards)), [school], date=today)

    def options(port: int) -> LedgerOptions:
        return LedgerOptions(folder=open_folder / "ledger", port=port, limits=OPEN_DOOR, settle_interval_s=0)

    bring_roster("export", CARDS)
    add_webhook(db, school, "https://app.example/news", ["app.example"], by="school", now=datetime.now(UTC))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        peers = [stack.enter_context(CardPeer(folder / "door")) for folder in folders]
        first, second = (
            stack.enter_context(Daemon(folder, serial_reader("door", "em4100", folder / "door") + "hold_ms = 50\n"))
            for folder in folders
        )
        with LedgerServer(server.database_url, options(0)) as ledger:
            port = int(ledger.url.rpartition(":")[2])
            for daemon in (first, second):
                daemon.state_dir.mkdir(0o700)
            key = palm_keys.make(first.state_dir)
            palm_keys.restore(second.state_dir, " ".join(to_paper(key)))
            screen = start_kiosk(first, ledger.url, db, school)
            start_kiosk(second, ledger.url, db, school)
        page = sign_in(browser, screen)
        page.fill("#find", "u-1")
        page.get_by_role("button", name="New card: Әлия Family-u-1").click()
        peers[0].present(bytes.fromhex(NEW), frames=2)
        expect(page.locator("#outcome")).to_contain_text("has the new card")
        page.close()
        assert stored_cards(second) == []
        first.kill()  # the outage is one of the power, too
        first.start(CREDENTIALS_DIRECTORY=str(first.folder / "credentials"))
        with LedgerServer(server.database_url, options(port)):
            person = find_surrogate(db, school, "u-1")
            second.until(lambda _: "other kiosks in force: 1 of 1" in second.log)
            [(card_key, sealed_bytes)] = stored_cards(second)
            assert card_key == "sealing"
            assert sealed_bytes > 200
            second.until(lambda status: status["journal"]["queue"] == 0)
            assert present(second, peers[1], LOST)["reason"] == "card_replaced"
            assert present(second, peers[1], NEW)["person"] == person
            row = db.execute("SELECT person, sealed FROM replacement_card WHERE school = %s", (school,)).fetchone()
            assert row is not None
            assert row[0] == person
            assert bytes.fromhex(NEW)[1:] not in bytes(row[1])
            assert NEW[2:].encode() not in bytes(row[1]).upper()
            news = db.execute("SELECT kind FROM webhook_delivery WHERE school = %s", (school,)).fetchall()
            assert news == [("card",)], "the family is told"

            grown = CARDS | {"u-3": ("em4100", LATER)}
            bring_roster("still", grown)
            for kiosk, peer in zip((first, second), peers, strict=True):
                kiosk.until(lambda status: status["roster"]["people"] == 3)
                assert present(kiosk, peer, LOST)["reason"] == "card_replaced"
                assert present(kiosk, peer, NEW)["person"] == person

            assert {len(stored_cards(kiosk)) for kiosk in (first, second)} == {1}
            erase_from_ledger(db, school, person, datetime.now(UTC))
            assert db.execute("SELECT 1 FROM replacement_card WHERE school = %s", (school,)).fetchall() == []
