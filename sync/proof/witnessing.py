"""A request to a witness, and the rule by which the witness says yes (C2SP tlog-witness, `add-checkpoint`).

    old 128\n                        the size of the checkpoint that the sender believes the witness saw last
    <base64 hash>\n …                the path that shows that the log went on from there; at most 63 lines
    \n
    <the new checkpoint, a signed note>

A witness cosigns a checkpoint only if it continues the one that it cosigned last. So of two histories of one log it can
have cosigned one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sync.proof.checkpoints import LogCheckpoint, open_checkpoint
from sync.proof.notes import BadNote, NoteKey, SignedNote, decode_base64, encode_base64, join_lines, parse_note
from sync.proof.tree import EMPTY_ROOT, HASH_BYTES, SIZE_MAX, verify_consistency

PATH_LINES_MAX: Final = 63


class UnknownLog(ValueError):
    """A checkpoint of a log that this witness does not watch."""


class UnsignedCheckpoint(BadNote):
    """A checkpoint that its log has not signed."""


class OtherView(ValueError):
    """The witness saw another checkpoint last than the request says. `size`: the one that it saw."""

    def __init__(self, size: int, reason: str) -> None:
        super().__init__(reason)
        self.size = size


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """The wish of a log that its new checkpoint be cosigned."""

    old_size: int
    path: tuple[bytes, ...]
    note: SignedNote

    @property
    def origin(self) -> str:
        """Returns the log that the checkpoint claims to be of."""
        return self.note.text.split("\n", 1)[0]

    def encode(self) -> bytes:
        """Returns the body of the request."""
        lines = [f"old {self.old_size}", *map(encode_base64, self.path), ""]
        return (join_lines(lines) + str(self.note)).encode()


def parse_request(body: bytes) -> CheckpointRequest:
    """Returns the request in this body. Raises `BadNote`."""
    head, blank, note = body.partition(b"\n\n")
    try:
        old, *path = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise BadNote("the lines before the checkpoint are not ASCII") from error
    size = old.removeprefix("old ")
    if not blank or old == size or not size.isdecimal() or str(int(size)) != size or int(size) > SIZE_MAX:
        raise BadNote("a request begins with the line `old SIZE`, and has an empty line before its checkpoint")
    hashes = tuple(map(decode_base64, path))
    if len(hashes) > PATH_LINES_MAX or any(len(hashed) != HASH_BYTES for hashed in hashes):
        raise BadNote(f"at most {PATH_LINES_MAX} hashes of {HASH_BYTES} bytes are a path")
    return CheckpointRequest(int(size), hashes, parse_note(note))


def find_log_key(origin: str, trusted: Iterable[NoteKey]) -> NoteKey:
    """Returns the key of a log: that of its ledger, under the log's own name. Raises `UnknownLog`.

    `trusted`: keys of single logs, or of ledgers, whose logs have names that begin with the ledger's and a slash.
    """
    for key in trusted:
        if origin == key.name or origin.startswith(f"{key.name}/"):
            return key.rename(origin)
    raise UnknownLog(f"no key of {origin[:200]!r} is trusted here")


def follow_log(last: LogCheckpoint | None, request: CheckpointRequest, log_key: NoteKey) -> LogCheckpoint:
    """Returns the checkpoint to cosign, which continues `last`, the one that was cosigned before.

    Raises `UnsignedCheckpoint`; `BadNote` where the path begins behind the checkpoint; `OtherView` where the request
    starts from another checkpoint than `last` or shows another root for the same size; `UnprovenTree` where its path
    does not show that the log went on.
    """
    try:
        checkpoint = open_checkpoint(request.note, log_key)
    except BadNote as error:
        raise UnsignedCheckpoint(str(error)) from error
    if request.old_size > checkpoint.size:
        raise BadNote(f"a checkpoint of {checkpoint.size} leaves cannot continue one of {request.old_size}")
    size, root = (last.size, last.root) if last else (0, EMPTY_ROOT)
    if request.old_size != size:
        raise OtherView(size, f"the last checkpoint seen had {size} leaves, not {request.old_size}")
    if checkpoint.size == size and checkpoint.root != root:
        raise OtherView(size, f"two roots for {size} leaves: this log shows two histories")
    verify_consistency(size, root, checkpoint.size, checkpoint.root, request.path)
    return checkpoint


def make_request(old_size: int, path: Sequence[bytes], note: SignedNote) -> CheckpointRequest:
    """Returns the request for a new checkpoint. Raises `BadNote` for a path that no witness takes."""
    if len(path) > PATH_LINES_MAX:
        raise BadNote(f"a path of {len(path)} hashes; at most {PATH_LINES_MAX} are taken")
    return CheckpointRequest(old_size, tuple(path), note)
