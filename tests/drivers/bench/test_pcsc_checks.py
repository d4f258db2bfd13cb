from pathlib import Path

import pytest

from drivers.bench.pcsc_checks import attached, problems

PLIST = "<dict>\n\t<key>ifdDriverOptions</key>\n\t<string>{}</string>\n</dict>"
ROOT = Path(__file__).parents[3]


def put(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A machine on which a PC/SC reader works, with its lamp."""
    shipped = ROOT / "config/modprobe.d/edge-agent.conf"
    put(tmp_path, "etc/modprobe.d/edge-agent.conf", shipped.read_text())
    put(tmp_path, "run/pcscd/pcscd.comm")
    put(tmp_path, "etc/polkit-1/rules.d/50.rules", 'action.id.indexOf("org.debian.pcsc-lite.access_") == 0')
    put(tmp_path, "etc/libccid_Info.plist", PLIST.format("0x0001"))
    return tmp_path


def test_nothing_is_wrong_on_a_sound_machine(sound: Path) -> None:
    assert problems(sound, lamp=True) == ()


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("etc/modprobe.d/edge-agent.conf", "/etc/modprobe.d"),
        ("run/pcscd/pcscd.comm", "pcscd.socket"),
        ("etc/polkit-1/rules.d/50.rules", "polkit"),
        ("etc/libccid_Info.plist", "ifdDriverOptions"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(sound: Path, gone: str, words: str) -> None:
    (sound / gone).unlink()
    [problem] = problems(sound, lamp=True)
    assert words in str(problem)


def test_the_kernels_own_driver_is_found(sound: Path) -> None:
    (sound / "sys/module/pn533_usb").mkdir(parents=True)
    [problem] = problems(sound)
    assert "rmmod pn533_usb" in str(problem)


def test_the_default_of_the_lamp_is_not_enough(sound: Path) -> None:
    put(sound, "etc/libccid_Info.plist", PLIST.format("0x0000"))
    assert problems(sound) == ()
    [problem] = problems(sound, lamp=True)
    assert "0x0001" in str(problem)


def test_polkit_is_not_asked_about_root(sound: Path) -> None:
    (sound / "etc/polkit-1/rules.d/50.rules").unlink()
    assert problems(sound, root_user=True) == ()


def test_readers_on_usb(tmp_path: Path) -> None:
    devices = "sys/bus/usb/devices"
    put(tmp_path, f"{devices}/1-1/idVendor", "072f\n")
    put(tmp_path, f"{devices}/1-1/idProduct", "2200\n")
    put(tmp_path, f"{devices}/1-1/product", "ACR122U PICC Interface\n")
    put(tmp_path, f"{devices}/1-2/idVendor", "076b\n")
    put(tmp_path, f"{devices}/1-2/idProduct", "5422\n")
    put(tmp_path, f"{devices}/1-2/1-2:1.0/bInterfaceClass", "0b\n")
    put(tmp_path, f"{devices}/1-3/idVendor", "0403\n")
    assert attached(tmp_path) == ("072f:2200 ACR122U PICC Interface", "076b:5422 smart card reader")
    assert attached(tmp_path / "nowhere") == ()
