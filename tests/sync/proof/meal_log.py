"""A claims log in memory, with the statements of some days, for tests and benchmarks of proofs."""

import random
from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.event import Claim, Method
from sync.contract.visits import EventId, Visit, VisitClosing
from sync.proof.checkpoints import LogCheckpoint, cosign, read_cosignature, sign_checkpoint
from sync.proof.leaves import LogName, origin
from sync.proof.meal_proofs import LoggedLeaf, StatedRow, encode_proof, to_qr_text
from sync.proof.notes import NoteKey, NoteKeyKind, SignedNote
from sync.proof.statements import DayStatement, hash_row, make_row, state_day
from sync.proof.tree import HashTree, hash_leaf

LEDGER = Ed25519PrivateKey.from_private_bytes(b"ledger".ljust(32, b"."))
WITNESS = Ed25519PrivateKey.from_private_bytes(b"witness".ljust(32, b"."))
WITNESS_KEY = NoteKey("witness.example", WITNESS.public_key().public_bytes_raw(), NoteKeyKind.COSIGNATURE)
SEED = 20261130


def log_key(school: str) -> NoteKey:
    return NoteKey(origin("canteen.example", school, LogName.CLAIMS), LEDGER.public_key().public_bytes_raw())


def visit(number: int, day: str) -> Visit:
    return Visit(
        id=EventId("sch-1-0011223344556677", "00000000000000aa", number), person=f"child-{number}", session="lunch",
        service_date=day, method=Method.CARD, programme="state", claim=Claim.CLAIMABLE,
        entry_time=datetime(2026, 11, 20, 4, 0, tzinfo=UTC) + timedelta(seconds=number), recorded_time="",
        closing=VisitClosing.SESSION,
    )  # fmt: skip


class ClaimsLog:
    """A claims log in memory, with the statements of some days."""

    def __init__(self, school: str, days: int, rows: int, *, seed: int = SEED) -> None:
        source = random.Random(f"{seed} {school}")
        self.key = log_key(school)
        self.days: list[tuple[DayStatement, list[tuple[bytes, bytes]]]] = []
        for number in range(days):
            day = (date(2026, 11, 1) + timedelta(days=number)).isoformat()
            salted = [(make_row(visit(row, day)).encode(), source.randbytes(16)) for row in range(rows)]
            hashes = [hash_row(row, salt) for row, salt in salted]
            self.days.append((state_day(day, 1, datetime(2026, 11, 30, tzinfo=UTC), hashes), salted))
        self.tree = HashTree(hash_leaf(statement.leaf()) for statement, _ in self.days)
        checkpoint = LogCheckpoint(self.key.name, self.tree.size, self.tree.root())
        signed = sign_checkpoint(checkpoint, LEDGER)
        self.note = SignedNote(
            signed.text, (*signed.signatures, cosign(signed.text, "witness.example", WITNESS, 1795000000))
        )

    def stated(self, day: int, row: int) -> tuple[StatedRow, DayStatement]:
        statement, salted = self.days[day]
        tree = HashTree(hash_row(*pair) for pair in salted)
        return StatedRow(*salted[row], row, tree.prove_inclusion(row)), statement

    def logged(self, day: int) -> LoggedLeaf:
        return LoggedLeaf(
            day, self.tree.size, self.tree.prove_inclusion(day), self.note.find_signature(self.key),
            read_cosignature(self.note, WITNESS_KEY),
        )  # fmt: skip

    def prove(self, day: int, row: int) -> bytes:
        return encode_proof(*self.stated(day, row), self.logged(day), self.key, WITNESS_KEY)

    def prove_text(self, day: int, row: int) -> str:
        return to_qr_text(self.prove(day, row))
