"""Detached signatures over a sheet's bytes: Ed25519 by a registered key, CMS (ЭЦП) by a certificate, others by plug-in.

The ledger verifies and never signs: no private key of a side is ever here. A certificate's chain is verified by the
`openssl` program, since `cryptography` has no verification of CMS; only the authority that the city names is trusted,
never the machine's own list. National algorithms need the national library: a package brings a verifier for them under
the entry-point group `canteen_edge_agent.signature_schemes`.
"""

import base64
import binascii
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.errors import Wording
from sync.ledger.errors import LedgerError
from sync.money.detached import decode_ed25519

ENTRY_POINTS = "canteen_edge_agent.signature_schemes"
SIGNATURE_BYTES_MAX = 256 * 1024
OPENSSL_TIMEOUT_S = 30


class SignatureRefused(LedgerError):
    """A signature that does not hold, or is of nobody who may sign for the side."""


@dataclass(frozen=True, slots=True)
class RegisteredSigner:
    """A person or office that may sign for a side. `material` is what the scheme knows it by."""

    scheme: str
    material: str
    name: str


class SignatureScheme(Protocol):
    """A way of signing. A plug-in is a class without arguments that has this method."""

    def find_signer(
        self, content: bytes, signature: bytes, signers: Sequence[RegisteredSigner], authority: bytes
    ) -> RegisteredSigner:
        """Returns the one of these signers who made the detached signature over `content`.

        `authority`: certificates (and revocation lists) of the trusted authority, PEM; empty where none is set up.
        Raises SignatureRefused.
        """
        ...


class Ed25519Scheme:
    """Signatures of a registered 32-byte key: raw, hex or base64, as `openssl pkeyutl -sign -rawin` makes them."""

    def find_signer(
        self, content: bytes, signature: bytes, signers: Sequence[RegisteredSigner], authority: bytes
    ) -> RegisteredSigner:
        """Returns the signer whose key made the signature. Raises SignatureRefused."""
        try:
            raw = decode_ed25519(signature)
        except ValueError as error:
            raise SignatureRefused(
                str(error), "hand in 64 bytes, raw, hex or base64", Wording("refusal.signature_unread")
            ) from error
        for signer in signers:
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer.material)).verify(raw, content)
            except InvalidSignature:
                continue
            return signer
        raise SignatureRefused(
            "no registered key of this side made this signature over these bytes",
            "sign the file that `edge-agent ledger sheet sign-request` wrote, unchanged, or register the key with"
            " `edge-agent ledger sheet signer`",
            Wording("refusal.signature_strange"),
        )


class CmsScheme:
    """CMS (PKCS#7) by a certificate of the authority; a signer is an attribute of the certificate's subject.

    `at`: the time at which certificates must be valid; None: now. Revocation lists must be of that time, too.
    """

    def __init__(self, at: datetime | None = None) -> None:
        self._at = at

    def find_signer(
        self, content: bytes, signature: bytes, signers: Sequence[RegisteredSigner], authority: bytes
    ) -> RegisteredSigner:
        """Returns the signer to whom the verified certificate belongs. Raises SignatureRefused."""
        if not authority:
            raise SignatureRefused(
                "no authority is set up, so no certificate can be trusted",
                "give its certificates with --authority FILE.pem",
                Wording("refusal.no_authority"),
            )
        certificate = _verify_cms(content, _to_der(signature), authority, self._at)
        parts = ((part.rfc4514_attribute_name, part.value) for part in certificate.subject)
        present = {f"{name}={value}" for name, value in parts if isinstance(value, str)}
        for signer in signers:
            if signer.material in present:
                return signer
        raise SignatureRefused(
            f"the certificate of {certificate.subject.rfc4514_string()} is valid, and nobody of this side has it",
            "register the signer with `edge-agent ledger sheet signer`",
            Wording("refusal.signer_unknown", subject=certificate.subject.rfc4514_string()),
        )


class AuthorityCheck:
    """Checks CMS signatures against an authority's certificates (PEM), for an auditor (`sync.audit.signatures`)."""

    def __init__(self, authority: bytes) -> None:
        self._authority = authority

    def find_fault(self, content: bytes, signature: bytes, materials: Sequence[str], at: datetime) -> str:
        """Returns why no signer of these materials made the signature, as of `at`; empty: one of them did."""
        signers = [RegisteredSigner("cms", material, "") for material in materials]
        try:
            CmsScheme(at).find_signer(content, signature, signers, self._authority)
        except SignatureRefused as refusal:
            return refusal.reason
        return ""


_SCHEMES: Mapping[str, type[SignatureScheme]] = {"ed25519": Ed25519Scheme, "cms": CmsScheme}


def load_scheme(name: str) -> SignatureScheme:
    """Returns the scheme of this name, ours or an installed one. Raises SignatureRefused that names those there are."""
    if name in _SCHEMES:
        return _SCHEMES[name]()
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in installed:
        scheme: SignatureScheme = installed[name].load()()
        return scheme
    names = ", ".join([*_SCHEMES, *sorted(installed)])
    raise SignatureRefused(
        f"no signature scheme {name!r}", f"take one of {names}, or install the package that has it",
        Wording("refusal.no_scheme", scheme=name[:40], schemes=names),
    )  # fmt: skip


def _to_der(signature: bytes) -> bytes:
    """Returns a CMS signature as DER, whichever of DER, PEM and base64 it came as. Raises SignatureRefused."""
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise SignatureRefused(
            f"a signature of {len(signature)} bytes", f"at most {SIGNATURE_BYTES_MAX} are read",
            Wording("refusal.signature_large", size=len(signature), most=SIGNATURE_BYTES_MAX),
        )  # fmt: skip
    if signature[:1] == b"\x30":
        return signature
    body = b"".join(line.strip() for line in signature.splitlines() if not line.startswith(b"-----"))
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise SignatureRefused(
            "this file holds no CMS signature", "hand it in as DER, PEM or base64", Wording("refusal.no_cms")
        ) from error


def _verify_cms(content: bytes, der: bytes, authority: bytes, at: datetime | None) -> x509.Certificate:
    """Returns the certificate of the one signer, after openssl has verified signature and chain."""
    with tempfile.TemporaryDirectory(prefix="sheet-signature-") as name:
        folder = Path(name)
        for file, text in (("content", content), ("signature.der", der), ("authority.pem", authority)):
            (folder / file).write_bytes(text)
        revocation = ["-crl_check"] if b"BEGIN X509 CRL" in authority else []
        moment = ["-attime", str(int(at.timestamp()))] if at else []
        command = [
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature.der", "-content", "content",
            "-CAfile", "authority.pem", "-no-CApath", "-no-CAstore", "-x509_strict", "-purpose", "any", *revocation,
            *moment, "-signer", "signer.pem", "-out", "verified",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=OPENSSL_TIMEOUT_S)
        except FileNotFoundError as error:
            raise SignatureRefused(
                "the program openssl is not here", "install it: apt install openssl", Wording("refusal.no_openssl")
            ) from error
        except subprocess.TimeoutExpired as error:
            raise SignatureRefused(
                f"openssl took more than {OPENSSL_TIMEOUT_S} s", "hand it in again", Wording("refusal.openssl_slow")
            ) from error
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise SignatureRefused(
                f"openssl does not verify this signature: {_reason(lines)}",
                "sign the file that `edge-agent ledger sheet sign-request` wrote, unchanged, with a valid certificate",
                _word(lines),
            )
        # With content inside it, the signature could be over something else.
        if (folder / "verified").read_bytes() != content:
            raise SignatureRefused(
                "the signature has a content of its own", "hand in a detached signature",
                Wording("refusal.cms_attached"),
            )  # fmt: skip
        certificates = x509.load_pem_x509_certificates((folder / "signer.pem").read_bytes())
    if len(certificates) != 1:
        raise SignatureRefused(
            f"{len(certificates)} people signed at once", "hand in one signature a file",
            Wording("refusal.many_signers", count=len(certificates)),
        )  # fmt: skip
    return certificates[0]


def _reason(lines: Sequence[str]) -> str:
    """Returns the last part of openssl's own account, without its codes."""
    return lines[-1].rsplit(":", 1)[-1].strip() or lines[-1] if lines else "no reason given"


def _word(lines: Sequence[str]) -> Wording:
    """Returns what openssl's account means to the person who has signed."""
    account = " ".join(lines).casefold()
    if "has expired" in account or "not yet valid" in account:
        return Wording("refusal.cms_expired")
    if "revoked" in account:
        return Wording("refusal.cms_revoked")
    if "issuer certificate" in account or "self-signed" in account or "self signed" in account:
        return Wording("refusal.cms_stranger")
    if "verification failure" in account or "digest failure" in account or "bad signature" in account:
        return Wording("refusal.cms_other_file")
    return Wording("refusal.cms_invalid")
