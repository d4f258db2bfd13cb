import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sync.client.keys import DeviceKey
from sync.errors import KeyUnusable


def test_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    first = DeviceKey.load_or_make(path)
    assert DeviceKey.load_or_make(path).public_bytes == first.public_bytes
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["device.key"]
    Ed25519PublicKey.from_public_bytes(first.public_bytes).verify(first.private.sign(b"x"), b"x")


def test_it_does_not_show(tmp_path: Path) -> None:
    key = DeviceKey.load_or_make(tmp_path / "device.key")
    assert key.private.private_bytes_raw().hex() not in repr(key)
    assert "Ed25519" not in repr(key)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    first = DeviceKey.load_or_make(path)
    with pytest.raises(FileExistsError):
        DeviceKey.make().write(path)
    assert DeviceKey.load(path).public_bytes == first.public_bytes


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "device.key"
    DeviceKey.load_or_make(path)
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        DeviceKey.load_or_make(path)


@pytest.mark.parametrize("text", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_file_says_so(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "device.key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="register"):
        DeviceKey.load(path)


def test_another_kind_of_key(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    elliptic = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="Ed25519"):
        DeviceKey.load(path)


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable):
        DeviceKey.load(tmp_path / "no.key")
    with pytest.raises(KeyUnusable):
        DeviceKey.load_or_make(tmp_path / "no" / "device.key")
