"""A batch as it comes in, and the evidence that its device has signed it."""

from dataclasses import dataclass, field

import psycopg

from sync.contract.batch import Batch
from sync.contract.chain import DeviceId, Epoch


@dataclass(frozen=True, slots=True)
class SignatureEvidence:
    """The evidence that a device sent these bytes, as it stood in the request."""

    content_digest: str
    signature_input: str
    signature: str
    base: bytes
    public_key: bytes
    content_encoding: str
    body: bytes = field(repr=False)  # compressed, as the digest covers it


@dataclass(frozen=True, slots=True)
class ArrivedBatch:
    """A batch whose signature is good."""

    school: str
    device: DeviceId
    epoch: Epoch
    batch: Batch
    signature: SignatureEvidence


def identify(arrival: ArrivedBatch) -> dict[str, str]:
    """Returns the first columns of every key: school, device and epoch."""
    return {"school": arrival.school, "device": arrival.device, "epoch": arrival.epoch}


def store_evidence(connection: psycopg.Connection, arrival: ArrivedBatch, first_seq: int) -> None:
    """Stores the signed body of a batch. `first_seq`: the first event that it added; 0 where it added none."""
    signature = arrival.signature
    connection.execute(_INSERT_BATCH, {
        **identify(arrival), "last_seq": arrival.batch.last_seq, "first_seq": first_seq,
        "content_digest": signature.content_digest, "signature_input": signature.signature_input,
        "signature": signature.signature, "signed": signature.base, "public_key": signature.public_key,
        "content_encoding": signature.content_encoding, "body": signature.body,
    })  # fmt: skip


_INSERT_BATCH = """
    INSERT INTO batch (school, device, epoch, last_seq, content_digest, first_seq, signature_input, signature, signed,
                       public_key, content_encoding, body)
    VALUES (%(school)s, %(device)s, %(epoch)s, %(last_seq)s, %(content_digest)s, %(first_seq)s, %(signature_input)s,
            %(signature)s, %(signed)s, %(public_key)s, %(content_encoding)s, %(body)b)
    ON CONFLICT DO NOTHING
"""
