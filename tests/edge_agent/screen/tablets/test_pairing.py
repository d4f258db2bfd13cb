"""Pairing over TLS as a client in the network sees it: what a stranger gets, what a tablet gets, and how it ends."""

import pytest

from edge_agent.screen.tablets.gate import TABLET_COOKIE
from tests.edge_agent.screen.tablets.lan import run_kiosk, sign_in

EVERYTHING = (
    "/staff/session", "/staff/groups", "/staff/today", "/staff/operators", "/staff/tablets", "/events/staff", "/events",
    "/health", "/metrics", "/page/staff.js", "/speech/kk/idle.ogg",
)  # fmt: skip


def test_a_stranger_sees_nothing_but_the_page_of_pairing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as stranger:
        for page in ("/", "/staff", "/enrol"):
            assert stranger.get(page).headers["location"] == "/pair"
        for path in EVERYTHING:
            assert (stranger.get(path).status_code, stranger.get(path).json()) == (403, {"why": "not_paired"}), path
        assert stranger.post("/staff/sign-in", json={"operator": "op-1", "pin": "407815"}).status_code == 403
        assert stranger.get("/pair").status_code == 200
        assert stranger.post("/pair", json={"code": "00000000"}).json() == {"why": "no_pairing"}


def test_a_paired_tablet_still_asks_for_the_pin(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, kiosk.open_tablet() as tablet:
        kiosk.pair(tablet)
        (cookie,) = tablet.cookies.jar
        assert (cookie.name, cookie.secure, cookie.domain_specified) == (TABLET_COOKIE, True, False)
        assert tablet.get("/staff").status_code == 200
        assert tablet.get("/staff/groups").json() == {"why": "signed_out"}
        assert sign_in(tablet, "111119").json() == {"why": "wrong_pin"}
        signed_in = sign_in(tablet)
        assert {"Secure", "HttpOnly"} <= {part.strip() for part in signed_in.headers["set-cookie"].split(";")}
        assert tablet.get("/staff/groups").json() == ["3 «Б»", "7 «А»"]
        for path in ("/health", "/metrics", "/events"):
            assert tablet.get(path).status_code == 404, path
