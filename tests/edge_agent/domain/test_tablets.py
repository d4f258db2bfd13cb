"""Tablets: which of a kiosk's addresses they may reach, and how far somebody gets who guesses pairing codes."""

from ipaddress import ip_address, ip_network

import pytest

from edge_agent.domain.tablets import (
    PAIRING_CODE_DIGITS,
    PAIRING_S,
    WRONG_CODES_MAX,
    WRONG_CODES_MAX_ADDRESS,
    PairingCodes,
    TabletFault,
    TabletRefused,
    choose_addresses,
)

CODE = "40719935"
PRESENT = [
    ip_address(address)
    for address in ("127.0.0.1", "192.168.7.2", "10.1.2.3", "8.8.8.8", "169.254.3.4", "fd00::2", "2001:db8::5", "::1")
]


def use(codes: PairingCodes, code: str, address: str, now_s: float) -> str:
    try:
        return codes.use(code, address, now_s)
    except TabletRefused as refused:
        return refused.fault


@pytest.mark.parametrize(
    ("networks", "chosen"),
    [
        ((), ["10.1.2.3", "192.168.7.2", "fd00::2"]),
        (("192.168.0.0/16",), ["192.168.7.2"]),
        (("fd00::/8",), ["fd00::2"]),
        (("127.0.0.0/8",), ["127.0.0.1"]),
        (("8.8.8.0/24", "2001:db8::/32", "169.254.0.0/16"), []),  # the authority vouches for none of these
    ],
)
def test_tablets_are_heard_at_private_addresses_alone(networks: tuple[str, ...], chosen: list[str]) -> None:
    found = choose_addresses(PRESENT, [ip_network(network) for network in networks])
    assert [str(address) for address in found] == chosen


def test_a_code_works_once() -> None:
    codes = PairingCodes()
    assert use(codes, CODE, "a", 0.0) == TabletFault.NO_PAIRING
    codes.open("3 «Б»", CODE, 0.0)
    assert use(codes, CODE, "a", 1.0) == "3 «Б»"
    assert use(codes, CODE, "a", 1.0) == TabletFault.NO_PAIRING


def test_a_code_ends_with_its_time_with_the_next_one_and_when_it_is_closed() -> None:
    codes = PairingCodes()
    codes.open("3 «Б»", CODE, 0.0)
    assert codes.current(PAIRING_S - 1) is not None
    assert use(codes, CODE, "a", PAIRING_S) == TabletFault.NO_PAIRING
    codes.open("3 «Б»", CODE, 0.0)
    codes.open("4 «А»", "99000011", 0.0)
    assert use(codes, CODE, "a", 1.0) == TabletFault.WRONG_CODE
    codes.close()
    assert use(codes, "99000011", "a", 1.0) == TabletFault.NO_PAIRING


def test_wrong_codes_of_one_address_stop_that_address_alone() -> None:
    codes = PairingCodes()
    codes.open("3 «Б»", CODE, 0.0)
    tries = [use(codes, "00000000", "prank", 1.0) for _ in range(WRONG_CODES_MAX_ADDRESS)]
    assert tries == [TabletFault.WRONG_CODE] * WRONG_CODES_MAX_ADDRESS
    assert use(codes, CODE, "prank", 1.0) == TabletFault.TOO_MANY_CODES
    assert use(codes, CODE, "tablet", 1.0) == "3 «Б»"


def test_whoever_has_many_addresses_ends_the_code_before_finding_it() -> None:
    codes = PairingCodes()
    codes.open("3 «Б»", CODE, 0.0)
    tries = [use(codes, f"{number:08d}", f"address {number}", 1.0) for number in range(WRONG_CODES_MAX)]
    assert tries == [TabletFault.WRONG_CODE] * WRONG_CODES_MAX
    assert use(codes, CODE, "tablet", 1.0) == TabletFault.NO_PAIRING
    assert WRONG_CODES_MAX / 10**PAIRING_CODE_DIGITS <= 1e-6
