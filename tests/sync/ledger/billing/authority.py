"""A test authority, made by openssl: it stands in for the national one."""

import subprocess
from pathlib import Path

_EXTENSIONS = """
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[person]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[crl]
default_ca = crl_ca
[crl_ca]
database = index.txt
crlnumber = crlnumber
serial = serial
default_md = sha256
default_crl_days = 30
crl_extensions = crl_extensions
[any]
commonName = supplied
organizationalUnitName = optional
[crl_extensions]
authorityKeyIdentifier = keyid
"""


class Authority:
    """A certificate authority in a folder. `certificate`: its own, PEM."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "ext").write_text(_EXTENSIONS, "utf-8")
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
        self._openssl(
            "req", "-new", "-x509", "-key", "ca.key", "-subj", f"/CN={name}", "-days", "3650", "-out", "ca.pem",
            "-extensions", "ca", "-config", self._request_config(),
        )  # fmt: skip
        self.certificate = (folder / "ca.pem").read_bytes()

    def issue(self, who: str, subject: str, *extra: str) -> None:
        """Gives a person a key and a certificate: files `WHO.key` and `WHO.pem`."""
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{who}.key")
        self._openssl(
            "req", "-new", "-key", f"{who}.key", "-subj", subject, "-out", f"{who}.csr",
            "-config", self._request_config(),
        )  # fmt: skip
        validity = extra or ("-days", "365")
        self._openssl(
            "x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", *validity,
            "-extfile", "ext", "-extensions", "person", "-out", f"{who}.pem",
        )  # fmt: skip

    def issue_expired(self, who: str, subject: str) -> None:
        """Gives a person a certificate that has expired."""
        self.issue(who, subject)
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1000\n", "ascii")
        shared = ("-config", "ext", "-name", "crl_ca", "-keyfile", "ca.key", "-cert", "ca.pem", "-batch", "-notext")
        self._openssl(
            "ca", *shared, "-in", f"{who}.csr", "-startdate", "200101000000Z", "-enddate", "210101000000Z",
            "-policy", "any", "-outdir", ".", "-extensions", "person", "-out", f"{who}.pem",
        )  # fmt: skip

    def issue_by(self, issuer: str, who: str, subject: str) -> None:
        """Gives a person a certificate that another person signed, who is no authority."""
        self.issue(who, subject)
        self._openssl(
            "x509", "-req", "-in", f"{who}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-days", "365",
            "-CAcreateserial", "-extfile", "ext", "-extensions", "person", "-out", f"{who}.pem",
        )  # fmt: skip

    def sign(self, who: str, content: bytes, *extra: str) -> bytes:
        """Returns a person's CMS signature over content, DER; detached unless `extra` says otherwise."""
        (self.folder / "content").write_bytes(content)
        self._openssl(
            "cms", "-sign", "-binary", "-in", "content", "-signer", f"{who}.pem", "-inkey", f"{who}.key",
            "-outform", "DER", "-out", "signature", *extra,
        )  # fmt: skip
        return (self.folder / "signature").read_bytes()

    def revoke(self, who: str) -> bytes:
        """Returns the authority's revocation list after it has revoked a person, PEM."""
        (self.folder / "index.txt").touch()
        (self.folder / "crlnumber").write_text("01\n", "ascii")
        shared = ("-config", "ext", "-name", "crl_ca", "-keyfile", "ca.key", "-cert", "ca.pem")
        self._openssl("ca", *shared, "-revoke", f"{who}.pem")
        self._openssl("ca", *shared, "-gencrl", "-out", "crl.pem")
        return (self.folder / "crl.pem").read_bytes()

    def _request_config(self) -> str:
        config = self.folder / "req"
        config.write_text(f"[req]\ndistinguished_name = name\nutf8 = yes\n[name]\n{_EXTENSIONS}", "utf-8")
        return "req"

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
