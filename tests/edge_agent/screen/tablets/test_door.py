"""The tablets' door as addresses and clocks change: on loopback addresses, which stand for the school's network."""

import socket
import ssl
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509

from edge_agent.domain.tablets import DoorFault, LanAddress
from edge_agent.screen.serving import listen
from edge_agent.screen.tablets.door import ADDRESS_CONNECTIONS_MAX, RENEWED_BEFORE
from tests.edge_agent.screen.tablets.lan import FIRST, SECOND, SchoolLan, TabletKiosk, run_kiosk

SIXTH = ip_address("::1")


def read_certificate(kiosk: TabletKiosk, host: str = str(FIRST)) -> x509.Certificate:
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(kiosk.authority.certificate))
    with (
        socket.create_connection((host, kiosk.door.port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=host) as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def is_listening(address: LanAddress, port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex((str(address), port)) == 0


def test_a_new_address_gets_a_certificate_and_the_old_one_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk:
        port = kiosk.door.port
        kiosk.lan.addresses = (SECOND,)
        kiosk.until(lambda door: door.addresses == (SECOND,))
        assert kiosk.door.port == port
        with kiosk.open_tablet(str(SECOND)) as tablet:
            assert tablet.get("/pair").status_code == 200
        with kiosk.open_tablet(str(FIRST)) as gone, pytest.raises(httpx.ConnectError, match="refused"):
            gone.get("/pair")


def has_ipv6() -> bool:
    try:
        listen(str(SIXTH), 0, 1, 1).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback: sysctl net.ipv6.conf.lo.disable_ipv6=0")
def test_a_second_interface_and_ipv6_are_heard_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    addresses = (FIRST, SECOND, SIXTH)
    with run_kiosk(tmp_path_factory.mktemp("state"), SchoolLan(addresses)) as kiosk:
        for host in ("127.0.0.1", "127.0.0.2", "[::1]"):
            with kiosk.open_tablet(host) as tablet:
                assert tablet.get("/pair").status_code == 200
        drawn = kiosk.open_pairing()["pairing"]
        assert isinstance(drawn, list)
        assert [row["host"] for row in drawn] == ["kiosk.local", "127.0.0.1", "127.0.0.2", "[::1]"]
        kiosk.lan.addresses = ()
        assert kiosk.until(lambda door: door.fault is not DoorFault.NONE).fault is DoorFault.NO_ADDRESS
        kiosk.lan.addresses = addresses
        kiosk.until(lambda door: door.fault is DoorFault.NONE and door.addresses == addresses)


def test_an_address_that_is_taken_is_said_and_tried_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk:
        with listen(str(SECOND), kiosk.door.port, 1, 1):
            kiosk.lan.addresses = (FIRST, SECOND)
            state = kiosk.until(lambda door: door.fault is not DoorFault.NONE)
            assert (state.fault, state.why) == (DoorFault.NOT_LISTENING, f"{SECOND}:{state.port}")
            with kiosk.open_tablet(str(FIRST)) as tablet:
                assert tablet.get("/pair").status_code == 200
        kiosk.until(lambda door: door.fault is DoorFault.NONE and door.addresses == (FIRST, SECOND))


def test_a_certificate_is_made_anew_before_its_end_and_after_a_wrong_clock(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lan = SchoolLan()
    lan.ahead(days=-60)  # both certificates hold today
    with run_kiosk(tmp_path_factory.mktemp("state"), lan) as kiosk:
        first = read_certificate(kiosk)
        until = kiosk.door.until
        assert until is not None
        kiosk.lan.wall = until - RENEWED_BEFORE
        kiosk.lan.ahead(seconds=-1)
        looks = lan.looks
        kiosk.until(lambda _: lan.looks >= looks + 2)  # the second one began with this clock
        assert read_certificate(kiosk).serial_number == first.serial_number
        kiosk.lan.ahead(seconds=2)
        later = kiosk.until(lambda door: door.until != until).until
        second = read_certificate(kiosk)
        assert second.serial_number != first.serial_number
        assert second.not_valid_after_utc == later
        kiosk.lan.ahead(days=-400)  # the kiosk's clock was wrong, and is right now
        kiosk.until(lambda door: door.until is not None and later is not None and door.until < later)


def test_the_certificate_is_offered_only_while_a_pairing_is_open(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk:
        drawn = kiosk.open_pairing()["certificate"]
        assert isinstance(drawn, list)
        kiosk.until(lambda door: door.certificate_port != 0)
        url = f"http://{FIRST}:{kiosk.door.certificate_port}/"
        page = httpx.get(url).text
        assert kiosk.authority.fingerprint not in page
        assert all(language in page for language in ('lang="kk"', 'lang="ru"', 'lang="en"'))
        given = httpx.get(f"{url}canteen-kiosk.crt")
        assert (given.content, given.headers["content-type"]) == (
            kiosk.authority.certificate, "application/x-x509-ca-cert",
        )  # fmt: skip
        for path in ("staff", "pair", "catalogues.json"):
            assert httpx.get(url + path).status_code == 404
        with kiosk.open_head() as head:
            head.post("/staff/tablets/close", json={})
        kiosk.until(lambda _: not is_listening(FIRST, kiosk.door.certificate_port))
        with kiosk.open_tablet() as tablet:
            assert tablet.get("/pair").status_code == 200


def test_one_address_cannot_take_every_connection(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state"), SchoolLan((FIRST, SECOND))) as kiosk:
        place = (str(FIRST), kiosk.door.port)
        held = [socket.create_connection(place, timeout=10) for _ in range(ADDRESS_CONNECTIONS_MAX)]
        with socket.create_connection(place, timeout=10) as refused:
            assert refused.recv(1) == b""
        other = httpx.HTTPTransport(
            verify=ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(kiosk.authority.certificate)),
            local_address=str(SECOND),
        )
        with httpx.Client(transport=other) as tablet:
            assert tablet.get(f"https://{FIRST}:{kiosk.door.port}/pair").status_code == 200
        for connection in held:
            connection.close()
