"""Our checkpoints and proofs before another hand's verifier of C2SP: `metamorphic-log`, in Rust, which makes none."""

from base64 import b64encode
from collections.abc import Callable

import metamorphic_log
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.proof.checkpoints import LogCheckpoint, sign_checkpoint
from sync.proof.leaves import LogName
from sync.proof.notes import NoteKey, SignedNote, sign_note
from sync.proof.signer import LogSigner
from sync.proof.tree import HashTree, hash_leaf

SIGNER = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"log".ljust(32, b".")))
KEY = SIGNER.log_key("sch-1", LogName.EVENTS)
SIZE = 33


def tree_of(size: int, edited: int = -1) -> HashTree:
    return HashTree(hash_leaf(b"edited" if number == edited else b"leaf %d" % number) for number in range(size))


TREE = tree_of(SIZE)


def checkpoint(size: int, tree: HashTree = TREE) -> str:
    return str(SIGNER.sign("sch-1", LogName.EVENTS, size, tree.root(size)))


def refuses(check: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(metamorphic_log.VerifyError):
        check(*arguments)


def test_our_checkpoints_are_read_and_verified() -> None:
    head = metamorphic_log.checkpoint_verify(checkpoint(SIZE), [str(KEY)])
    assert (head.origin, head.size, head.root) == (KEY.name, SIZE, TREE.root())
    assert metamorphic_log.verify_signed_note(str(sign_note("Абай\n", "key", SIGNER.private)), [
        str(NoteKey("key", KEY.public_key)),
    ]) == 1  # fmt: skip
    stranger = NoteKey(KEY.name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    refuses(metamorphic_log.checkpoint_verify, checkpoint(SIZE), [str(stranger)])
    root, other = (b64encode(TREE.root(size)).decode() for size in (SIZE, SIZE - 1))
    for changed in (checkpoint(SIZE).replace(root, other), checkpoint(SIZE).replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n")):
        refuses(metamorphic_log.checkpoint_verify, changed, [str(KEY)])


def test_both_read_the_same_forms_only() -> None:
    """What we refuse in a key or a note's form, it refuses as well."""
    text = LogCheckpoint(KEY.name, 1, TREE.root(1)).text()
    signed = sign_checkpoint(LogCheckpoint(KEY.name, 1, TREE.root(1)), SIGNER.private)
    for note in (str(signed)[:-1], text, f"{text}\n", str(signed).replace("— ", "- "), str(SignedNote(text, ()))):
        refuses(metamorphic_log.checkpoint_verify, note, [str(KEY)])
    for key in (str(KEY)[:-4], str(KEY).replace("+", " "), str(KEY).replace(KEY.key_id.hex(), "00000000")):
        refuses(metamorphic_log.checkpoint_verify, str(signed), [key])


def test_our_proofs_hold_there() -> None:
    for size in range(1, SIZE + 1):
        for index in range(size):
            proof, leaf = TREE.prove_inclusion(index, size), hash_leaf(b"leaf %d" % index)
            metamorphic_log.verify_inclusion(index, size, leaf, proof, TREE.root(size))
        for old in range(1, size + 1):
            proof = TREE.prove_consistency(old, size)
            metamorphic_log.verify_consistency(old, size, proof, TREE.root(old), TREE.root(size))
    note, keys = checkpoint(SIZE), [str(KEY)]
    metamorphic_log.checkpoint_verify_inclusion(note, keys, 5, hash_leaf(b"leaf 5"), TREE.prove_inclusion(5))
    metamorphic_log.checkpoint_verify_consistency(checkpoint(20), note, keys, TREE.prove_consistency(20))


def test_what_was_edited_holds_nowhere() -> None:
    edited, keys = tree_of(SIZE, edited=3), [str(KEY)]
    proof = TREE.prove_inclusion(5)
    refuses(metamorphic_log.checkpoint_verify_inclusion, checkpoint(SIZE), keys, 6, hash_leaf(b"leaf 5"), proof)
    refuses(metamorphic_log.checkpoint_verify_inclusion, checkpoint(SIZE), keys, 5, hash_leaf(b"other"), proof)
    for history in (TREE, edited):
        refuses(
            metamorphic_log.checkpoint_verify_consistency,
            checkpoint(20),
            checkpoint(SIZE, edited),
            keys,
            history.prove_consistency(20),
        )
