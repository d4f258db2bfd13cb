"""The kiosk's authority, judged by OpenSSL through Python's `ssl`: what it vouches for, and when."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from edge_agent.runtime.kiosk_authority import AUTHORITY_NAME, FileAuthority

NOW = datetime.now(UTC)


def shake_hands(authority: FileAuthority, server: ssl.SSLContext, host: str) -> None:
    """Lets a client that trusts the authority greet this server under that name. Raises as the client does."""
    client = ssl.create_default_context()
    client.load_verify_locations(cadata=authority.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


def make_server(authority: FileAuthority, name: str, *addresses: str, wall: datetime = NOW) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.renew(context, name, [ip_address(address) for address in addresses], wall)
    return context


def test_a_restart_finds_the_same_authority(tmp_path: Path) -> None:
    first, second = FileAuthority(tmp_path, "left door"), FileAuthority(tmp_path, "renamed")
    assert first.fingerprint == second.fingerprint
    assert stat.S_IMODE((tmp_path / AUTHORITY_NAME).stat().st_mode) == 0o600
    assert len(first.fingerprint.split()) == 32


@pytest.mark.parametrize("host", ["kiosk.local", "192.168.7.2", "fd00::2"])
def test_it_vouches_for_the_kiosks_name_and_addresses(tmp_path: Path, host: str) -> None:
    authority = FileAuthority(tmp_path, "left door")
    shake_hands(authority, make_server(authority, "kiosk.local", "192.168.7.2", "fd00::2"), host)


def test_a_renewed_context_has_the_new_addresses_and_not_the_old_ones(tmp_path: Path) -> None:
    authority = FileAuthority(tmp_path, "left door")
    server = make_server(authority, "kiosk.local", "192.168.7.2")
    authority.renew(server, "kiosk.local", [ip_address("192.168.7.3")], NOW)
    shake_hands(authority, server, "192.168.7.3")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake_hands(authority, server, "192.168.7.2")


@pytest.mark.parametrize("host", ["bank.example", "8.8.8.8", "2001:db8::5"])
def test_a_stolen_key_can_play_no_other_site(tmp_path: Path, host: str) -> None:
    """The certificate is made with the authority's own key; its name constraints make it worthless."""
    authority = FileAuthority(tmp_path, "left door")
    is_address = not host.endswith(".example")
    server = make_server(authority, "kiosk.local" if is_address else host, *([host] if is_address else []))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(authority, server, host)


def test_a_certificate_holds_for_a_clock_that_is_behind(tmp_path: Path) -> None:
    """The kiosk's clock is 29 days ahead of the tablet's, which is ours."""
    authority = FileAuthority(tmp_path, "left door")
    shake_hands(authority, make_server(authority, "kiosk.local", wall=NOW + timedelta(days=29)), "kiosk.local")


@pytest.mark.parametrize("days", [-100, 31])
def test_a_certificate_of_a_wrong_clock_is_refused(tmp_path: Path, days: int) -> None:
    authority = FileAuthority(tmp_path, "left door")
    server = make_server(authority, "kiosk.local", wall=NOW + timedelta(days=days))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
        shake_hands(authority, server, "kiosk.local")


def test_the_authority_signs_no_other_authority(tmp_path: Path) -> None:
    certificate = x509.load_der_x509_certificate(FileAuthority(tmp_path, "left door").certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert certificate.extensions.get_extension_for_class(x509.NameConstraints).critical


@pytest.mark.parametrize("content", [b"", b"no key"])
def test_a_damaged_file_is_refused_and_never_written_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / AUTHORITY_NAME).write_bytes(content)
    with pytest.raises(ValueError):
        FileAuthority(tmp_path, "left door")
    assert (tmp_path / AUTHORITY_NAME).read_bytes() == content
