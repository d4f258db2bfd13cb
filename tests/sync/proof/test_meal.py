"""The proof of a meal, made here and checked by the stand-alone file, whole and in every damaged form."""

import random
import subprocess
import sys
from base64 import b32encode
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.proof import verify_meal
from sync.proof.base45 import encode_base45
from sync.proof.checkpoints import LogCheckpoint, cosign, read_cosignature, sign_checkpoint
from sync.proof.leaves import LogName, origin, sheet_leaf
from sync.proof.meal_proofs import PROOF_BYTES_MAX, ProofTooLarge, encode_proof, to_qr_text
from sync.proof.notes import NoteKey, NoteKeyKind, SignedNote
from sync.proof.statements import hash_row, make_row
from sync.proof.tree import hash_leaf
from sync.proof.verify_meal import ProofRefused, SlipKey, decode_base45
from tests.sync.proof.meal_log import LEDGER, SEED, WITNESS, WITNESS_KEY, ClaimsLog, log_key, visit


def slip(school: str = "sch-1") -> tuple[SlipKey, SlipKey]:
    return SlipKey(str(log_key(school)), 1), SlipKey(str(WITNESS_KEY), 4)


SLIP = slip()


@pytest.fixture(scope="module")
def log() -> ClaimsLog:
    return ClaimsLog("sch-1", days=21, rows=37)


def test_every_row_of_a_log_is_proved(log: ClaimsLog) -> None:
    for day in range(21):
        for row in range(0, 37, 5):
            stated = verify_meal.verify_meal(log.prove(day, row), *slip())
            assert stated["person"] == f"child-{row}"
            assert stated["day"] == log.days[day][0].day
            assert (stated["school"], stated["number"]) == ("sch-1", "1")
            assert stated["seen_by_witness"] == "2026-11-18T11:06:40Z"


@pytest.mark.parametrize(("days", "rows"), [(1, 1), (1, 2), (2, 1), (5, 3)])
def test_small_logs_are_proved(days: int, rows: int) -> None:
    log = ClaimsLog("sch-1", days, rows)
    for day in range(days):
        for row in range(rows):
            assert verify_meal.verify_meal(log.prove(day, row), *slip())["person"] == f"child-{row}"


def test_the_largest_school_s_proof_fits_a_qr_code(log: ClaimsLog) -> None:
    stated, statement = log.stated(3, 3)
    logged = log.logged(3)
    eight_thousand_rows, half_a_million_leaves = [bytes(32)] * 13, [bytes(32)] * 19
    large = encode_proof(
        replace(stated, path=eight_thousand_rows), statement, replace(logged, path=half_a_million_leaves), log.key,
        WITNESS_KEY,
    )  # fmt: skip
    assert len(large) <= PROOF_BYTES_MAX
    with pytest.raises(ProofTooLarge):
        encode_proof(replace(stated, path=[bytes(32)] * 20), statement, replace(logged, path=[bytes(32)] * 20),
                     log.key, WITNESS_KEY)  # fmt: skip


def refused(proof: bytes, keys: tuple[SlipKey, SlipKey] = SLIP) -> bool:
    try:
        verify_meal.verify_meal(proof, *keys)
    except ProofRefused:
        return True
    return False


def mutate(proof: bytes, others: list[bytes], source: random.Random) -> bytes:
    """Returns the proof with a change of a kind that the source draws."""
    place = source.randrange(len(proof))
    match source.randrange(8):
        case 0:
            return proof[:place] + bytes([proof[place] ^ 1 << source.randrange(8)]) + proof[place + 1 :]
        case 1:
            return proof[:place] + source.randbytes(1) + proof[place + 1 :]
        case 2:
            return proof[:place]
        case 3:
            return proof + source.randbytes(source.randrange(1, 40))
        case 4:
            return proof[:place] + source.randbytes(source.randrange(1, 5)) + proof[place:]
        case 5:
            return proof[:place] + proof[place + source.randrange(1, 40) :]
        case 6:  # two stretches of 32 bytes change places, as hashes do
            first, second = sorted(source.sample(range(len(proof) - 32), 2))
            swapped = bytearray(proof)
            swapped[first : first + 32], swapped[second : second + 32] = (
                proof[second : second + 32], proof[first : first + 32],
            )  # fmt: skip
            return bytes(swapped)
        case _:  # the beginning of one proof, the end of another
            other = source.choice(others)
            return proof[:place] + other[place:]


def check_mutations(log: ClaimsLog, count: int, seed: int) -> None:
    source = random.Random(seed)
    proofs = [log.prove(source.randrange(21), source.randrange(37)) for _ in range(40)]
    originals, tried = set(proofs), 0
    while tried < count:
        changed = mutate(source.choice(proofs), proofs, source)
        if changed in originals:
            continue
        tried += 1
        assert refused(changed), f"seed {seed}: {changed.hex()}"


def test_20_000_mutated_proofs_are_refused(log: ClaimsLog) -> None:
    check_mutations(log, 20_000, SEED)


@pytest.mark.soak
def test_1_000_000_mutated_proofs_are_refused(log: ClaimsLog) -> None:
    for part in range(50):
        check_mutations(log, 20_000, SEED + 1 + part)


def test_every_byte_of_a_proof_counts(log: ClaimsLog) -> None:
    proof = log.prove(7, 11)
    for place in range(len(proof)):
        assert refused(proof[:place] + bytes([proof[place] ^ 1 << place % 8]) + proof[place + 1 :]), place


def semantic_changes(log: ClaimsLog) -> Iterator[tuple[str, bytes]]:
    """Yields proofs that say something else, each well formed, the signatures those of an honest log."""
    stated, statement = log.stated(7, 11)
    logged, key, fields = log.logged(7), log.key, astuple(make_row(visit(11, statement.day)))

    def encode(**changed: object) -> bytes:
        parts = {"stated": stated, "statement": statement, "logged": logged} | changed
        return encode_proof(parts["stated"], parts["statement"], parts["logged"], key, WITNESS_KEY)  # type: ignore[arg-type]

    def rewritten(place: int, text: str) -> bytes:
        row = type(make_row(visit(11, statement.day)))(*(*fields[:place], text, *fields[place + 1 :]))
        return encode(stated=replace(stated, row=row.encode()))

    yield "other child", rewritten(0, "child-12")
    yield "other session", rewritten(1, "dinner")
    yield "other method", rewritten(2, "palm")
    yield "other kiosk", rewritten(3, "sch-1-7766554433221100")
    yield "other time", rewritten(6, "2026-11-20T04:30:00.000Z")
    yield "other claim", rewritten(10, "none")
    yield "moved boundary between fields", encode(stated=replace(stated, row=shift_boundary(stated.row)))
    for first in range(len(fields)):
        for second in range(first):
            if fields[first] != fields[second]:
                swapped = list(fields)
                swapped[first], swapped[second] = swapped[second], swapped[first]
                row = type(make_row(visit(11, statement.day)))(*swapped)
                yield f"fields {second} and {first} swapped", encode(stated=replace(stated, row=row.encode()))
    yield "other salt", encode(stated=replace(stated, salt=bytes(16)))
    yield "other day", encode(statement=replace(statement, day="2026-11-09"))
    yield "other number", encode(statement=replace(statement, number=2))
    yield "number 0", encode(statement=replace(statement, number=0))
    yield "other time of stating", encode(statement=replace(statement, stated_at="2026-11-29T00:00:00.000Z"))
    yield "more rows", encode(statement=replace(statement, rows=38))
    yield "another day's statement", encode(statement=log.days[8][0])
    yield "another day's place", encode(logged=log.logged(8))
    yield "another row's place", encode(stated=replace(log.stated(7, 12)[0], row=stated.row, salt=stated.salt))
    yield "larger log", encode(logged=replace(logged, size=22))
    yield "empty cosignature", encode(logged=replace(logged, cosignature=replace(logged.cosignature, signature=b"")))
    yield (
        "zero cosignature",
        encode(logged=replace(logged, cosignature=replace(logged.cosignature, signature=bytes(64)))),
    )
    yield (
        "the log's signature for the witness's",
        encode(logged=replace(logged, cosignature=replace(logged.cosignature, signature=logged.signature))),
    )
    yield (
        "signatures swapped",
        encode(
            logged=replace(
                logged,
                signature=logged.cosignature.signature,
                cosignature=replace(logged.cosignature, signature=logged.signature),
            )
        ),
    )
    yield (
        "later cosignature",
        encode(logged=replace(logged, cosignature=replace(logged.cosignature, seconds=logged.cosignature.seconds + 1))),
    )
    for name, part in (("log", logged.signature), ("witness", logged.cosignature.signature)):
        order = 2**252 + 27742317777372353535851937790883648493
        scalar = int.from_bytes(part[32:], "little") + order
        malleable = part[:32] + scalar.to_bytes(32, "little")
        if name == "log":
            yield "the same signature in another form", encode(logged=replace(logged, signature=malleable))
        else:
            other = replace(logged.cosignature, signature=malleable)
            yield "the same cosignature in another form", encode(logged=replace(logged, cosignature=other))
    proof = encode()
    yield "stripped cosignature", proof[:-72]
    yield "trailing byte", proof + b"\0"
    yield "trailing newline", proof + b"\n"
    yield "the proof twice", proof + proof
    yield "newer kind", b"CMP\x02" + proof[4:]


def shift_boundary(row: bytes) -> bytes:
    """The same letters, the first field one longer and the second one shorter."""
    first = int.from_bytes(row[:2], "big")
    second = int.from_bytes(row[2 + first : 4 + first], "big")
    letters = row[2 : 2 + first] + row[4 + first : 4 + first + second]
    return (
        (first + 1).to_bytes(2, "big") + letters[: first + 1] + (second - 1).to_bytes(2, "big")
        + letters[first + 1 :] + row[4 + first + second :]
    )  # fmt: skip


def test_proofs_that_say_something_else_are_refused(log: ClaimsLog) -> None:
    accepted = [name for name, changed in semantic_changes(log) if not refused(changed)]
    assert accepted == []


def test_a_proof_of_another_school_or_witness_is_refused(log: ClaimsLog) -> None:
    proof = log.prove(7, 11)
    assert refused(proof, slip("sch-2"))
    assert refused(ClaimsLog("sch-2", 21, 37).prove(7, 11))
    graft = proof[:4] + log_key("sch-2").key_id + proof[8:]
    assert refused(graft, slip("sch-2"))
    stranger = NoteKey("other.example", WITNESS_KEY.public_key, NoteKeyKind.COSIGNATURE)
    with pytest.raises(ProofRefused):
        verify_meal.verify_meal(proof, slip()[0], SlipKey(str(stranger), 4))


def test_a_log_of_events_proves_no_meal(log: ClaimsLog) -> None:
    events = NoteKey(origin("canteen.example", "sch-1", LogName.EVENTS), LEDGER.public_key().public_bytes_raw())
    signed = sign_checkpoint(LogCheckpoint(events.name, log.tree.size, log.tree.root()), LEDGER)
    cosigned = SignedNote(signed.text, (cosign(signed.text, "witness.example", WITNESS, 9),))
    logged = replace(
        log.logged(7), signature=signed.find_signature(events), cosignature=read_cosignature(cosigned, WITNESS_KEY)
    )
    proof = encode_proof(*log.stated(7, 11), logged, events, WITNESS_KEY)
    with pytest.raises(ProofRefused, match="claims"):
        verify_meal.verify_meal(proof, SlipKey(str(events), 1), slip()[1])


def test_a_closed_sheet_is_no_statement(log: ClaimsLog) -> None:
    leaves = [sheet_leaf("2026-11", "state", 1, bytes(32)), *(statement.leaf() for statement, _ in log.days)]
    assert len({hash_leaf(leaf) for leaf in leaves}) == len(leaves)
    assert not leaves[0].startswith(b"canteen statement")


@given(st.binary(max_size=200))
def test_base45_comes_back_and_has_one_form(body: bytes) -> None:
    assert decode_base45(encode_base45(body)) == body


@given(st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:ab\n", max_size=40))
def test_a_text_is_refused_or_is_the_one_form_of_its_bytes(text: str) -> None:
    try:
        body = decode_base45(text)
    except ProofRefused:
        return
    assert encode_base45(body) == text


def test_base45_is_that_of_its_rfc() -> None:
    # RFC 9285, 4.3 and 4.4.
    assert encode_base45(b"AB") == "BB8"
    assert encode_base45(b"Hello!!") == "%69 VD92EX0"
    assert encode_base45(b"base-45") == "UJCLQE7W581"
    assert decode_base45("QED8WEX0") == b"ietf!"
    for wrong in ("GGW", ":::", "::", "A", "bb8"):
        with pytest.raises(ProofRefused):
            decode_base45(wrong)


@pytest.fixture
def alone(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the stand-alone file where nothing of ours can be imported: only `cryptography` and what it needs."""
    import cryptography

    packages = Path(cryptography.__file__).parents[1]
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name in ("cryptography", "cffi", "_cffi_backend*", "pycparser"):
        for found in packages.glob(name):
            (shelf / found.name).symlink_to(found)
    script = tmp_path / "verify-meal"
    script.write_bytes(Path(verify_meal.__file__).read_bytes())

    def run(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        code = (
            "import sys, runpy; sys.path = [path for path in sys.path if 'site-packages' not in path]; "
            f"sys.path.append({str(shelf)!r}); sys.argv = {[str(script), *arguments]!r}; "
            f"runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", code], input=text, capture_output=True, text=True, timeout=60,
            cwd=tmp_path, check=False,
        )  # fmt: skip

    return run


def test_the_stand_alone_file_is_short_and_needs_nothing_of_ours(
    log: ClaimsLog, alone: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    source = Path(verify_meal.__file__).read_text(encoding="utf-8")
    assert source.count("\n") <= 250
    assert "import sync" not in source
    assert "from sync" not in source
    keys = ("--ledger", str(log.key), "--witness", str(WITNESS_KEY))
    text = to_qr_text(log.prove(7, 11))
    holds = alone(*keys, "--child", "child-11", "--day", "2026-11-08", "--", text)
    assert holds.returncode == 0, holds.stdout + holds.stderr
    assert "child-11" in holds.stdout
    assert "statement 1 of 2026-11-08, stated 2026-11-30T00:00:00.000Z" in holds.stdout
    assert "now" not in holds.stdout
    assert "current" not in holds.stdout
    paper = tmp_path / "slip.txt"
    printed = f"child:   child-11\ncode:    sch-1-3T   (until 2027-09-01)\nledger:  {log.key}\nwitness: {WITNESS_KEY}\n"
    paper.write_text(printed, encoding="utf-8")  # as `edge-agent ledger slip` prints it
    assert alone("--slip", str(paper), "-", text=f"{text}\n").returncode == 0
    paper.write_text(f"{log.key}\n{WITNESS_KEY}\n", encoding="utf-8")
    assert alone("--slip", str(paper), "-", text=f"{text}\n").returncode == 0
    assert alone("--slip", str(paper), "-", text=f"{text}\n\n").returncode == 1
    for tail in ("\r", "\r\n", " ", "\0", "ы", "\x85"):
        assert alone("--slip", str(paper), "-", text=f"{text}{tail}").returncode == 1, repr(tail)
    assert alone(*keys, "--child", "child-12", "--", text).returncode == 1
    assert alone(*keys, "--day", "2026-11-09", "--", text).returncode == 1
    assert alone(*keys, "--", f"{text}0").returncode == 1
    assert alone("--ledger", str(log.key), "--", text).returncode == 2
    wrong = str(log.key).replace("claims+", "claims+0")
    assert alone("--ledger", wrong, "--witness", str(WITNESS_KEY), "--", text).returncode == 2


def test_a_row_cannot_be_guessed_from_its_hash() -> None:
    row = make_row(visit(1, "2026-11-20")).encode()
    assert hash_row(row, bytes(16)) != hash_row(row, b"1" * 16)
    with pytest.raises(ValueError, match="salt"):
        hash_row(row, b"")
    assert b32encode(hash_row(row, bytes(16)))
