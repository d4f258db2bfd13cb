"""The vectors are whole, each has an origin, and nothing but palm pictures lies outside the clone."""

import re

import pytest

from tests import outside, vectors

ORIGINS = re.findall(r"^\| `([^`]+)` \|", (vectors.FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)


def test_every_vector_has_an_origin_and_every_origin_a_vector() -> None:
    files = {path.relative_to(vectors.FOLDER).as_posix() for path in vectors.FOLDER.rglob("*") if path.is_file()}
    data = {name for name in files if not name.endswith((".py", ".pyc", "README.md"))}
    folders = tuple(name for name in ORIGINS if name.endswith("/"))
    assert {name for name in data if not name.startswith(folders)} == set(ORIGINS) - set(folders)
    assert [folder for folder in folders if not any(name.startswith(folder) for name in data)] == []


def test_a_missing_vector_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="git checkout"):
        vectors.load_reader("no_such_reader")


@pytest.mark.parametrize("name", [name for name in ORIGINS if name.startswith("readers/")])
def test_every_record_of_a_reader_names_its_source(name: str) -> None:
    records = [each for each in vectors.load_json(name).get("vectors", ()) if not each.get("source")]
    assert records == []


def test_cases_from_the_field_are_complete() -> None:
    cases = vectors.load_jsonl("field_readers.jsonl")
    assert [case for case in cases if not all(case.get(key) for key in ("id", "source", "input", "expected"))] == []
    assert len({case["id"] for case in cases}) == len(cases) > 0


def test_bytes_for_parsers_keep_their_line_ends() -> None:
    assert vectors.load_bytes("canteen/1_attlog.dat").count(b"\r\n") == 4
    assert vectors.load_bytes("canteen/oneroster12/bulk/users.csv").startswith(b"\xef\xbb\xbfsourcedId")


def test_the_last_line_of_a_run_tells_what_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = f"Skipped: {outside._reason('iitd')}"
    assert outside.count_skipped([reason, "Skipped: no pcscd", reason]) == 2
    monkeypatch.setattr(outside, "PALMS", vectors.FOLDER / "no such folder")
    assert re.match(r"palm pictures: absent at .*, 2 tests not run", outside.summarise(2))
    monkeypatch.setattr(outside, "PALMS", vectors.FOLDER)
    assert re.match(r"palm pictures: incomplete at .*, 1 tests not run", outside.summarise(1))
    assert re.match(r"palm pictures: present at .*, no test", outside.summarise(0))
