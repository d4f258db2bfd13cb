"""The states of a sheet, as a pure machine: proposed → agreed → closed.

- A proposal states a version and the digest of its bytes. A newer version makes the signatures of the older one void.
- Caterer and school sign the digest. When both have signed the same version, the sheet is agreed. A click is only
  *confirmed*: it is kept and agrees to nothing.
- An objection names lines of the version in force and calls for the next version. A side that has signed a version
  cannot object to it.
- The city closes what is agreed, once nothing stands in the way. Nothing changes a closed sheet: later rows go to a
  correction sheet, which is a sheet of its own with the next number.
- The same act again is recognised and changes nothing; the same act with another digest is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from sync.errors import Wording
from sync.money.errors import ActRefused
from sync.money.sheet import RowKey


class SheetSide(StrEnum):
    """A party to a sheet."""

    CATERER = "caterer"
    SCHOOL = "school"
    CITY = "city"


AGREEING_SIDES = (SheetSide.CATERER, SheetSide.SCHOOL)


class SheetState(StrEnum):
    """Where a sheet stands."""

    ABSENT = "absent"
    PROPOSED = "proposed"
    OBJECTED = "objected"  # the next version is due
    AGREED = "agreed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version and the digest of its bytes."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Objection:
    """A side does not accept some lines of the version in force."""

    side: SheetSide
    version: int
    lines: tuple[RowKey, ...]
    text: str


@dataclass(frozen=True, slots=True)
class HandedSignature:
    """A side's detached signature, verified already, over the bytes with this digest."""

    side: SheetSide
    digest: str
    scheme: str
    signer: str


@dataclass(frozen=True, slots=True)
class ClickConfirmation:
    """A person of a side clicked that they have read it."""

    side: SheetSide
    digest: str
    by: str


@dataclass(frozen=True, slots=True)
class Closing:
    """The city closes what both have signed."""

    digest: str
    by: str


SheetAct = Proposal | Objection | HandedSignature | ClickConfirmation | Closing


@dataclass(frozen=True, slots=True)
class ClosingObstacle:
    """Something that keeps a sheet from closing, with the next step."""

    what: str
    next_step: str
    wording: Wording


@dataclass(frozen=True, slots=True)
class SheetProcess:
    """The course of one sheet so far. `digests`: of every version, the first one first."""

    name: str
    digests: tuple[str, ...] = ()
    signatures: Mapping[SheetSide, HandedSignature] = field(default_factory=dict)  # of the version in force
    confirmations: tuple[ClickConfirmation, ...] = ()
    objection: Objection | None = None  # to the version in force
    closing: Closing | None = None

    @property
    def version(self) -> int:
        """Returns the number of the version in force; 0 before the first."""
        return len(self.digests)

    @property
    def digest(self) -> str:
        """Returns the digest of the version in force; empty before the first."""
        return self.digests[-1] if self.digests else ""

    @property
    def state(self) -> SheetState:
        """Returns where the sheet stands."""
        if self.closing is not None:
            return SheetState.CLOSED
        if not self.digests:
            return SheetState.ABSENT
        if self.objection is not None:
            return SheetState.OBJECTED
        agreed = all(side in self.signatures for side in AGREEING_SIDES)
        return SheetState.AGREED if agreed else SheetState.PROPOSED

    @property
    def missing_sides(self) -> tuple[SheetSide, ...]:
        """Returns the sides whose signature the version in force lacks."""
        return tuple(side for side in AGREEING_SIDES if side not in self.signatures)


def advance(process: SheetProcess, act: SheetAct, obstacles: Sequence[ClosingObstacle] = ()) -> SheetProcess:
    """Returns the sheet after an act; the very same process where the act was there already.

    `obstacles` count for a closing only. Raises ActRefused that says what to do first.
    """
    match act:
        case Proposal():
            return _propose(process, act)
        case Objection():
            return _object(process, act)
        case HandedSignature():
            return _sign(process, act)
        case ClickConfirmation():
            return _confirm(process, act)
        case Closing():
            return _close(process, act, obstacles)
    assert_never(act)


def _propose(process: SheetProcess, act: Proposal) -> SheetProcess:
    if act.digest == process.digest:
        return process
    if process.closing is not None:
        raise ActRefused(
            f"{process.name} is closed and never changes",
            "put what came later into a correction sheet: `edge-agent ledger sheet correction`",
            Wording("refusal.closed"),
        )
    if act.version != process.version + 1:
        raise ActRefused(
            f"{process.name}: version {act.version} is not the next one; version {process.version} is in force",
            "propose again from the ledger's rows as they stand",
            Wording("refusal.not_next_version", version=act.version, in_force=process.version),
        )
    return SheetProcess(process.name, (*process.digests, act.digest))


def _object(process: SheetProcess, act: Objection) -> SheetProcess:
    if process.objection == act:
        return process
    _refuse_closed(process, "objected to")
    _refuse_absent(process)
    if act.version != process.version:
        raise ActRefused(
            f"version {act.version} of {process.name} is not in force, version {process.version} is",
            "read the version in force and object to that",
            Wording("refusal.version_passed", version=act.version, in_force=process.version),
        )
    if not act.lines:
        raise ActRefused(
            "an objection without a line", "name the lines as PERSON or PERSON:SESSION", Wording("refusal.no_line")
        )
    if act.side in process.signatures:
        raise ActRefused(
            f"the {act.side.value} has signed version {process.version} of {process.name}",
            "after the closing, a correction sheet puts right what was wrong",
            Wording("refusal.signed_already", side=act.side, version=process.version),
        )
    if process.objection is not None:
        raise ActRefused(
            f"version {process.version} of {process.name} has an objection already",
            "wait for the next version and object to that",
            Wording("refusal.objected_already", version=process.version),
        )
    return replace(process, objection=act)


def _sign(process: SheetProcess, act: HandedSignature) -> SheetProcess:
    signed = process.signatures.get(act.side)
    if signed is not None and signed.digest == act.digest:
        return process
    _refuse_closed(process, "signed")
    _refuse_other_digest(process, act.digest)
    if process.objection is not None:
        raise ActRefused(
            f"version {process.version} of {process.name} has an objection by the {process.objection.side.value}",
            "wait for the next version and sign that",
            Wording("refusal.sign_objected", version=process.version, side=process.objection.side),
        )
    return replace(process, signatures={**process.signatures, act.side: act})


def _confirm(process: SheetProcess, act: ClickConfirmation) -> SheetProcess:
    if act in process.confirmations:
        return process
    _refuse_closed(process, "confirmed")
    _refuse_other_digest(process, act.digest)
    return replace(process, confirmations=(*process.confirmations, act))


def _close(process: SheetProcess, act: Closing, obstacles: Sequence[ClosingObstacle]) -> SheetProcess:
    if process.closing is not None:
        if process.closing.digest == act.digest:
            return process
        raise ActRefused(
            f"{process.name} is closed with digest {process.closing.digest[:16]}…, not {act.digest[:16]}…",
            "a month closes once; put what came later into a correction sheet",
            Wording("refusal.closed_otherwise", closed=process.closing.digest[:16], given=act.digest[:16]),
        )
    _refuse_other_digest(process, act.digest)
    if process.state is not SheetState.AGREED:
        missing = " and ".join(side.value for side in process.missing_sides)
        raise ActRefused(
            f"{process.name} is {process.state.value}, not agreed"
            + (f"; no signature of the {missing}" if missing else ""),
            "let both sides hand in their signatures of the version in force",
            Wording("refusal.not_agreed", state=process.state, missing=process.missing_sides or AGREEING_SIDES),
        )
    if obstacles:
        raise ActRefused(
            f"{process.name} cannot close: " + "; ".join(obstacle.what for obstacle in obstacles),
            "; ".join(dict.fromkeys(obstacle.next_step for obstacle in obstacles)),
            Wording("refusal.obstacles", obstacles=tuple(obstacle.wording for obstacle in obstacles)),
        )
    return replace(process, closing=act)


def _refuse_closed(process: SheetProcess, verb: str) -> None:
    if process.closing is not None:
        raise ActRefused(
            f"{process.name} is closed and cannot be {verb}",
            "put what came later into a correction sheet: `edge-agent ledger sheet correction`",
            Wording("refusal.closed"),
        )


def _refuse_absent(process: SheetProcess) -> None:
    if not process.digests:
        raise ActRefused(
            f"{process.name} was never proposed", "propose it: `edge-agent ledger sheet propose`",
            Wording("refusal.never_proposed"),
        )  # fmt: skip


def _refuse_other_digest(process: SheetProcess, digest: str) -> None:
    _refuse_absent(process)
    if digest == process.digest:
        return
    if digest in process.digests:
        old = process.digests.index(digest) + 1
        raise ActRefused(
            f"this is version {old} of {process.name}; version {process.version} is in force",
            "download the version in force and hand that in",
            Wording("refusal.old_version", version=old, in_force=process.version),
        )
    raise ActRefused(
        f"digest {digest[:16]}… is of no version of {process.name}",
        "download the version in force with `edge-agent ledger sheet sign-request` and hand that in, unchanged",
        Wording("refusal.other_digest", digest=digest[:16]),
    )
