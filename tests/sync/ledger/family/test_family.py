"""A family's pages over the real tables: a paper code lets a device in, proofs hold, objections hold the claim."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from re import findall

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.contests import BadAnswer, ContestAnswer, ContestOutcome, encode_answer, sign_answer, verify_answer
from sync.contract.event import Claim
from sync.contract.replacement_cards import ReplacementCardMessage
from sync.contract.visit import ClaimReason, Visit
from sync.ledger.errors import NotUnderstood
from sync.ledger.family import codes
from sync.ledger.judgement import contests, reversals
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.registry.replacement_cards import store_card
from sync.ledger.transparency import logs
from sync.ledger.transparency.cosigner import cosign_log
from sync.proof import verify_meal
from sync.proof.leaves import LogName
from sync.proof.signer import LogSigner
from sync.proof.verify_meal import SlipKey, decode_base45
from tests.sync.ledger.family.conftest import DAY, NOW, settle
from tests.sync.ledger.kiosk import Kiosk
from tests.sync.ledger.transparency.test_witness import RunningWitness


@pytest.fixture
def browser(family_url: str) -> Iterator[Callable[[], httpx.Client]]:
    """Makes browsers of different devices."""
    opened: list[httpx.Client] = []

    def open_browser() -> httpx.Client:
        opened.append(
            httpx.Client(base_url=family_url, headers={"accept-language": "ru"}, follow_redirects=True, timeout=60)
        )
        return opened[-1]

    yield open_browser
    for client in opened:
        client.close()


def read_one(db: psycopg.Connection, kiosk: Kiosk, person: str) -> Visit:
    [visit] = read_visits(db, kiosk.school, NOW.date() - timedelta(days=1), NOW.date(), person)
    return visit


def enter(client: httpx.Client, code: str) -> None:
    reply = client.post("/family/enter", data={"code": code}, follow_redirects=False)
    assert reply.status_code == 303, reply.text


def form_token(page: str) -> str:
    return str(findall(r'name="form_token" value="([^"]+)"', page)[0])


def test_a_paper_code_lets_devices_in_until_it_is_taken_back(
    db: psycopg.Connection, lunch: Kiosk, browser: Callable[[], httpx.Client]
) -> None:
    code = codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW)
    phone, tablet, stranger = browser(), browser(), browser()
    assert "Вход по коду" in phone.get("/family/").text
    enter(phone, code)
    enter(tablet, f" {code.lower().replace(lunch.school.lower(), lunch.school)} ")
    page = phone.get("/family/?month=2026-11")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert DAY in page.text
    assert "09:01" in page.text  # 04:01 UTC
    assert "Обед" in page.text
    assert "Түскі ас" in phone.get("/family/?month=2026-11&lang=kk").text
    phone.get("/family/?month=2026-11&lang=ru")
    assert page.text.count("Закрыть доступ") == 2
    for word in ("state", "claimable", "Омар2", "p2"):
        assert word not in page.text
    wrong = stranger.post("/family/enter", data={"code": code[:-1] + ("2" if code[-1] != "2" else "3")})
    assert wrong.status_code == 403
    assert "Код не подошёл" in wrong.text
    assert stranger.get("/family/").cookies.get("family_session") is None
    # One device is shut out by the other.
    own = findall(r'name="device" value="([0-9a-f]{64})"', page.text)
    shut = phone.post("/family/devices", data={"form_token": form_token(page.text), "device": own[-1]})
    assert shut.status_code == 200
    outcomes = sorted("Вход по коду" in client.get("/family/").text for client in (phone, tablet))
    assert outcomes == [False, True]
    assert codes.revoke_family_codes(db, lunch.school, "p1", NOW) == 1
    assert all("Вход по коду" in client.get("/family/").text for client in (phone, tablet))
    assert codes.enter_code(db, code, "again", NOW) is None


def test_a_code_ends_with_the_school_year_and_is_for_a_few_devices(db: psycopg.Connection, lunch: Kiosk) -> None:
    code = codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW)
    assert codes.find_year_end(NOW) == datetime(2027, 9, 1, tzinfo=UTC)
    assert codes.find_year_end(datetime(2027, 8, 31, 23, tzinfo=UTC)) == datetime(2027, 9, 1, tzinfo=UTC)
    opened = codes.enter_code(db, code, "phone", NOW)
    assert opened is not None
    year_end = codes.find_year_end(NOW)
    assert codes.find_session(db, opened.token, year_end - timedelta(seconds=1)) is not None
    assert codes.find_session(db, opened.token, year_end) is None
    assert codes.enter_code(db, code, "phone", year_end) is None
    for _ in range(codes.DEVICES_MAX - 1):
        assert codes.enter_code(db, code, "phone", NOW) is not None
    assert codes.enter_code(db, code, "one too many", NOW) is None
    for wrong in ("", "x", "\0", f"{lunch.school}.", opened.token[:-1], f"{opened.token}x"):
        assert codes.find_session(db, wrong, NOW) is None
    with pytest.raises(NotUnderstood, match="no person"):
        codes.issue_family_code(db, lunch.school, "nobody", by="office", now=NOW)
    letters = code.removeprefix(f"{lunch.school}-").replace("-", "")
    assert len(letters) * 4.95 >= 80  # bits, at 31 letters


def test_each_meal_has_a_proof_that_the_slip_s_keys_check(
    db: psycopg.Connection,
    lunch: Kiosk,
    browser: Callable[[], httpx.Client],
    signer: LogSigner,
    witness: RunningWitness,
) -> None:
    phone, other = browser(), browser()
    enter(phone, codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW))
    enter(other, codes.issue_family_code(db, lunch.school, "p2", by="office", now=NOW))
    assert "будет после итога дня" in phone.get("/family/?month=2026-11").text
    logs.seal_log(db, lunch.school, LogName.CLAIMS, signer, NOW)
    cosign_log(db, lunch.school, LogName.CLAIMS, witness.peer)
    page = phone.get("/family/?month=2026-11").text
    [address] = findall(r'href="(/family/proofs/[^"]+)"', page)
    proof = phone.get(address)
    shown = unescape(proof.text)
    [keys_shown, text] = findall(r"<pre[^>]*>([^<]+)</pre>", shown)
    ledger_key, witness_key = keys_shown.split()
    stated = verify_meal.verify_meal(decode_base45(text), SlipKey(ledger_key, 1), SlipKey(witness_key, 4))
    assert (stated["person"], stated["day"], stated["school"]) == ("p1", DAY, lunch.school)
    picture = phone.get(f"{address}/qr.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert other.get(address).status_code == 404  # another child's
    assert browser().get(address, follow_redirects=False).status_code == 303
    source = phone.get("/family/verify_meal.py")
    assert source.content == Path(verify_meal.__file__).read_bytes()
    views = db.execute("SELECT role, subject FROM page_view WHERE school = %s", (lunch.school,)).fetchall()
    assert ("family", "p1") in views


def test_a_contest_holds_the_claim_until_a_named_person_answers(
    db: psycopg.Connection, lunch: Kiosk, browser: Callable[[], httpx.Client]
) -> None:
    phone, key = browser(), Ed25519PrivateKey.generate()
    reversals.add_officer(
        db, lunch.school, "dana", name="Дана", role="school", public_key=key.public_key().public_bytes_raw(), now=NOW
    )
    enter(phone, codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW))
    assert (read_one(db, lunch, "p1").claim, read_one(db, lunch, "p2").claim) == (Claim.CLAIMABLE, Claim.NONE)
    for outcome, claim, why in (
        (ContestOutcome.DECLINED, Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (ContestOutcome.UPHELD, Claim.NONE, ClaimReason.CONTESTED),
    ):
        page = phone.get("/family/?month=2026-11").text
        visit = read_one(db, lunch, "p1")
        objection = {
            "form_token": form_token(page), "kind": "not_right", "device": visit.id.device, "epoch": visit.id.epoch,
            "seq": visit.id.seq, "note": "Она болела <b>",
        }  # fmt: skip
        if outcome is ContestOutcome.UPHELD:  # after an answer the page has no form, but a family may insist
            assert "запись остаётся: Видели (dana)" in page
        assert phone.post("/family/contests", data=objection).status_code == 200
        assert phone.post("/family/contests", data=objection).status_code == 200  # twice is once
        settle(db, lunch)
        assert (read_one(db, lunch, "p1").claim, read_one(db, lunch, "p1").why) == (Claim.HELD, ClaimReason.CONTESTED)
        [contest] = contests.list_contests(db, lunch.school, DAY, DAY, open_only=True)
        assert contest.entry == visit.id
        assert "ждёт ответа" in phone.get("/family/?month=2026-11").text
        body, signature = sign_answer(decide(lunch, contest.contest, outcome), key)
        contests.answer_contest(db, body, signature, key.public_key().public_bytes_raw(), NOW)
        settle(db, lunch)
        assert (read_one(db, lunch, "p1").claim, read_one(db, lunch, "p1").why) == (claim, why)
        assert contests.list_contests(db, lunch.school, DAY, DAY, open_only=True) == []
        with pytest.raises(NotUnderstood, match=r"no open contest .*`edge-agent ledger contest list"):
            contests.answer_contest(db, body, signature, key.public_key().public_bytes_raw(), NOW)
    # An answer that somebody writes into the table is none.
    db.execute("UPDATE contest SET signature = %s WHERE school = %s", (bytes(64), lunch.school))
    settle_days(db, lunch.school, now=NOW)
    assert contests.read_contested(db, lunch.school) == {read_one(db, lunch, "p1").id: None}


def decide(kiosk: Kiosk, contest: str, outcome: ContestOutcome, officer: str = "dana") -> ContestAnswer:
    return ContestAnswer(
        school=kiosk.school, contest=contest, outcome=outcome, reason="Видели", officer=officer,
        decided_at="2026-11-21T05:00:00Z",
    )  # fmt: skip


def test_what_is_not_shown_can_be_contested_and_strangers_cannot_answer(
    db: psycopg.Connection, lunch: Kiosk, browser: Callable[[], httpx.Client]
) -> None:
    phone, stranger = browser(), Ed25519PrivateKey.generate()
    enter(phone, codes.issue_family_code(db, lunch.school, "p1", by="office", now=NOW))
    token = form_token(phone.get("/family/").text)
    absence = {"form_token": token, "kind": "not_shown", "day": "2026-11-19", "session": "lunch", "note": "Была"}
    assert phone.post("/family/contests", data=absence).status_code == 200
    assert phone.post("/family/contests", data=absence | {"day": "2026-11-22"}).status_code == 409
    assert phone.post("/family/contests", data=absence | {"day": "soon"}).status_code == 400
    assert phone.post("/family/contests", data=absence | {"form_token": "x"}).status_code == 403
    theirs = read_one(db, lunch, "p2").id
    wrong = {
        "form_token": token,
        "kind": "not_right",
        "device": theirs.device,
        "epoch": theirs.epoch,
        "seq": theirs.seq,
    }
    assert phone.post("/family/contests", data=wrong).status_code == 409  # another child's entry
    [contest] = contests.list_contests(db, lunch.school, "2026-11-01", "2026-11-30")
    assert (contest.kind, contest.entry, contest.person) == ("not_shown", None, "p1")
    body, signature = sign_answer(decide(lunch, contest.contest, ContestOutcome.UPHELD), stranger)
    with pytest.raises(NotUnderstood, match="no officer"):
        contests.answer_contest(db, body, signature, stranger.public_key().public_bytes_raw(), NOW)
    for _ in range(contests.OPEN_CONTESTS_MAX - 1):
        phone.post("/family/contests", data=absence)
    assert phone.post("/family/contests", data=absence).status_code == 409
    db.execute("UPDATE contest SET answered_at = %s WHERE school = %s", (NOW, lunch.school))
    assert contests.forget_notes(db, lunch.school, NOW + timedelta(days=300)) == 0
    assert contests.forget_notes(db, lunch.school, NOW + timedelta(days=366)) == contests.OPEN_CONTESTS_MAX


def test_an_answer_has_one_form(kiosk: Kiosk) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    body, signature = sign_answer(decide(kiosk, "aa", ContestOutcome.UPHELD), key)
    assert verify_answer(body, signature, public) == decide(kiosk, "aa", ContestOutcome.UPHELD)
    for wrong in (body + b" ", body[:-1], body.replace(b"{", b"{ "), body.replace(b"answer 1", b"answer 2")):
        with pytest.raises(BadAnswer):
            verify_answer(wrong, key.sign(wrong), public)
    with pytest.raises(BadAnswer, match="signature"):
        verify_answer(body, signature[:-1] + b"x", public)
    with pytest.raises(BadAnswer, match="reason"):
        encode_answer(ContestAnswer(school="s", contest="a", outcome=ContestOutcome.UPHELD, reason=" ", officer="d",
                                    decided_at=""))  # fmt: skip


def test_both_languages_say_all_of_it() -> None:
    catalogues = load_catalogues("sync.ledger.family")
    assert catalogues["kk"].keys() == catalogues["ru"].keys()
    assert all(text.strip() for texts in catalogues.values() for text in texts.values())


def test_a_family_reads_when_a_new_card_was_given(
    db: psycopg.Connection, lunch: Kiosk, browser: Callable[[], httpx.Client]
) -> None:
    given = ReplacementCardMessage(id="rc-1", person="p1", made_at=f"{DAY}T19:30:00.000Z", sealed=b"noise")
    assert store_card(db, lunch.school, lunch.device, given)[0].stored
    for person, says in (("p0", False), ("p1", True)):
        client = browser()
        enter(client, codes.issue_family_code(db, lunch.school, person, by="school", now=NOW))
        page = unescape(client.get("/family/").text)
        assert ("2026-11-21 столовая выдала ребёнку новую карту" in page) is says, "the school's own date"
