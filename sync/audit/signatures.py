"""The signatures under a sheet: Ed25519 by the exported keys, CMS by a verifier and an authority from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.audit.archive import ArchivePlace, AuditFailure, SheetActLine, SignerLine
from sync.audit.school_archive import SchoolArchive
from sync.money.canonical import digest_sheet
from sync.money.detached import decode_ed25519


class CmsCheck(Protocol):
    """The verifier of CMS signatures against an authority that the auditor has chosen."""

    def find_fault(self, content: bytes, signature: bytes, materials: Sequence[str], at: datetime) -> str:
        """Returns why no signer of these materials made the signature, as of `at`; empty: one of them did."""
        ...


@dataclass(frozen=True, slots=True)
class SignatureFinding:
    """A signature of a side, with its scheme. `unproved`: what a person must still look at; empty: nothing."""

    side: str
    scheme: str
    unproved: str = ""

    def __str__(self) -> str:
        return f"{self.side} ({self.scheme}{', not checked' if self.unproved else ''})"


def find_materials(archive: SchoolArchive, act: SheetActLine) -> list[str]:
    """Returns the keys, or attributes of certificates, by which the signer of this act is registered for its side."""
    return [
        line.material
        for line in archive.read_lines(SignerLine)
        if (line.side, line.scheme, line.name) == (act.side, act.scheme, act.signer)
    ]


def check_sides(archive: SchoolArchive, acts: Sequence[tuple[ArchivePlace, SheetActLine]]) -> None:
    """Raises AuditFailure where one key or certificate is registered for the signers of two sides."""
    sides: dict[tuple[str, str], str] = {}
    for place, act in acts:
        for material in find_materials(archive, act):
            side = sides.setdefault((act.scheme, material.casefold()), act.side)
            if side != act.side:
                raise AuditFailure(
                    place, f"the signer of the {act.side} is that of the {side}: one party has agreed alone"
                )


def check_signature(
    archive: SchoolArchive, place: ArchivePlace, act: SheetActLine, body: bytes, cms: CmsCheck | None
) -> SignatureFinding:
    """Returns what was found of a side's signature over these bytes. Raises AuditFailure."""
    if act.digest != digest_sheet(body):
        raise AuditFailure(place, f"the {act.side} signed other bytes than these")
    materials = find_materials(archive, act)
    if act.scheme == "ed25519":
        _check_ed25519(place, act, body, materials)
    elif act.scheme == "cms" and cms is not None:
        fault = cms.find_fault(body, act.signature, materials, act.at or archive.subject.exported_at)
        if fault:
            raise AuditFailure(place, f"the signature of {act.signer} for the {act.side}: {fault}")
    else:
        step = "give the authority's certificates" if act.scheme == "cms" else f"the package of {act.scheme} does that"
        return SignatureFinding(act.side, act.scheme, f"the signature of {act.signer} for the {act.side}: {step}")
    return SignatureFinding(act.side, act.scheme)


def _check_ed25519(place: ArchivePlace, act: SheetActLine, body: bytes, materials: Sequence[str]) -> None:
    for material in materials:
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(material)).verify(decode_ed25519(act.signature), body)
        except (InvalidSignature, ValueError):
            continue
        return
    raise AuditFailure(
        place, f"no registered key of {act.signer} for the {act.side} made this signature over these bytes"
    )
