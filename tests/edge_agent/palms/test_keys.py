"""The school's key: made once, handed on only after two screens were compared, back from paper, shown to nobody."""

import stat
from pathlib import Path

import pytest

from edge_agent.errors import RequestRefused
from edge_agent.palm.protection.school_key import SchoolKey, to_paper
from edge_agent.palms import keys as palm_keys
from edge_agent.palms.keys import (
    KeyExists,
    NoSchoolKey,
    code_shown,
    export_step,
    import_step,
    load,
    make,
    restore,
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """First kiosk, new kiosk, stick."""
    made = tuple(tmp_path / name for name in ("first", "new", "stick"))
    for folder in made:
        folder.mkdir()
    return made[0], made[1], made[2]


def never(code: str) -> str:
    raise AssertionError(f"nothing is to be compared yet: {code}")


def test_a_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    with pytest.raises(NoSchoolKey, match="palm key make"):
        load(tmp_path, {})
    key = make(tmp_path)
    assert load(tmp_path, {}) == key
    assert stat.S_IMODE((tmp_path / palm_keys.PALM_KEY_NAME).stat().st_mode) == 0o600
    with pytest.raises(KeyExists, match="move it away"):
        make(tmp_path)
    assert load(tmp_path, {}) == key
    assert key.secret.hex() not in repr(key)
    assert str(list(key.secret)) not in repr(key)


def test_a_key_that_others_may_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / palm_keys.PALM_KEY_NAME
    path.chmod(0o640)
    with pytest.raises(RequestRefused, match="chmod 600"):
        load(tmp_path, {})
    path.chmod(0o600)
    path.write_text(path.read_text().replace("A", "B", 1).replace("C", "D", 1))
    with pytest.raises(RequestRefused, match="restore it from the printout"):
        load(tmp_path, {})


def test_a_credential_of_the_service_comes_first(tmp_path: Path) -> None:
    make(tmp_path)
    given = SchoolKey(bytes(32))
    (tmp_path / palm_keys.CREDENTIAL_NAME).write_text("-".join(to_paper(given)) + "\n")
    assert load(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == given


def test_paper_brings_it_back_and_a_slip_is_seen(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    key = make(tmp_path / "old")
    groups = list(to_paper(key))
    with pytest.raises(RequestRefused, match="type it again"):
        restore(tmp_path / "new", " ".join([groups[1], groups[0], *groups[2:]]))
    with pytest.raises(NoSchoolKey):
        load(tmp_path / "new", {})
    assert restore(tmp_path / "new", "  ".join(groups).lower()) == key
    assert load(tmp_path / "new", {}) == key


def test_five_steps_bring_the_key_to_a_further_kiosk(folders: tuple[Path, Path, Path]) -> None:
    first, new, stick = folders
    key = make(first)
    import_step(new, stick)
    export_step(first, stick, never)
    shown = import_step(new, stick).code
    assert code_shown(new) == shown
    codes: list[str] = []

    def compare(code: str) -> str:
        codes.append(code)
        return shown

    export_step(first, stick, compare)
    assert codes == [shown]
    for file in stick.iterdir():
        assert key.secret not in file.read_bytes()
        assert "-".join(to_paper(key)).encode() not in file.read_bytes()
    assert import_step(new, stick).done
    assert load(new, {}) == key
    assert list(stick.iterdir()) == []
    assert not (new / palm_keys.RECEIVING_NAME).exists()
    assert not (first / palm_keys.SENDING_NAME).exists()
    with pytest.raises(KeyExists):
        import_step(new, stick)


def test_codes_that_differ_send_nothing_and_end_the_attempt(folders: tuple[Path, Path, Path]) -> None:
    first, new, stick = folders
    make(first)
    import_step(new, stick)
    export_step(first, stick, never)
    import_step(new, stick)
    with pytest.raises(RequestRefused, match="different codes"):
        export_step(first, stick, lambda _: "000 000")
    assert not (stick / palm_keys.PARCEL).exists()
    assert not (first / palm_keys.SENDING_NAME).exists()


def test_somebody_in_between_is_seen(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Mallory swaps the new kiosk's messages for his own: either the promise does not hold, or the codes differ."""
    first, new, stick = folders
    mallory, his_stick = tmp_path / "mallory", tmp_path / "his"
    mallory.mkdir()
    his_stick.mkdir()
    make(first)
    import_step(new, stick)
    import_step(mallory, his_stick)
    export_step(first, stick, never)  # answers the new kiosk's promise
    (his_stick / palm_keys.OFFER).write_bytes((stick / palm_keys.OFFER).read_bytes())
    import_step(mallory, his_stick)
    (stick / palm_keys.HELLO).write_bytes((his_stick / palm_keys.HELLO).read_bytes())
    with pytest.raises(RequestRefused, match="promised"):
        export_step(first, stick, never)


def test_a_parcel_for_another_kiosk_does_not_open(folders: tuple[Path, Path, Path]) -> None:
    first, new, stick = folders
    make(first)
    import_step(new, stick)
    export_step(first, stick, never)
    shown = import_step(new, stick).code
    export_step(first, stick, lambda _: shown)
    parcel = bytearray((stick / palm_keys.PARCEL).read_bytes())
    parcel[-1] ^= 1
    (stick / palm_keys.PARCEL).write_bytes(parcel)
    with pytest.raises(RequestRefused, match="changed on the way"):
        import_step(new, stick)
    with pytest.raises(NoSchoolKey):
        load(new, {})


def test_a_stick_without_the_other_kiosks_answer_says_what_to_do(folders: tuple[Path, Path, Path]) -> None:
    first, new, stick = folders
    make(first)
    with pytest.raises(RequestRefused, match="import STICK"):
        export_step(first, stick, never)
    import_step(new, stick)
    with pytest.raises(RequestRefused, match="export STICK"):
        import_step(new, stick)
    (stick / palm_keys.PROMISE).write_bytes(b"rubbish")
    with pytest.raises(RequestRefused, match="begin again"):
        export_step(first, stick, never)
