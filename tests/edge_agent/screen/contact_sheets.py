"""Contact sheets of the child's page: every state in three languages, one sheet a size.

Draws them anew into docs/pictures:

    python -m tests.edge_agent.screen.contact_sheets
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.health import KioskHealth, LedgerState
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language
from tests.browser import run_browser
from tests.edge_agent.screen.desk import run_screen

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
SHEET_SIZES = ((1280, 800), (800, 480), (1080, 1920))
COLUMNS = 9
TILE_WIDTH, TALL_TILE_WIDTH = 156, 96
INK_STEP = 32  # fewer shades make a smaller file
GREETED = (FeedbackKind.WELCOME, FeedbackKind.GOODBYE)
HAND_ADVICE = tuple(advice for advice in Advice if advice and advice not in (Advice.NO_PHONE, Advice.UNREAD))


def every_feedback(language: str, name: str) -> Iterator[tuple[str, Feedback]]:
    """Yields every notice of the child's page with the name of its state; the name stands where one is greeted."""
    for kind in FeedbackKind:
        if kind is not FeedbackKind.IDLE:
            yield kind, Feedback(kind, name if kind in GREETED else "", language)
    for advice in HAND_ADVICE:
        yield advice, Feedback(FeedbackKind.AGAIN, language=language, advice=advice)
    yield Advice.NO_PHONE, Feedback(FeedbackKind.USE_CARD, language=language, advice=Advice.NO_PHONE)
    yield Advice.UNREAD, Feedback(FeedbackKind.ASK_STAFF, language=language, advice=Advice.UNREAD)


def invitations() -> Iterator[tuple[str, KioskHealth]]:
    """Yields the health of a kiosk for every invitation of the idle page, with the invitation's name."""
    for name, palm, card in (
        ("palm_or_card", True, True),
        ("palm", True, False),
        ("card", False, True),
        ("staff", False, False),
    ):
        yield name, KioskHealth(palm=palm, card=card, ledger=LedgerState.REACHABLE, roster_age_s=60)


def show(page: Page, screen: ScreenServer, feedback: Feedback) -> None:
    """Shows the notice and waits until the page has drawn it."""
    number = int(page.locator("body").get_attribute("data-number") or 0)
    screen.show(feedback)
    expect(page.locator("body")).to_have_attribute("data-number", str(number + 1))


def draw_states(page: Page, language: Language) -> Iterator[bytes]:
    """Yields a picture (PNG) of each state: starting, the invitations, every notice, and the lost agent."""
    with run_screen(language=language, heartbeat_s=0.2) as screen:
        page.route("**/events", lambda route: route.abort())
        page.goto(f"http://127.0.0.1:{screen.port}/")

        expect(page.locator("body")).to_have_attribute("data-state", "starting")
        yield page.screenshot()
        page.unroute("**/events")
        page.reload()
        for name, health in invitations():
            screen.show_health(health)
            expect(page.locator("body")).to_have_attribute("data-invite", name)
            yield page.screenshot()
        screen.show_health(KioskHealth(palm=True, ledger=LedgerState.REACHABLE, roster_age_s=60))
        expect(page.locator("body")).to_have_attribute("data-state", "idle")
        for _, feedback in every_feedback(language, "Айгерім"):
            show(page, screen, feedback)
            yield page.screenshot()
    expect(page.locator("body")).to_have_attribute("data-state", "offline")
    yield page.screenshot()


def join(pictures: list[bytes], width: int) -> NDArray[np.uint8]:
    """Returns the pictures as one: shrunk to tiles of this width, side by side, a row full before the next."""
    tiles = []
    for picture in pictures:
        pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        height = round(width * pixels.shape[0] / pixels.shape[1])
        tile = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        tiles.append(cv2.copyMakeBorder(tile, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    shades = np.round(np.vstack(rows) / INK_STEP) * INK_STEP
    return np.clip(shades, 0, 255).astype(np.uint8)


def main() -> None:
    with run_browser() as browser:
        for width, height in SHEET_SIZES:
            pictures = []
            for language in Language:
                page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
                drawn = list(draw_states(page, language))
                page.close()
                blank = cv2.imencode(".png", np.full((height, width, 3), 255, np.uint8))[1].tobytes()
                pictures += drawn + [blank] * (-len(drawn) % COLUMNS)
            sheet = join(pictures, TILE_WIDTH if width > height else TALL_TILE_WIDTH)
            path = PICTURES / f"child-{width}x{height}.png"
            path.write_bytes(cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
            print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
