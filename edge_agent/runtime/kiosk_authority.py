"""The kiosk's own certificate authority, which tablets trust, and the certificates that it gives to this kiosk.

The authority vouches for `.local` names and private addresses and for nothing else: a stolen key opens no other site to
whoever has it. A server's key lives in memory and is made anew with each certificate.
"""

import logging
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.domain.tablets import LOOPBACK_NETWORKS, PRIVATE_NETWORKS, LanAddress
from edge_agent.runtime.pin_hashes import write_secret_file

log = logging.getLogger(__name__)

AUTHORITY_NAME: Final = "tablets-ca.pem"
LOCAL_DOMAIN: Final = "local"
# Fixed, since a kiosk may make it while its clock is wrong.
AUTHORITY_FROM: Final = datetime(2024, 1, 1, tzinfo=UTC)
AUTHORITY_UNTIL: Final = datetime(2049, 12, 31, tzinfo=UTC)
# Apple's limit for a certificate under an own authority is 825 days. A tablet's clock may be a month behind.
SERVER_BACKDATED: Final = timedelta(days=30)
SERVER_LASTS: Final = timedelta(days=90)


class FileAuthority:
    """The authority whose key lies in the state folder. The first call makes it; raises OSError and ValueError."""

    def __init__(self, state_dir: Path, kiosk: str) -> None:
        path = state_dir / AUTHORITY_NAME
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = _make_authority(kiosk)
            write_secret_file(path, content)
        key = serialization.load_pem_private_key(content, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(  # noqa: TRY004  the file is wrong, not the program
                f"{path}: not the key that this kiosk makes; move the file away, and pair every tablet anew"
            )
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(content)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, DER."""
        return self._certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as devices show it: `3F 2A …`."""
        return self._certificate.fingerprint(hashes.SHA256()).hex(" ").upper()

    def renew(
        self, context: ssl.SSLContext, name: str, addresses: Sequence[LanAddress], wall: datetime
    ) -> tuple[datetime, datetime]:
        """Gives the context a new key and certificate for name and addresses; returns from and until when it holds."""
        key = ec.generate_private_key(ec.SECP256R1())
        second = wall.replace(microsecond=0)  # a certificate knows no smaller part
        since, until = second - SERVER_BACKDATED, second + SERVER_LASTS
        names = [x509.DNSName(name), *(x509.IPAddress(address) for address in addresses)]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_key_identifier(self._key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _load(context, _to_pem(key), certificate.public_bytes(serialization.Encoding.PEM))
        log.info("the tablets' certificate: %s, %s; until %s", name, ", ".join(map(str, addresses)), until)
        return since, until


def _make_authority(kiosk: str) -> bytes:
    """Returns a new key and its certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Canteen kiosk: {kiosk}"[:64])])
    permitted = [x509.DNSName(LOCAL_DOMAIN), *(x509.IPAddress(net) for net in (*PRIVATE_NETWORKS, *LOOPBACK_NETWORKS))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AUTHORITY_FROM)
        .not_valid_after(AUTHORITY_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _to_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(context: ssl.SSLContext, key: bytes, certificate: bytes) -> None:
    """Loads both from a file that exists in memory only: Python's ssl reads nothing but files."""
    descriptor = os.memfd_create("tablets")
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
