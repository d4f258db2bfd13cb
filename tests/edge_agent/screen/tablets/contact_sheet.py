"""Contact sheet of pairing a tablet: the kiosk's two steps, then the phone's three pages, one row a language.

Draws it anew into docs/pictures:

    python -m tests.edge_agent.screen.tablets.contact_sheet
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, ViewportSize, expect

from edge_agent.screen.state import Language
from tests.edge_agent.screen.contact_sheets import INK_STEP, PICTURES
from tests.edge_agent.screen.tablets.lan import FIRST, SECOND, SchoolLan, TabletKiosk, run_kiosk
from tests.edge_agent.screen.tablets.test_tablet_page import open_kiosk_page, open_tablet_page, run_tablet

PHONE: ViewportSize = {"width": 390, "height": 844}
PORTS = (8641, 8642)  # as on a kiosk
TILE_HEIGHT = 420


def draw_row(browser: Browser, kiosk: TabletKiosk, language: Language) -> Iterator[bytes]:
    """Yields the pictures of one language, PNG."""
    desk = open_kiosk_page(browser, kiosk)
    desk.locator("#languages button", has_text=language.upper()).click()
    desk.fill("#tablet-name", "7 «А»")
    desk.locator("#tablet-add button").click()
    desk.locator("#tablet-agrees").scroll_into_view_if_needed()
    yield desk.screenshot()
    port = kiosk.until(lambda door: door.certificate_port != 0).certificate_port
    desk.click("#tablet-agrees")
    desk.locator("#tablet-cancel").scroll_into_view_if_needed()
    yield desk.screenshot()
    code = desk.locator("#tablet-code").inner_text()

    phone = browser.new_page(viewport=PHONE)
    phone.goto(f"http://{FIRST}:{port}/")
    phone.locator(f"section[lang={language}]").evaluate("section => section.scrollIntoView()")
    yield phone.screenshot()
    phone = open_tablet_page(browser, kiosk, "/pair")
    phone.set_viewport_size(PHONE)
    phone.locator("#languages button", has_text=language.upper()).click()
    yield phone.screenshot()
    phone.fill("#code", code)
    phone.click("#pair button")
    expect(phone.locator("#open")).to_be_visible()
    yield phone.screenshot()


def main() -> None:
    """Draws the sheet."""
    with (
        tempfile.TemporaryDirectory() as state,
        tempfile.TemporaryDirectory() as home,
        run_kiosk(Path(state), SchoolLan((FIRST, SECOND)), ports=PORTS) as kiosk,
        run_tablet(kiosk, Path(home)) as browser,
    ):
        rows = [cv2.hconcat([_tile(picture) for picture in draw_row(browser, kiosk, each)]) for each in Language]
    shades = np.round(cv2.vconcat(rows) / INK_STEP) * INK_STEP
    sheet = np.clip(shades, 0, 255).astype(np.uint8)
    (PICTURES / "tablets.png").write_bytes(cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


def _tile(picture: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    width = round(pixels.shape[1] * TILE_HEIGHT / pixels.shape[0])
    small = cv2.resize(pixels, (width, TILE_HEIGHT), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(small, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(160, 160, 160))
    return np.asarray(framed, np.uint8)


if __name__ == "__main__":
    main()
