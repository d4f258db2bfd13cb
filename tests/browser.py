"""A real Chromium for the tests of pages, or the reason why there is none."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Yields a headless Chromium. Skips the test where it or Playwright's node cannot run."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt install chromium")
    node = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if node.returncode != 0:
        pytest.skip(f"Playwright's node does not start, apt install libatomic1: {node.stderr.strip()}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()
