"""Pairing over TLS as a client in the network sees it: what a stranger gets, what a tablet gets, and how it ends."""

import threading

import httpx
import pytest

from edge_agent.domain.tablets import WRONG_CODES_MAX_ADDRESS
from edge_agent.screen.tablets.gate import TABLET_COOKIE
from tests.edge_agent.screen.tablets.lan import KIOSK, TabletKiosk, run_kiosk, sign_in

EVERYTHING = (
    "/staff/session", "/staff/groups", "/staff/today", "/staff/operators", "/staff/tablets", "/events/staff", "/events",
    "/health", "/metrics", "/page/staff.js", "/speech/kk/idle.ogg",
)  # fmt: skip


def find_tablet(kiosk: TabletKiosk) -> str:
    with kiosk.open_head() as head:
        (row,) = head.get("/staff/tablets").json()["tablets"]
    return str(row["id"])


def revoke(kiosk: TabletKiosk, tablet: str) -> httpx.Response:
    with kiosk.open_head() as head:
        return head.post("/staff/tablets/revoke", json={"tablet": tablet})


def test_a_stranger_sees_nothing_but_the_page_of_pairing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as stranger:
        for page in ("/", "/staff", "/enrol", "/status"):
            assert stranger.get(page).headers["location"] == "/pair"
        for path in EVERYTHING:
            assert (stranger.get(path).status_code, stranger.get(path).json()) == (403, {"why": "not_paired"}), path
        assert stranger.post("/staff/sign-in", json={"operator": "op-1", "pin": "407815"}).status_code == 403
        assert stranger.get("/pair").status_code == 200
        assert stranger.post("/pair", json={"code": "00000000"}).json() == {"why": "no_pairing"}
        stranger.cookies.set(TABLET_COOKIE, "guessed")
        assert stranger.get("/staff/session").status_code == 403


def test_a_paired_tablet_still_asks_for_the_pin(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        (cookie,) = tablet.cookies.jar
        assert (cookie.name, cookie.secure, cookie.domain_specified) == (TABLET_COOKIE, True, False)
        for page in ("/staff", "/enrol", "/status"):
            assert tablet.get(page).status_code == 200, page
        assert tablet.get("/staff/groups").json() == {"why": "signed_out"}
        assert sign_in(tablet, "111119").json() == {"why": "wrong_pin"}
        signed_in = sign_in(tablet)
        for set_cookie in signed_in.headers.get_list("set-cookie"):
            assert {"secure", "httponly", "samesite=strict"} <= {part.strip().lower() for part in set_cookie.split(";")}
        assert tablet.get("/staff/groups").json() == ["3 «Б»", "7 «А»"]
        assert tablet.get("/staff/session").json()["hall"] is False
        for path in ("/health", "/metrics", "/events"):
            assert tablet.get(path).status_code == 404, path


def test_only_the_kiosks_own_screen_opens_a_pairing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        sign_in(tablet)
        opened = tablet.post("/staff/tablets/pair", json={"name": "mine"})
        assert (opened.status_code, opened.json()) == (409, {"why": "only_at_kiosk"})
        assert tablet.get("/staff/tablets").json()["may_pair"] is False


def test_wrong_codes_of_one_address_do_not_end_the_pairing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as prank:
        code = str(kiosk.open_pairing()["code"])
        wrong = f"{(int(code) + 1) % 10**8:08d}"
        answers = [prank.post("/pair", json={"code": wrong}).json()["why"] for _ in range(WRONG_CODES_MAX_ADDRESS + 1)]
        assert answers == ["wrong_code"] * WRONG_CODES_MAX_ADDRESS + ["too_many_codes"]
        assert prank.post("/pair", json={"code": code}).json() == {"why": "too_many_codes"}
        with kiosk.open_head() as head:
            assert head.get("/staff/tablets").json()["is_pairing"] is True


def test_a_code_pairs_one_tablet_and_a_tablet_that_pairs_anew_has_one_row(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet, "first name")
        kiosk.pair(tablet, "second name")
        with kiosk.open_head() as head:
            assert [row["name"] for row in head.get("/staff/tablets").json()["tablets"]] == ["second name"]
        with kiosk.open_tablet() as late:
            assert late.post("/pair", json={"code": "00000000"}).json() == {"why": "no_pairing"}


def test_a_revoked_tablet_is_out_at_once_with_its_open_stream(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        sign_in(tablet)
        named, seen, ended = threading.Event(), [], threading.Event()

        def follow() -> None:
            with tablet.stream("GET", "/events/staff") as stream:
                for line in stream.iter_lines():
                    seen.append(line)
                    if "state" in line:
                        named.set()
            ended.set()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        assert named.wait(10)
        assert revoke(kiosk, find_tablet(kiosk)).status_code == 200
        assert ended.wait(10), seen[-3:]
        assert tablet.get("/staff/groups").json() == {"why": "not_paired"}


def test_neither_cookie_is_worth_anything_on_another_tablet_without_a_pin(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        stolen = tablet.cookies[TABLET_COOKIE]
        sign_in(tablet)
        session = tablet.cookies["canteen_staff"]
        with kiosk.open_tablet() as other:
            kiosk.pair(other, "4 «А»")
            other.cookies.set("canteen_staff", session)
            assert other.get("/staff/session").json()["operator"] == ""
        with kiosk.open_tablet() as thief:
            thief.cookies.set(TABLET_COOKIE, stolen)
            assert thief.get("/staff/groups").json() == {"why": "signed_out"}
            sign_in(tablet)
            assert thief.get("/staff/groups").json() == {"why": "not_paired"}
        assert tablet.get("/staff/groups").status_code == 200


def test_a_tablet_stays_paired_over_a_restart_and_signs_in_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("state")
    with run_kiosk(folder) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        sign_in(tablet)
        cookies, fingerprint = dict(tablet.cookies), kiosk.authority.fingerprint
    with run_kiosk(folder) as kiosk, kiosk.open_tablet() as tablet:
        assert kiosk.authority.fingerprint == fingerprint
        tablet.cookies.update(cookies)
        assert tablet.get("/staff/groups").json() == {"why": "signed_out"}
        assert sign_in(tablet).status_code == 200


def test_a_request_names_the_kiosk_and_comes_from_its_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        port = kiosk.door.port
        for host in (f"evil.example:{port}", KIOSK, f"localhost:{port}", f"127.0.0.1:{kiosk.screen.port}"):
            assert tablet.get("/staff", headers={"Host": host}).status_code == 421, host
        assert tablet.get("/staff", headers={"Host": f"{KIOSK}:{port}"}).status_code == 200
        for origin in ("https://evil.example", f"http://127.0.0.1:{port}", "null"):
            answer = tablet.post("/staff/sign-out", json={}, headers={"Origin": origin})
            assert answer.status_code == 403, origin
        form = tablet.post("/staff/sign-out", content=b"{}", headers={"Content-Type": "text/plain"})
        assert form.status_code == 415


def test_without_tablets_nobody_has_the_right_and_nothing_answers(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.edge_agent.screen.desk import open_client, run_screen
    from tests.edge_agent.screen.tablets.lan import make_head

    with run_screen(operators=make_head(tmp_path_factory.mktemp("state"))) as screen, open_client(screen) as head:
        sign_in(head)
        assert "tablets" not in head.get("/staff/session").json()["rights"]
        assert head.get("/staff/tablets").status_code == 404
