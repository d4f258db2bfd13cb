"""Who may sign a sheet for caterer, school and city."""

from datetime import datetime

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.ledger.billing.signatures import RegisteredSigner, load_scheme
from sync.ledger.errors import NotUnderstood
from sync.money.canonical import digest_sheet
from sync.money.protocol import HandedSignature, SheetSide


def add_signer(
    connection: psycopg.Connection, school: str, side: SheetSide, signer: RegisteredSigner, *, by: str, now: datetime
) -> None:
    """Lets a signer sign for a side from now on. Raises NotUnderstood or SignatureRefused."""
    load_scheme(signer.scheme)
    if signer.scheme == "ed25519":
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer.material))
        except ValueError as error:
            raise NotUnderstood(f"{signer.material[:20]!r} is no Ed25519 public key", "give 64 hex digits") from error
    elif "=" not in signer.material:
        raise NotUnderstood(
            f"{signer.material!r} is no attribute of a subject",
            "write it as OU=BIN123456789012, as the certificate has it",
        )
    try:
        connection.execute(
            "INSERT INTO sheet_signer (school, side, scheme, material, name, added_by, added_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (school, side, scheme, material)"
            " DO UPDATE SET name = excluded.name, retired_at = NULL",
            (school, side, signer.scheme, signer.material, signer.name, by, now),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotUnderstood(f"no school {school!r}: add it with `edge-agent ledger school`") from error


def retire_signer(
    connection: psycopg.Connection, school: str, side: SheetSide, scheme: str, material: str, *, now: datetime
) -> None:
    """Lets a signer sign nothing more; the signatures that are there stay. Raises NotUnderstood."""
    done = connection.execute(
        "UPDATE sheet_signer SET retired_at = %s WHERE school = %s AND side = %s AND scheme = %s AND material = %s",
        (now, school, side, scheme, material),
    )
    if done.rowcount == 0:
        raise NotUnderstood(f"no such signer of the {side} of {school}: see `edge-agent ledger sheet signers`")


def list_signers(connection: psycopg.Connection, school: str, side: SheetSide, scheme: str) -> list[RegisteredSigner]:
    """Returns those who may sign for a side by a scheme, by name."""
    rows = connection.execute(
        "SELECT scheme, material, name FROM sheet_signer"
        " WHERE school = %s AND side = %s AND scheme = %s AND retired_at IS NULL ORDER BY name, material",
        (school, side, scheme),
    )
    return [RegisteredSigner(*row) for row in rows]


def verify_signature(
    connection: psycopg.Connection, school: str, side: SheetSide, scheme: str, content: bytes, signature: bytes,
    authority: bytes = b"",
) -> HandedSignature:  # fmt: skip
    """Returns a side's signature over these bytes, once its scheme has verified it. Raises SignatureRefused."""
    signers = list_signers(connection, school, side, scheme)
    signer = load_scheme(scheme).find_signer(content, signature, signers, authority)
    return HandedSignature(side, digest_sheet(content), scheme, signer.name)
