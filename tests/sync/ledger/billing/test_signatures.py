"""Detached signatures: what holds, and everything that does not."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.billing.signatures import (
    ENTRY_POINTS,
    CmsScheme,
    Ed25519Scheme,
    RegisteredSigner,
    SignatureRefused,
    load_scheme,
)
from tests.sync.ledger.billing.authority import Authority

CONTENT = b'{"format":"canteen-sheet/1"}\nline\r\n'
CATERER = RegisteredSigner("cms", "OU=BIN123456789012", "Caterer")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority") / "ca")
    made.issue("caterer", "/CN=Асхана/serialNumber=IIN900101300123/OU=BIN123456789012")
    made.issue("stranger", "/CN=Stranger/OU=BIN999999999999")
    return made


def find(signature: bytes, authority: bytes, content: bytes = CONTENT) -> RegisteredSigner:
    return CmsScheme().find_signer(content, signature, [CATERER], authority)


def test_a_certificate_of_the_authority_signs_for_the_side_it_is_registered_for(authority: Authority) -> None:
    der = authority.sign("caterer", CONTENT)
    assert find(der, authority.certificate) == CATERER
    assert find(base64.encodebytes(der), authority.certificate) == CATERER
    pem = b"-----BEGIN CMS-----\n" + base64.encodebytes(der) + b"-----END CMS-----\n"
    assert find(pem, authority.certificate) == CATERER
    assert find(authority.sign("caterer", CONTENT, "-nosmimecap"), authority.certificate) == CATERER


def test_other_bytes_another_certificate_another_authority_and_none_are_refused(
    authority: Authority, tmp_path: Path
) -> None:
    der = authority.sign("caterer", CONTENT)
    with pytest.raises(SignatureRefused, match="openssl does not verify"):
        find(der, authority.certificate, CONTENT + b" ")
    with pytest.raises(SignatureRefused, match="is valid, and nobody of this side has it; register"):
        find(authority.sign("stranger", CONTENT), authority.certificate)
    false = Authority(tmp_path / "false", "Test authority")  # the same name, another key
    false.issue("caterer", "/CN=Асхана/OU=BIN123456789012")
    with pytest.raises(SignatureRefused, match="openssl does not verify"):
        find(false.sign("caterer", CONTENT), authority.certificate)
    with pytest.raises(SignatureRefused, match="no authority is set up"):
        find(der, b"")
    with pytest.raises(SignatureRefused, match="no CMS signature"):
        find(b"not base64!", authority.certificate)


def test_a_signature_with_its_own_content_is_not_detached(authority: Authority) -> None:
    """It verifies over what it carries; here it would stand beside other bytes."""
    attached = authority.sign("caterer", b"another sheet", "-nodetach")
    with pytest.raises(SignatureRefused):
        find(attached, authority.certificate)


def test_a_revoked_certificate_is_refused_where_a_list_says_so(authority: Authority) -> None:
    authority.issue("revoked", "/CN=Revoked/OU=BIN123456789012")
    der = authority.sign("revoked", CONTENT)
    assert find(der, authority.certificate) == CATERER
    revoked = authority.revoke("revoked")
    with pytest.raises(SignatureRefused, match="openssl does not verify"):
        find(der, authority.certificate + revoked)
    assert find(authority.sign("caterer", CONTENT), authority.certificate + revoked) == CATERER


def test_an_expired_certificate_and_one_of_a_person_who_is_no_authority_are_refused(authority: Authority) -> None:
    authority.issue_expired("late", "/CN=Late/OU=BIN123456789012")
    with pytest.raises(SignatureRefused, match="openssl does not verify"):
        find(authority.sign("late", CONTENT), authority.certificate)
    authority.issue_by("stranger", "mallory", "/CN=Mallory/OU=BIN123456789012")
    chained = authority.sign("mallory", CONTENT, "-certfile", "stranger.pem")
    with pytest.raises(SignatureRefused, match="openssl does not verify"):
        find(chained, authority.certificate)


def test_without_openssl_the_error_names_the_package(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    der = authority.sign("caterer", CONTENT)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SignatureRefused, match="apt install openssl"):
        find(der, authority.certificate)


@pytest.mark.parametrize("wrap", [bytes, lambda raw: raw.hex().encode() + b"\n", base64.encodebytes])
def test_an_ed25519_key_signs_raw_hex_or_base64(wrap) -> None:  # type: ignore[no-untyped-def]
    key, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signers = [
        RegisteredSigner("ed25519", owner.public_key().public_bytes_raw().hex(), name)
        for owner, name in ((stranger, "Stranger"), (key, "School"))
    ]
    scheme = Ed25519Scheme()
    assert scheme.find_signer(CONTENT, wrap(key.sign(CONTENT)), signers, b"").name == "School"
    with pytest.raises(SignatureRefused, match="no registered key of this side"):
        scheme.find_signer(CONTENT, wrap(key.sign(CONTENT)), signers[:1], b"")
    with pytest.raises(SignatureRefused, match="no registered key of this side"):
        scheme.find_signer(CONTENT + b" ", wrap(key.sign(CONTENT)), signers, b"")


def test_openssl_signs_with_ed25519_as_the_page_says(tmp_path: Path) -> None:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "sheet").write_bytes(CONTENT)
    openssl("genpkey", "-algorithm", "ed25519", "-out", "own.key")
    openssl("pkey", "-in", "own.key", "-pubout", "-outform", "DER", "-out", "own.pub")
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", "own.key", "-in", "sheet", "-out", "sheet.sig")
    signer = RegisteredSigner("ed25519", (tmp_path / "own.pub").read_bytes()[-32:].hex(), "School")
    assert Ed25519Scheme().find_signer(CONTENT, (tmp_path / "sheet.sig").read_bytes(), [signer], b"") == signer


@pytest.mark.parametrize("signature", [b"", b"x", b"0" * 128 + b"zz", base64.b64encode(b"short")])
def test_what_is_no_ed25519_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureRefused, match="hand in 64 bytes"):
        Ed25519Scheme().find_signer(CONTENT, signature, [], b"")


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(SignatureRefused, match="take one of ed25519, cms"):
        load_scheme("kalkan")


def test_an_installed_package_brings_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a package with the national library would: the ledger's code knows nothing of it."""
    (tmp_path / "national_scheme.py").write_text(
        "class National:\n"
        "    def find_signer(self, content, signature, signers, authority):\n"
        "        return next(signer for signer in signers if signature == content[::-1])\n",
        "utf-8",
    )
    about = tmp_path / "national_scheme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: national-scheme\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nnational = national_scheme:National\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    signer = RegisteredSigner("national", "OU=BIN1", "Caterer")
    assert load_scheme("national").find_signer(CONTENT, CONTENT[::-1], [signer], b"") == signer
    with pytest.raises(SignatureRefused, match="take one of ed25519, cms, national"):
        load_scheme("other")
