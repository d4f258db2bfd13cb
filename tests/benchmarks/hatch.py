"""Seconds at the hatch by method: card, palm, code on paper, PIN, and a name that staff look up.

A consent to the palm is free only where the other ways are as quick. What the kiosk needs is measured: a real daemon
with a card reader and a scanner, the palm's own path from the first good picture, the staff's page in Chromium with
keyboard alone. What the people need is assumed, by the operators of the Keystroke-Level Model (Card, Moran and Newell,
1980): nobody takes a card out of a bag here, or spells a name.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, expect

from drivers.simulated.card_peer import CardPeer
from edge_agent import identity
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.clock import KernelClock
from sync.contract.roster import Credential, CredentialKind, Person, Record, RosterPage
from tests.benchmarks import palm_flow, school
from tests.benchmarks.figures import Figure, Result, Run, middle
from tests.benchmarks.kiosk import BenchKiosk
from tests.benchmarks.scan import welcomes
from tests.browser import run_browser
from tests.system.daemon import serial_reader

# Card, S. K., Moran, T. P., Newell, A.: The keystroke-level model for user performance time with interactive systems.
# Communications of the ACM 23 (1980), 396-410: seconds of an average person who is no typist.
KEY_S = 0.28
POINT_S = 1.10  # bring the hand, a card or a paper to a place
REACH_S = 0.40
THINK_S = 1.35
PIN_DIGITS = 6
PRESENTED_S = REACH_S + POINT_S

PEOPLE, ROWS = 500, 12_000
PRESENTATIONS, QUICK_PRESENTATIONS = 60, 3
PAUSE_S = 0.2
PATIENCE_S = 60.0
OPERATOR, PIN = "Cook", "2468"
FAMILIES = ("Әлиев", "Ахметов", "Бекова", "Жұмабаев", "Ким", "Қасымова", "Оспанов", "Сейітов", "Тілеу", "Юсупова")
NAMES = ("Арман", "Айгүл", "Дана", "Ерлан", "Жанна", "Ілияс", "Нұрлан", "Сәуле", "Тимур", "Ұлпан")
TYPED = 4  # letters of each of both names


def run(run: Run) -> Result:
    folder = run.folder / "hatch"
    folder.mkdir()
    count = QUICK_PRESENTATIONS if run.quick else PRESENTATIONS
    cards, codes, names, keys = _play_kiosk(folder, count, QUICK_PRESENTATIONS if run.quick else ROWS)
    flow = palm_flow.run(Run(_make_folder(folder / "palms"), run.quick), count)
    first_ms = next(figure.value for figure in flow.figures if figure.what == "first good picture to identity p50")
    card_s, code_s, name_s = (middle(waits) for waits in (cards, codes, names))
    human = {
        "card": (card_s, PRESENTED_S),
        "palm": (first_ms / 1000 + card_s, PRESENTED_S),
        "code on paper": (code_s, PRESENTED_S),
        f"PIN of {PIN_DIGITS} digits": (code_s, THINK_S + KEY_S * (PIN_DIGITS + 1)),
        f"name, by staff with {keys} keys": (name_s, THINK_S + KEY_S * keys),
    }
    floor = card_s + PRESENTED_S
    return Result(
        "hatch",
        f"{count} times each, {PEOPLE} people; the kiosk's part measured, the people's by the Keystroke-Level Model:"
        f" key {KEY_S} s, pointing {POINT_S} s, reaching {REACH_S} s, thinking {THINK_S} s; floor: the card",
        [
            figure
            for method, (measured, assumed) in human.items()
            for figure in (
                Figure(f"{method}: the kiosk's part, median", measured, "s"),
                Figure(f"{method}: with the people's part", measured + assumed, "s", floor=floor),
            )
        ],
    )


def _make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def _play_kiosk(folder: Path, count: int, rows: int) -> tuple[list[float], list[float], list[float], int]:
    """Returns the seconds of cards, codes and names, and the keys that one name takes."""
    credentials = _make_folder(folder / "credentials")
    (credentials / "staff-pin").write_text(f"{PIN}\n", "ascii")
    with CardPeer(folder / "door") as door, CardPeer(folder / "scanner") as scanner:
        readers = serial_reader("scanner", "line", scanner.port)
        with BenchKiosk(folder, [door], people=PEOPLE, rows=rows, other_readers=readers) as kiosk:
            _name_people(kiosk)
            url = kiosk.start(CREDENTIALS_DIRECTORY=str(credentials))["screen"]
            light = folder / "light.jsonl"
            cards = [_wait_light(light, partial(door.present, school.card(n))) for n in range(count)]
            codes = [
                _wait_light(light, partial(scanner.send, f"{_code(count + n)}\r\n".encode())) for n in range(count)
            ]
            with run_browser() as browser:
                page = browser.new_page()
                page.goto(f"{url.rstrip('/')}/staff")
                page.get_by_role("button", name="EN", exact=True).click()
                page.get_by_role("radio", name=OPERATOR).click()
                page.fill("#sign-pin", PIN)
                page.click("#sign-in button.strong")
                expect(page.locator("#desk")).to_be_visible()
                entered = [_enter_by_name(page, 2 * count + n) for n in range(count)]
            assert kiosk.stop() == 0
    return cards, codes, [seconds for seconds, _ in entered], max(keys for _, keys in entered)


def _code(number: int) -> str:
    return f"{700_000 + number}"


def _family_name(number: int) -> str:
    return FAMILIES[number % 10]


def _given_name(number: int) -> str:
    return NAMES[number // 10 % 10] + "абвгдежзик"[number // 100]


def _name_people(kiosk: BenchKiosk) -> None:
    """Gives everybody a name that can be looked up, and a code."""
    me = identity.read_identity(kiosk.state_dir, school.SCHOOL)
    own = KioskIdentity(me.device, me.key.public_bytes, me.school)
    changes: list[Record] = []
    for number in range(PEOPLE):
        person = school.person(number)
        changes += [
            Person(id=person, given_name=_given_name(number), family_name=_family_name(number), grade="05"),
            Credential(id=f"q-{number}", person=person, kind=CredentialKind.CODE, value=_code(number)),
        ]
    with Journal.open(kiosk.journal, own, now=KernelClock(), ballast_bytes=0) as journal:
        page = RosterPage(school=school.SCHOOL, since=1, version=2, changes=tuple(changes))
        journal.roster.apply((page,), datetime.now(UTC))


def _wait_light(light: Path, act: Callable[[], object]) -> float:
    """Returns the seconds from the act to the light that says welcome."""
    time.sleep(PAUSE_S)
    before = len(welcomes(light)) if light.exists() else 0
    began = time.monotonic_ns()
    act()
    while not light.exists() or len(welcomes(light)) <= before:
        assert time.monotonic_ns() < began + PATIENCE_S * 1e9, "no light; look at the kiosk's log"
        time.sleep(0.005)
    return (welcomes(light)[-1] - began) / 1e9


def _enter_by_name(page: Page, number: int) -> tuple[float, int]:
    """Enters somebody with the keyboard alone. Returns seconds and keys."""
    name = f"{_given_name(number)} {_family_name(number)}"
    typed = " ".join(part[:TYPED] for part in name.split()[:2])
    began, keys = time.monotonic(), 0

    def press(key: str) -> None:
        nonlocal keys
        keys += 1
        page.keyboard.press(key)

    page.locator("#find").focus()
    page.keyboard.type(typed)
    keys += len(typed)
    choices = page.locator("#people button:not(.quiet)")
    expect(choices.filter(has_text=name)).to_have_count(1)
    shown = choices.all_inner_texts()
    for _ in range(1 + next(place for place, text in enumerate(shown) if name in text)):
        press("Tab")
    press("Enter")
    expect(page.locator("#confirm")).to_be_visible()
    press("Enter")  # the first reason has the focus
    while page.evaluate("document.activeElement.id") != "confirm-do":
        press("Tab")
    press("Enter")
    expect(page.locator("#outcome")).to_contain_text(name)
    return time.monotonic() - began, keys
