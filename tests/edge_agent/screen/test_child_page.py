"""The child's page in a real Chromium: told apart without colour, honest when a part is missing, light, accessible."""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Route, expect

from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.health import KioskHealth, LedgerState
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language, SoundLevel
from tests.browser import run_browser
from tests.edge_agent.screen.contact_sheets import HAND_ADVICE, every_feedback, invitations, show
from tests.edge_agent.screen.desk import run_screen

ROOM = KioskHealth(palm=True, ledger=LedgerState.REACHABLE, roster_age_s=60)
PAGE_BYTES_MAX = 150_000
INK_ONLY = "body, li { --back: #fff !important; --ink: #000 !important; --accent: #000 !important; }"
COUNT_TONES = """window.tones = []; const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) {
  window.tones.push(this.frequency.value); return start.apply(this, when); };
window.peaks = []; const ramp = AudioParam.prototype.linearRampToValueAtTime;
AudioParam.prototype.linearRampToValueAtTime = function (...to) {
  window.peaks.push(to[0]); return ramp.apply(this, to); };"""

# The drawings as black on white, 32 × 32 fields of ink. The same drawing drawn twice differs in nothing; a fifteenth of
# the ink is an arrow's worth, which one sees.
SHAPE_SIDE = 32
INK_SHARE_MIN = 1 / 15


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.fixture
def screen() -> Iterator[ScreenServer]:
    with run_screen(heartbeat_s=0.2) as server:
        server.show_health(ROOM)
        yield server


def open_child(browser: Browser, screen: ScreenServer) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"http://127.0.0.1:{screen.port}/")
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    return page


def drawn_shape(page: Page) -> NDArray[np.float64]:
    """Returns the share of ink in each field of the page's drawing: (32, 32), 0 to 1, without any colour."""
    grey = cv2.imdecode(np.frombuffer(page.locator("#marks").screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    fields = cv2.resize(grey, (SHAPE_SIDE, SHAPE_SIDE), interpolation=cv2.INTER_AREA)
    return 1 - np.asarray(fields, np.float64) / 255


def test_every_state_has_a_shape_of_its_own_without_colour_and_words(browser: Browser) -> None:
    shapes = {}
    with run_screen(heartbeat_s=0.2) as screen:
        screen.show_health(ROOM)
        page = open_child(browser, screen)
        page.emulate_media(reduced_motion="reduce")
        page.evaluate(
            f"document.adoptedStyleSheets = [Object.assign(new CSSStyleSheet(), {{}})]; "
            f"document.adoptedStyleSheets[0].replaceSync({INK_ONLY!r})"
        )
        for name, health in invitations():
            screen.show_health(health)
            expect(page.locator("body")).to_have_attribute("data-invite", name)
            shapes[f"idle {name}"] = drawn_shape(page)
        for name, feedback in every_feedback("ru", "Анна"):
            show(page, screen, feedback)
            shapes[name] = drawn_shape(page)
    expect(page.locator("body")).to_have_attribute("data-state", "offline")
    shapes["offline"] = drawn_shape(page)
    page.close()
    shapes.pop("idle staff")  # the drawing of "ask the staff": it asks for the same
    shapes.pop("unread")  # likewise
    for (first, one), (second, two) in itertools.combinations(shapes.items(), 2):
        share = np.abs(one - two).sum() / max(one.sum(), two.sum())
        assert share > INK_SHARE_MIN, (first, second, round(float(share), 3))


def test_each_advice_has_a_title_and_a_drawing_that_stands_still_when_asked(
    browser: Browser, screen: ScreenServer
) -> None:
    page = open_child(browser, screen)
    for language in Language:
        for advice in HAND_ADVICE:
            for kind in (FeedbackKind.AGAIN, FeedbackKind.ENROL):
                show(page, screen, Feedback(kind, language=language, advice=advice))
                expect(page.locator("#title")).to_have_text(read_catalogue(language)[f"child.guide.{advice}"])
                assert page.locator("#mark").get_attribute("data-icon") == advice
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    for advice in HAND_ADVICE:
        show(page, screen, Feedback(FeedbackKind.AGAIN, advice=advice))
        assert page.evaluate("document.getAnimations().some((moving) => moving.effect.target.closest('#mark .go'))"), (
            advice
        )
    page.close()


def test_only_a_long_name_shrinks(browser: Browser, screen: ScreenServer) -> None:
    page = open_child(browser, screen)
    for width, height in ((1280, 800), (800, 480), (1080, 1920)):
        page.set_viewport_size({"width": width, "height": height})
        sizes = []
        for name in ("Жан", "Мұхаммедәлі-Нұрсұлтанбек", "Александр-Константин Мұхаммедәлі-Нұрсұлтан"):
            show(page, screen, Feedback(FeedbackKind.WELCOME, name, "ru"))
            sizes.append(
                [page.locator(part).evaluate("part => getComputedStyle(part).fontSize") for part in ("#title", "#text")]
            )
        assert sizes[0] == sizes[1] == sizes[2], (width, sizes)
    page.close()


def test_each_message_has_its_own_melody_and_the_level_is_the_kiosks(browser: Browser) -> None:
    peaks = {}
    for level in SoundLevel:
        with run_screen(heartbeat_s=0.2, sound=level) as screen:
            screen.show_health(ROOM)
            page = browser.new_page()
            page.add_init_script(COUNT_TONES)
            page.goto(f"http://127.0.0.1:{screen.port}/")
            expect(page.locator("body")).to_have_attribute("data-state", "idle")
            melodies = []
            for kind in FeedbackKind:
                if kind not in (FeedbackKind.IDLE, FeedbackKind.ENROL):
                    page.evaluate("window.tones = []")
                    show(page, screen, Feedback(kind))
                    melodies.append(tuple(page.evaluate("window.tones")))
            peaks[level] = page.evaluate("Math.max(0, ...window.peaks)")
            page.close()
        assert len(set(melodies)) == (1 if level is SoundLevel.OFF else len(melodies)), melodies
    assert peaks[SoundLevel.ON] > 2 * peaks[SoundLevel.QUIET] > peaks[SoundLevel.OFF] == 0


def test_before_the_first_state_the_page_is_starting(browser: Browser, screen: ScreenServer) -> None:
    page = browser.new_page()
    page.route("**/events", lambda route: None)  # the agent has accepted the line, and says nothing yet
    page.goto(f"http://127.0.0.1:{screen.port}/")
    expect(page.locator("body")).to_have_attribute("data-state", "starting")
    expect(page.locator("#title")).to_have_text(read_catalogue(Language.KK)["child.starting.title"])
    expect(page.locator("body")).to_have_attribute("data-state", "offline")
    expect(page.locator("#text")).to_have_text(read_catalogue(Language.KK)["child.offline.text"])
    page.close()


@pytest.mark.parametrize(
    "part", ["page/child.js", "page/start.js", "page/words.js", "page/child.css", "catalogues/child.json"]
)
def test_a_page_that_lacks_a_part_says_so_and_loads_itself_anew(
    browser: Browser, screen: ScreenServer, part: str
) -> None:
    page = browser.new_page()
    lost: list[str] = []

    def lose_once(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.abort()

    page.route(f"**/{part}", lose_once)
    page.goto(f"http://127.0.0.1:{screen.port}/", wait_until="commit")
    if part != "page/start.js":
        expect(page.locator("body")).to_have_attribute("data-state", "broken")
        words = page.locator("#broken").text_content() or ""
        for language in Language:
            assert read_catalogue(language)["child.offline.title"] in words
            assert read_catalogue(language)["child.offline.text"] in words
    page.wait_for_function(
        "() => globalThis.pageWatch?.ready && document.body.dataset.state === 'idle'", timeout=15_000
    )
    assert len(lost) == 1
    page.close()


def test_an_open_page_recovers_from_ten_restarts(browser: Browser) -> None:
    page = browser.new_page()
    port = 0
    for restart in range(11):
        with run_screen(port=port, heartbeat_s=0.2) as screen:
            screen.show_health(ROOM)
            if port == 0:
                port = screen.port
                page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=15_000)
            screen.show(Feedback(FeedbackKind.WELCOME, f"Анна {restart}", "ru"))
            expect(page.locator("#name")).to_have_text(f"Анна {restart}", timeout=15_000)
    page.close()


def test_the_page_is_light(browser: Browser, screen: ScreenServer) -> None:
    page = browser.new_page()
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: 0}))
    page.goto(f"http://127.0.0.1:{screen.port}/")
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    for url in list(sizes):  # to ask for one is a response, too
        if not url.endswith("/events"):
            sizes[url] = len(page.request.get(url).body())
    assert sum(sizes.values()) <= PAGE_BYTES_MAX, sizes
    page.close()


def test_axe_finds_nothing_in_any_state_and_language(browser: Browser, screen: ScreenServer) -> None:
    page = open_child(browser, screen)
    axe = Axe()
    findings = {}
    for language in Language:
        for name, feedback in [("idle", None), *every_feedback(language, "Айгерім")]:
            if feedback is not None:
                show(page, screen, feedback)
            found = axe.run(page)
            if found.violations_count:
                findings[language, name] = found.generate_report()
    assert findings == {}
    page.close()
