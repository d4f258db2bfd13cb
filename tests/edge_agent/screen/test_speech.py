"""Spoken messages: the catalogue's words, audible, short and small; and a page that speaks only where it is told to."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.screen.assets import read_catalogue, read_clip
from edge_agent.screen.state import Language, ScreenBoard, SoundLevel
from tests.browser import run_browser
from tests.edge_agent.screen.desk import run_screen
from tests.edge_agent.screen.test_page import open_page

SPOKEN = (Language.KK, Language.RU)
HEARD = [kind for kind in FeedbackKind if ScreenBoard().with_feedback(Feedback(kind), 0).child_view(0).big.sound]
KEYS = {kind.value: f"child.{kind}.title" for kind in HEARD} | {
    advice.value: f"child.advice.{advice}" for advice in Advice if advice
}
BYTES_MAX = 300_000
MEASURE = """async (names) => {
  const context = new AudioContext();
  const measured = {};
  for (const name of names) {
    const clip = await context.decodeAudioData(await (await fetch(`/speech/${name}.ogg`)).arrayBuffer());
    const samples = clip.getChannelData(0);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const peak = samples.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
    measured[name] = [clip.duration, Math.sqrt(power), peak];
  }
  return measured;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.mark.parametrize("language", SPOKEN)
def test_each_clip_says_what_the_catalogue_says(language: Language) -> None:
    words = read_catalogue(language)
    for name, key in KEYS.items():
        clip = read_clip(language, name)
        assert clip is not None, name
        assert f"TITLE={words[key]}".encode() in clip, f"{name}: run scripts/make_speech_clips.py"
    folder = Path(str(files("edge_agent.screen"))) / "speech"
    assert {clip.stem for clip in (folder / language).iterdir()} == set(KEYS)
    assert sum(clip.stat().st_size for clip in folder.rglob("*.ogg")) < BYTES_MAX


@pytest.mark.parametrize(
    ("language", "name"), [("en", "welcome"), ("kk", "idle"), ("kk", "../kk/welcome"), ("..", "kk")]
)
def test_there_is_no_other_clip(language: str, name: str) -> None:
    assert read_clip(language, name) is None


def test_every_clip_is_audible_and_short(browser: Browser) -> None:
    with run_screen() as screen:
        page = open_page(browser, screen)
        measured = page.evaluate(MEASURE, [f"{language}/{name}" for language in SPOKEN for name in KEYS])
        page.close()
    assert len(measured) == 2 * len(KEYS)
    for name, (seconds, loudness, peak) in measured.items():
        assert 0.3 < seconds < 8, name
        assert 0.06 < loudness < 0.2, name
        assert peak <= 1, name


def listen(page: Page) -> list[str]:
    """Returns the list to which the address of each clip goes that the page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.extend(re.findall(r"/speech/\S+", request.url)))
    return asked


def await_heartbeat(page: Page) -> None:
    """Waits for the first state and the first heartbeat: before these a page plays nothing."""
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    expect(page.locator("#clock")).not_to_have_text("")


def test_a_page_speaks_where_it_is_told_to(browser: Browser) -> None:
    with run_screen(heartbeat_s=0.2, speech=True) as screen:
        page = open_page(browser, screen)
        asked = listen(page)
        await_heartbeat(page)
        for feedback, clip in (
            (Feedback(FeedbackKind.WELCOME, "Айгүл", "kk"), "kk/welcome"),
            (Feedback(FeedbackKind.AGAIN, language="ru", advice=Advice.CLOSER), "ru/closer"),
            (Feedback(FeedbackKind.GOODBYE, "Анна", "ru", silent=True), ""),
            (Feedback(FeedbackKind.ASK_STAFF, language="ru"), "ru/ask_staff"),
            (Feedback(FeedbackKind.ASK_STAFF, language="ru"), ""),  # known by now
        ):
            with page.expect_request(f"**/speech/{clip}.ogg") if clip else nullcontext():
                screen.show(feedback)
            expect(page.locator("body")).to_have_attribute("data-state", feedback.kind)
        expect(page.locator("body")).to_have_attribute("data-number", "5")
        page.close()
    assert asked == ["/speech/kk/welcome.ogg", "/speech/ru/closer.ogg", "/speech/ru/ask_staff.ogg"]


@pytest.mark.parametrize(("speech", "sound"), [(False, SoundLevel.ON), (True, SoundLevel.OFF)])
def test_a_page_is_mute_where_it_is_not(browser: Browser, speech: bool, sound: SoundLevel) -> None:
    with run_screen(heartbeat_s=0.2, speech=speech, sound=sound) as screen:
        page = open_page(browser, screen)
        asked = listen(page)
        await_heartbeat(page)
        for kind in (FeedbackKind.WELCOME, FeedbackKind.ASK_STAFF, FeedbackKind.GOODBYE):
            screen.show(Feedback(kind, "Айгүл", "kk"))
            expect(page.locator("body")).to_have_attribute("data-state", kind)
        page.close()
    assert asked == []
