import base64
import csv
import stat
from pathlib import Path

import pytest

from edge_agent.cli.roster_codes import seal_codes
from edge_agent.domain.code_seal import open_secret
from edge_agent.errors import RequestRefused

SECRET = b"12345678901234567890"


def test_secrets_are_drawn_sealed_and_given_to_phones(tmp_path: Path) -> None:
    plain, sealed, key_file, phones = (tmp_path / name for name in ("people.csv", "dynamic_codes.csv", "key", "links"))
    plain.write_text(f"userSourcedId,surrogate,secret\nu-1,sur-1,{base64.b32encode(SECRET).decode()}\nu-2,,\n")
    seal_codes(plain, sealed, key_file, phones)
    key = bytes.fromhex(key_file.read_text().strip())
    first, second = csv.DictReader(sealed.read_text().splitlines())
    assert (first["userSourcedId"], first["surrogate"]) == ("u-1", "sur-1")
    assert open_secret(first["sealed"], key, "sur-1") == SECRET
    drawn = open_secret(second["sealed"], key, second["surrogate"])
    assert drawn is not None
    assert len(drawn) == 20
    links = [row["link"] for row in csv.DictReader(phones.read_text().splitlines())]
    assert links[0] == f"otpauth://totp/sur-1?secret={base64.b32encode(SECRET).decode()}&digits=8&period=30"
    assert base64.b32encode(drawn).decode() in links[1]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (sealed, key_file, phones))
    before = key_file.read_text()
    seal_codes(plain, sealed, key_file, phones)
    assert key_file.read_text() == before


@pytest.mark.parametrize("row", ["u-1,sur-1,AAAA", "u-1,sur-1,0189", ",sur-1,", "u-1,a b c d,"])
def test_a_row_that_is_no_secret_is_named_by_its_line(tmp_path: Path, row: str) -> None:
    plain = tmp_path / "people.csv"
    plain.write_text(f"userSourcedId,surrogate,secret\n{row}\n")
    with pytest.raises(RequestRefused, match="line 2") as refused:
        seal_codes(plain, tmp_path / "out", tmp_path / "key", tmp_path / "links")
    assert "AAAA" not in str(refused.value)
    assert not (tmp_path / "out").exists()
