"""QR codes, bar codes and PINs from `codes.csv`, and files that nobody reads."""

import zipfile
from pathlib import Path

import pytest

from sync.contract.oneroster.build import ImportedRoster, import_roster
from sync.contract.oneroster.remembered import RememberedFiles
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import Credential, CredentialKind, Notation
from sync.contract.roster_diff import compare_rosters
from sync.ledger.registry.roster_files import read_export
from tests.vectors import find_vector

BULK = read_export(find_vector("canteen/oneroster12/bulk"))
HOLDERS = [line.split(b",")[0].decode().strip('"') for line in BULK["users.csv"].split(b"\r\n")[1:3]]


def build(codes: str, base: RememberedFiles | None = None, **more: bytes) -> ImportedRoster:
    files = {**BULK, "codes.csv": codes.encode(), **{name.replace("_csv", ".csv"): text for name, text in more.items()}}
    return import_roster(files, "sch-0151", base, date="2026-11-22")


def codes(built: ImportedRoster) -> list[Credential]:
    return [record for record in built.records if isinstance(record, Credential) and record.kind is CredentialKind.CODE]


def test_codes_become_credentials_named_after_their_holder() -> None:
    first, second = HOLDERS
    built = build(f'userSourcedId,code\n{first},QR-1\n{second},"a, b"\n{first},1042#7391\n')
    assert [(code.id, code.person, code.value, code.blocked) for code in codes(built)] == [
        (f"{first}.code1", first, "QR-1", ""),
        (f"{first}.code2", first, "1042#7391", ""),
        (f"{second}.code1", second, "a, b", ""),
    ]
    assert any("3 codes" in note for note in built.notes)
    assert "QR-1" not in repr(built.records)
    again = build(f"userSourcedId,code,status\n{first},1042#7391,lost\n{first},QR-2,\n", built.files)
    assert [(code.id, code.value, code.blocked) for code in codes(again)] == [
        (f"{first}.code2", "1042#7391", "lost"),
        (f"{first}.code3", "QR-2", ""),
    ], "a name is never used again for another code"
    without = import_roster(BULK, "sch-0151", again.files, date="2026-11-22")
    assert not compare_rosters(again.records, without.records).changes, "a file that is left out changes nothing"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("userSourcedId,code\n{0},QR-1\n{1},QR-1\n", "another person"),
        ("userSourcedId,code\n{0},QR-1\n{0},QR-1\n", "line 2 again"),
        ("userSourcedId,code\nnobody,QR-1\n", "an id from users.csv"),
        ("userSourcedId,code\n{0},\n", "line 2, column code"),
        ("userSourcedId,code\n{0}," + "x" * 513 + "\n", "line 2, column code"),
        ("userSourcedId,number\n{0},QR-1\n", "no such column"),
    ],
)
def test_a_fault_in_the_codes_is_named_and_tells_no_code(text: str, where: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        build(text.format(*HOLDERS))
    assert where in str(refused.value)
    assert "QR-1" not in str(refused.value)
    assert "xxxx" not in str(refused.value)


def test_a_file_that_nobody_reads_is_named(tmp_path: Path) -> None:
    built = build(f"userSourcedId,code\n{HOLDERS[0]},QR-1\n", code_csv=b"x", results_csv=b"x", zzz_csv=b"x")
    unread = [note for note in built.notes if "not read" in note]
    assert [note.partition(":")[0] for note in unread] == ["code.csv", "zzz.csv"]
    assert "did you mean codes.csv?" in unread[0]

    for name in ("users.csv", "Codes.xlsx", ".hidden", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert read_export(tmp_path) == {"users.csv": b"x", "codes.xlsx": b""}
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name in ("roster/users.csv", "roster/codes.txt", "__MACOSX/roster/._users.csv"):
            archive.writestr(name, b"x")
    assert read_export(tmp_path / "export.zip") == {"users.csv": b"x", "codes.txt": b""}


def test_a_number_of_32_bits_is_hex_in_the_roster() -> None:
    cards = f"userSourcedId,number,notation\n{HOLDERS[0]},12345678,w34\n"
    built = build("userSourcedId,code\n", cards_csv=cards.encode())
    [card] = [record for record in built.records if isinstance(record, Credential)]
    assert (card.notation, card.value) == (Notation.W34, "00BC614E")


@pytest.mark.parametrize(
    ("files", "why"),
    [(("cards.csv", "Cards.CSV"), "one file of each name"), (("users.csv", "more/codes.csv"), "in one folder")],
)
def test_no_file_of_an_export_is_passed_over(tmp_path: Path, files: tuple[str, ...], why: str) -> None:
    folder = tmp_path / "export"
    (folder / "more").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name in files:
            (folder / name).write_bytes(b"x")
            archive.writestr(name, b"x")
    for path in (folder, tmp_path / "export.zip"):
        with pytest.raises(ExportRefused, match=why):
            read_export(path)
