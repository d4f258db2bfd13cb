"""The view of a school's events that a kiosk asks for: made of the newest checkpoint, cosigned or not."""

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.log_view import LogView, vouch_for_log_key
from sync.ledger.registry.schools import RegisteredDevice
from sync.ledger.transparency import logs
from sync.proof.checkpoints import parse_checkpoint
from sync.proof.leaves import LogName, read_batch_leaf
from sync.proof.notes import NoteKey


def read_log_view(
    connection: psycopg.Connection, device: RegisteredDevice, since: int, log_key: NoteKey,
    receipts_key: Ed25519PrivateKey, time: str,
) -> LogView:  # fmt: skip
    """Returns the view for one device. A `since` beyond the log's size gets no consistency: none can be shown."""
    school, log = device.school, LogName.EVENTS
    head = logs.read_log_head(connection, school, log)
    view = LogView(time=time, key=str(log_key), key_signature=vouch_for_log_key(receipts_key, str(log_key)))
    if head.checkpoint is None:
        return view
    size = parse_checkpoint(head.checkpoint.text).size
    consistency = logs.prove_consistency(connection, school, log, since, size) if since <= size else []
    found = logs.find_newest_batch(connection, school, device.device, size)
    checkpoint, hashes = str(head.checkpoint), tuple(hashed.hex() for hashed in consistency)
    if found is None:
        return LogView(
            time=time, key=view.key, key_signature=view.key_signature, checkpoint=checkpoint, consistency=hashes
        )
    index, leaf = found
    _, epoch, batch_head = read_batch_leaf(leaf)
    path = logs.prove_inclusion(connection, school, log, index, size)
    return LogView(
        time=time, key=view.key, key_signature=view.key_signature, checkpoint=checkpoint, epoch=epoch,
        last_seq=batch_head.seq, head=batch_head.hash.hex(), index=index,
        path=tuple(hashed.hex() for hashed in path), consistency=hashes,
    )  # fmt: skip
