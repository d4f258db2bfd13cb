"""HTML to PDF by Chromium, where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sync.errors import Wording
from sync.ledger.errors import LedgerError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PDF_TIMEOUT_S = 120


class BrowserMissing(LedgerError):
    """No Chromium is here, or it made no PDF."""


def to_pdf(html: str) -> bytes:
    """Returns the page as PDF. Raises BrowserMissing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise BrowserMissing(
            "no Chromium is installed here", "export HTML and print it from any browser", Wording("refusal.no_pdf")
        )
    with tempfile.TemporaryDirectory(prefix="sheet-pdf-") as name:
        folder = Path(name)
        (folder / "sheet.html").write_text(html, "utf-8")
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--no-pdf-header-footer",
            f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'sheet.pdf'}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), (folder / "sheet.html").as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=PDF_TIMEOUT_S)
            return (folder / "sheet.pdf").read_bytes()
        except subprocess.TimeoutExpired as error:
            raise BrowserMissing(
                f"{browser} made no PDF in {PDF_TIMEOUT_S} s", "export HTML and print it", Wording("refusal.no_pdf")
            ) from error
        except FileNotFoundError as error:
            account = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BrowserMissing(
                f"{browser} made no PDF: {' '.join(account)}", "export HTML and print it", Wording("refusal.no_pdf")
            ) from error
