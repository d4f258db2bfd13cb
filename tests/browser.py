"""A real Chromium for the tests of pages, or the reason why there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")


@contextmanager
def run_browser(*, home: Path | None = None, switches: Sequence[str] = ()) -> Iterator[Browser]:
    """Yields a headless Chromium. Skips the test where it or Playwright's node cannot run.

    `home` is a folder with authorities of its own, made by `trust_authority`; further `switches` are Chromium's.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt install chromium")
    node = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if node.returncode != 0:
        pytest.skip(f"Playwright's node does not start, apt install libatomic1: {node.stderr.strip()}")
    with sync_playwright() as playwright:
        environment: dict[str, str | float | bool] | None = None if home is None else {**os.environ, "HOME": str(home)}
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *switches], env=environment)
        yield chromium
        chromium.close()


def trust_authority(home: Path, certificate: bytes) -> None:
    """Has a Chromium with this home trust an authority, DER, through NSS. Skips the test without certutil."""
    certutil = shutil.which("certutil")
    if certutil is None:
        pytest.skip("no certutil: apt install libnss3-tools")
    folder = home / ".pki" / "nssdb"
    folder.mkdir(parents=True, exist_ok=True)
    store = f"sql:{folder}"
    subprocess.run([certutil, "-N", "-d", store, "--empty-password"], check=True, capture_output=True)
    subprocess.run(
        [certutil, "-A", "-d", store, "-n", "canteen kiosk", "-t", "C,,"],
        input=certificate,
        check=True,
        capture_output=True,
    )
