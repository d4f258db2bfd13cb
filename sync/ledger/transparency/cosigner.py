"""Shows each new checkpoint to the witness, and stores it with the witness's cosignature.

A witness that cannot be reached is tried again. One that has seen another history than this database holds (it was
restored, or somebody edited it) never signs again: that is said in the log as an error, for a person to act on.
"""

import logging
from dataclasses import dataclass

import psycopg

from sync.errors import Unreachable
from sync.ledger.background import IsStopping
from sync.ledger.transparency import logs
from sync.ledger.transparency.outgoing import OutgoingReply, post
from sync.ledger.transparency.witness import SIZE_MEDIA
from sync.proof.checkpoints import parse_checkpoint, read_cosignature
from sync.proof.leaves import LogName
from sync.proof.notes import BadNote, NoteKey, SignedNote, parse_signatures
from sync.proof.witnessing import make_request

logger = logging.getLogger(__name__)

COSIGN_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class WitnessPeer:
    """A witness as the ledger knows it: where `add-checkpoint` is, and its key."""

    url: str
    key: NoteKey


class WitnessRefusal(Exception):
    """The witness did not cosign; the message says why."""


def list_uncosigned(connection: psycopg.Connection) -> list[tuple[str, LogName]]:
    """Returns the logs whose newest checkpoint has no cosignature."""
    # Of the city: whichever school has such a log.
    rows = connection.execute("SELECT school, log FROM log_head WHERE cosigned_size < size ORDER BY school, log")
    return [(school, LogName(log)) for school, log in rows]


def cosign_log(connection: psycopg.Connection, school: str, log: LogName, witness: WitnessPeer) -> None:
    """Has the newest checkpoint of a log cosigned, and stores it. Raises `WitnessRefusal`, `Unreachable`."""
    head = logs.read_log_head(connection, school, log)
    if head.checkpoint is None:
        return
    size = parse_checkpoint(head.checkpoint.text).size
    reply = _ask(connection, school, log, head.checkpoint, head.cosigned_size, size, witness)
    if reply.status == 409 and reply.content_type.startswith(SIZE_MEDIA):
        witnessed = reply.body.strip()
        if not witnessed.isdigit() or int(witnessed) == head.cosigned_size or int(witnessed) > size:
            leaves = witnessed[:20].decode("ascii", "replace")
            raise WitnessRefusal(
                f"{school}/{log}: the witness has seen a log of {leaves} leaves, this database shows another one of "
                f"{size}: it was restored or edited; keep both as evidence and find out why"
            )
        reply = _ask(connection, school, log, head.checkpoint, int(witnessed), size, witness)
    if reply.status != 200:
        detail = reply.body[:200].decode("utf-8", "replace").strip()
        raise WitnessRefusal(f"{school}/{log}: the witness answered {reply.status}: {detail}")
    try:
        cosigned = SignedNote(
            head.checkpoint.text, (*head.checkpoint.signatures, *parse_signatures(reply.body.decode()))
        )
        read_cosignature(cosigned, witness.key)
    except (BadNote, UnicodeDecodeError) as error:
        raise WitnessRefusal(f"{school}/{log}: what the witness sent is no cosignature: {error}") from error
    logs.store_cosigned(connection, school, log, size, cosigned)


def _ask(
    connection: psycopg.Connection, school: str, log: LogName, note: SignedNote, old_size: int, size: int,
    witness: WitnessPeer,
) -> OutgoingReply:  # fmt: skip
    path = logs.prove_consistency(connection, school, log, old_size, size)
    body = make_request(old_size, path, note).encode()
    return post(f"{witness.url.rstrip('/')}/add-checkpoint", body, {"Content-Type": "text/plain; charset=utf-8"})


def cosign_all(connection: psycopg.Connection, witness: WitnessPeer, is_stopping: IsStopping) -> None:
    """Has every log's newest checkpoint cosigned; what the witness refuses is said in the log of this process."""
    for school, log in list_uncosigned(connection):
        if is_stopping():
            return
        try:
            cosign_log(connection, school, log, witness)
        except WitnessRefusal as error:
            logger.error("%s", error)  # noqa: TRY400  # its message says all; no trace for operators
        except Unreachable as error:
            logger.warning("the witness: %s", error)
            return  # nor would it answer for the next log
