"""Signed notes, checkpoints and cosignatures: the forms of C2SP, byte by byte."""

from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.proof.checkpoints import (
    LogCheckpoint,
    cosign,
    open_checkpoint,
    parse_checkpoint,
    read_cosignature,
    sign_checkpoint,
)
from sync.proof.notes import BadNote, NoteKey, NoteKeyKind, SignedNote, parse_key, parse_note, sign_note
from sync.proof.tree import hash_leaf

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
ORIGIN = "canteen.example/sch-1/claims"
LOG_KEY = NoteKey(ORIGIN, PUBLIC)
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WITNESS_KEY = NoteKey("witness.example", WITNESS.public_key().public_bytes_raw(), NoteKeyKind.COSIGNATURE)
ZEROES = f"{'A' * 43}="
CHECKPOINT = LogCheckpoint(ORIGIN, 12, hash_leaf(b"root"))


def test_a_note_has_exactly_the_bytes_of_the_specification() -> None:
    text = f"{ORIGIN}\n12\n{b64encode(hash_leaf(b'root')).decode()}\n"
    key_id = sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    line = b64encode(key_id + PRIVATE.sign(text.encode())).decode()
    assert str(sign_checkpoint(CHECKPOINT, PRIVATE)) == f"{text}\n\N{EM DASH} {ORIGIN} {line}\n"


def test_a_cosignature_has_exactly_the_bytes_of_the_specification() -> None:
    text = CHECKPOINT.text()
    key_id = sha256(b"witness.example\n\x04" + WITNESS_KEY.public_key).digest()[:4]
    signature = WITNESS.sign(b"cosignature/v1\ntime 1795322400\n" + text.encode())
    line = b64encode(key_id + (1795322400).to_bytes(8, "big") + signature).decode()
    assert str(cosign(text, "witness.example", WITNESS, 1795322400)) == f"\N{EM DASH} witness.example {line}\n"


def test_a_key_of_the_specification_is_read() -> None:
    # From the examples of C2SP signed-note.
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = parse_key(text)
    assert (key.name, key.key_id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", text)


def test_a_note_of_the_specification_is_read_and_verified() -> None:
    # From Go's golang.org/x/mod/sumdb/note, which C2SP signed-note describes.
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    parsed = parse_note(note.encode())
    parsed.verify(parse_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"))
    assert str(parsed) == note


def test_a_checkpoint_comes_back_with_its_cosignature() -> None:
    note = sign_checkpoint(CHECKPOINT, PRIVATE)
    cosigned = SignedNote(note.text, (*note.signatures, cosign(note.text, "witness.example", WITNESS, 7)))
    again = parse_note(str(cosigned).encode())
    assert open_checkpoint(again, LOG_KEY) == CHECKPOINT
    assert read_cosignature(again, WITNESS_KEY).seconds == 7
    with pytest.raises(BadNote):
        read_cosignature(note, WITNESS_KEY)


def check(note: bytes) -> None:
    parsed = parse_note(note)
    open_checkpoint(parsed, LOG_KEY)
    read_cosignature(parsed, WITNESS_KEY)


@given(st.data())
def test_no_changed_note_is_taken(data: st.DataObject) -> None:
    note = sign_checkpoint(CHECKPOINT, PRIVATE)
    whole = str(SignedNote(note.text, (*note.signatures, cosign(note.text, "witness.example", WITNESS, 7)))).encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadNote):
        check(bytes(changed))


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n1\n", f"a\n01\n{ZEROES}\n", f"a\n-1\n{ZEROES}\n", "a\n1\nAAAA\n", f"a\n1\n{ZEROES}",
     f"\n1\n{ZEROES}\n",
     f"a\n{2**63}\n{ZEROES}\n", f"a\n1\n{ZEROES}\n\n", f"a\n²\n{ZEROES}\n", f"a\n1\n{ZEROES[:-2]}B=\n"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "note",
    ["", "text\n", "text\n\n", "text\n\n— a", "text\n\n- a AAAAAAAA\n", "a\tb\n\n— k AAAAAAAA\n", "text\n\n— k AAAA\n",
     "text\n\n— k AAAAAAA\n", "text\n\n— a+b AAAAAAAA\n", "text\n\n— k  AAAAAAAA\n"],
)  # fmt: skip
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        parse_note(note.encode())


def test_a_note_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadNote, match="UTF-8"):
        parse_note("text\n\n— k AAAAAAAA\n".encode("utf-16"))


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    note = sign_note(CHECKPOINT.text(), "canteen.example/sch-2/claims", PRIVATE)
    with pytest.raises(BadNote, match="signatures of"):
        open_checkpoint(note, LOG_KEY)
    with pytest.raises(BadNote, match="a checkpoint of"):
        open_checkpoint(note, LOG_KEY.rename("canteen.example/sch-2/claims"))


@pytest.mark.parametrize("text", ["a", "a+00000000", f"a+00000000+{'A' * 44}", str(LOG_KEY)[:-4] + "AAA=", "a b+c+d"])
def test_a_key_that_was_copied_wrongly_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_key(text)
