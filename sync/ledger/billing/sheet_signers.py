"""Who may sign a sheet for caterer, school and city. Nobody signs for two of them: one key cannot agree with itself."""

from datetime import datetime

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.errors import Wording
from sync.ledger.billing.signatures import RegisteredSigner, SignatureRefused, SignatureScheme, load_scheme
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
    for other in _list_others(side):
        if signer.material in {known.material for known in list_signers(connection, school, other, signer.scheme)}:
            raise NotUnderstood(
                f"this signer signs for the {other} of {school} already, and nobody signs for two sides",
                "register another one, or retire that one first: `edge-agent ledger sheet signer … --retire`",
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


def list_all_signers(connection: psycopg.Connection, school: str) -> list[tuple[SheetSide, RegisteredSigner]]:
    """Returns everybody who may sign a school's sheets, with the side, by side and name."""
    rows = connection.execute(
        "SELECT side, scheme, material, name FROM sheet_signer"
        " WHERE school = %s AND retired_at IS NULL ORDER BY side, name, scheme, material",
        (school,),
    )
    return [(SheetSide(side), RegisteredSigner(*signer)) for side, *signer in rows]


def verify_signature(
    connection: psycopg.Connection, school: str, side: SheetSide, scheme: str, content: bytes, signature: bytes,
    authority: bytes = b"",
) -> HandedSignature:  # fmt: skip
    """Returns a side's signature over these bytes, once its scheme has verified it. Raises SignatureRefused."""
    verifier = load_scheme(scheme)
    signer = verifier.find_signer(content, signature, list_signers(connection, school, side, scheme), authority)
    for other in _list_others(side):
        strangers = list_signers(connection, school, other, scheme)
        if strangers and _is_signed_by(verifier, content, signature, strangers, authority):
            raise SignatureRefused(
                f"who made this signature signs for the {other} of {school}, too, and nobody signs for two sides",
                f"sign with a key or certificate that only the {side} has, or let the operator retire the other signer",
                Wording("refusal.two_sides", side=other),
            )
    return HandedSignature(side, digest_sheet(content), scheme, signer.name)


def _list_others(side: SheetSide) -> list[SheetSide]:
    return [other for other in SheetSide if other is not side]


def _is_signed_by(
    verifier: SignatureScheme, content: bytes, signature: bytes, signers: list[RegisteredSigner], authority: bytes
) -> bool:
    """Returns True where one of these signers made a signature that is known to hold."""
    try:
        verifier.find_signer(content, signature, signers, authority)
    except SignatureRefused:
        return False
    return True
