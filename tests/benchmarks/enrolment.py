"""Children an hour on enrolment day: one helper at the page, with the real daemon and drawn hands before its camera.

What the kiosk needs is measured from one child to the next: page, consent, guidance, search of the gallery, sealing and
disk. A hand takes 8 s for its three samples, as the product's promise has it; what the helper types is reckoned by the
Keystroke-Level Model, as in `hatch`.
"""

import time

from playwright.sync_api import Page, expect

from tests.benchmarks.figures import Figure, Result, Run, middle
from tests.benchmarks.hatch import KEY_S, POINT_S, REACH_S, THINK_S
from tests.browser import run_browser
from tests.system.enrolment_kiosk import EnrolmentKiosk, open_enrolment

CHILDREN, QUICK_CHILDREN = 20, 2
HAND_S = 8.0
PICTURES_A_S = 1.4  # quicker ones are too alike to count as three samples
SAMPLES = 3
PAPER = "17/2026"
KEYS = len(PAPER) + 5  # the paper's number; to the mother, chosen; note, start, next child
CHILDREN_AN_HOUR_MIN = 120.0
PATIENCE_MS = 60_000
GROUP = "3 «Б»"


def run(run: Run) -> Result:
    folder = run.folder / "enrolment"
    folder.mkdir()
    people = [f"u-{number}" for number in range(1, 1 + (QUICK_CHILDREN if run.quick else CHILDREN))]
    with EnrolmentKiosk(folder, {GROUP: people}, fps=PICTURES_A_S) as kiosk, run_browser() as browser:
        kiosk.start()
        kiosk.make_head()
        page = browser.new_page()
        _open_class(page, kiosk)
        kiosk_s = [_enrol(page, kiosk, person) for person in people]
        assert kiosk.stop() == 0
    # The helper reads the paper, types its number, chooses who signed; the children come and go meanwhile.
    helper_s = THINK_S + REACH_S + POINT_S + KEY_S * KEYS
    child_s = middle(kiosk_s) + 2 * HAND_S + helper_s
    return Result(
        "enrolment",
        f"{len(people)} children with a paper each, both hands, by keyboard; {HAND_S:.0f} s a hand and {helper_s:.1f} s"
        " of the helper's are added to what the kiosk took",
        [
            Figure("the kiosk's part of a child, median", middle(kiosk_s), "s"),
            Figure("children an hour", 3600 / child_s, "/h", at_least=CHILDREN_AN_HOUR_MIN),
        ],
    )


def _open_class(page: Page, kiosk: EnrolmentKiosk) -> None:
    open_enrolment(page, kiosk)
    page.get_by_role("button", name=GROUP).click()
    page.locator("#children button").first.click()


def _enrol(page: Page, kiosk: EnrolmentKiosk, person: str) -> float:
    """Enrols the child who is on the page and opens the next one; returns the seconds without those of the hands."""
    begin = time.perf_counter()
    expect(page.locator("#child-name")).to_have_text(f"Әлия Family-{person}")
    page.keyboard.type(PAPER)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#signed-on").press("Enter")
    expect(page.locator("#start")).to_be_focused()
    page.keyboard.press("Enter")
    for hand in ("left", "right"):
        expect(page.locator(f"#hand-{hand}[data-now]")).to_be_visible(timeout=PATIENCE_MS)
        kiosk.hands.show(person, hand, SAMPLES)
        expect(page.locator(f"#hand-{hand} b")).to_have_text("✓", timeout=PATIENCE_MS)
    expect(page.locator("#next")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    return time.perf_counter() - begin - 2 * (SAMPLES - 1) / PICTURES_A_S  # the first picture comes at once
