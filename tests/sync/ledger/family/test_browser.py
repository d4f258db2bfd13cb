"""The family's pages by hand in a real Chromium, in both languages: usable by keyboard and screen reader."""

from collections.abc import Iterator

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect

from sync.contract.contests import ContestAnswer, ContestOutcome, sign_answer
from sync.ledger.family import codes
from sync.ledger.judgement import contests, reversals
from sync.ledger.pages.catalogues import LANGUAGES, load_catalogues
from sync.ledger.transparency import logs
from sync.ledger.transparency.cosigner import cosign_log
from sync.proof.leaves import LogName
from sync.proof.signer import LogSigner
from tests.browser import run_browser
from tests.sync.ledger.family.conftest import DAY, NOW
from tests.sync.ledger.kiosk import Kiosk
from tests.sync.ledger.transparency.test_witness import RunningWitness

AXE = Axe()
OTHER_DAY = "2026-11-19"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


def check_accessible(page: Page) -> None:
    results = AXE.run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_from_the_paper_code_to_a_proof_and_an_objection(
    chromium: Browser, family_url: str, db: psycopg.Connection, lunch: Kiosk, signer: LogSigner,
    witness: RunningWitness, language: str,
) -> None:  # fmt: skip
    words = load_catalogues("sync.ledger.family")[language]
    logs.seal_log(db, lunch.school, LogName.CLAIMS, signer, NOW)
    cosign_log(db, lunch.school, LogName.CLAIMS, witness.peer)
    code = codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW)
    page = chromium.new_context(viewport={"width": 900, "height": 700}, locale=language).new_page()
    page.goto(f"{family_url}/family/")
    check_accessible(page)
    page.get_by_label(words["code"], exact=True).fill("sch-AAAA")
    page.get_by_role("button", name=words["enter_button"]).click()
    expect(page.get_by_role("alert")).to_have_text(words["enter_failed"])
    check_accessible(page)
    page.get_by_label(words["code"], exact=True).fill(code)
    page.get_by_role("button", name=words["enter_button"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words["meals"])
    expect(page.get_by_role("row").filter(has_text=DAY)).to_have_count(1)
    check_accessible(page)
    page.get_by_role("link", name=words["qr"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words["proof"])
    page.wait_for_function("() => document.querySelector('img')?.naturalWidth > 100")
    check_accessible(page)
    page.get_by_role("link", name=words["back"]).click()
    row = page.get_by_role("row").filter(has_text=DAY)
    row.get_by_text(words["not_right"]).click()
    row.get_by_label(words["note"]).fill("x")
    row.get_by_role("button", name=words["send"]).click()
    expect(page.get_by_role("row").filter(has_text=DAY)).to_contain_text(words["contest_open"])
    # She was there on another day, and no entry says so.
    form = page.locator("form").filter(has=page.get_by_label(words["session"], exact=True))
    form.get_by_label(words["day"], exact=True).fill(OTHER_DAY)
    form.get_by_label(words["session"], exact=True).select_option("lunch")
    form.get_by_role("button", name=words["send"]).click()
    missing = page.get_by_role("paragraph").filter(has_text=OTHER_DAY)
    expect(missing).to_contain_text(words["contest_open"])
    check_accessible(page)
    # A named person answers both, and the parent sees it.
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    reversals.add_officer(db, lunch.school, "dana", name="Дана", role="school", public_key=public, now=NOW)
    for contest in contests.list_contests(db, lunch.school, "", "~", open_only=True):
        outcome = ContestOutcome.UPHELD if contest.day == OTHER_DAY else ContestOutcome.DECLINED
        answer = ContestAnswer(
            school=lunch.school, contest=contest.contest, outcome=outcome, reason="Видели", officer="dana",
            decided_at="2026-11-21T05:00:00Z",
        )  # fmt: skip
        contests.answer_contest(db, *sign_answer(answer, key), public, NOW)
    page.reload()
    expect(missing).to_contain_text(f"{words['outcome.upheld']}: Видели (dana)")
    declined = page.get_by_role("row").filter(has_text=DAY)
    expect(declined).to_contain_text(f"{words['outcome.declined']}: Видели (dana)")
    check_accessible(page)
    page.context.close()
