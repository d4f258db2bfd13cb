"""Which of the rows that a damaged disk gives back are true: those that the hash chain leads to.

A row is proven by the hash before it. Where that hash was hit, the row before gives it again; where the row's own hash
was hit, the next row states it; and where one bit of the payload was hit, it is found, since only the right bytes give
the hash. A row behind a hole has nothing before it: it is passed on, and is not called proven.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sync.contract.chain import Hash, Head, extend
from sync.contract.event import UnreadableEvent, decode

BIT_SEARCHES_MAX = 200  # rows; each takes some ten milliseconds


@dataclass(frozen=True, slots=True)
class SalvagedRow:
    """A row of the chain that was read from a damaged journal."""

    seq: int
    payload: bytes
    hash: Hash
    proven: bool


@dataclass(frozen=True, slots=True)
class SalvagedRows:
    """The rows that were found behind a place of the chain, ascending, and the numbers that are missing."""

    rows: tuple[SalvagedRow, ...]
    holes: tuple[tuple[int, int], ...]  # first and last number of each


@dataclass(slots=True)
class Candidates:
    """The records that have the form of rows of one epoch, by number; of one row there may be several versions."""

    by_seq: dict[int, list[tuple[bytes, Hash]]] = field(default_factory=dict)

    def add(self, seq: int, payload: bytes, row_hash: bytes) -> None:
        """Adds one, unless it is there."""
        known = self.by_seq.setdefault(seq, [])
        if (payload, row_hash) not in known:
            known.append((payload, Hash(row_hash)))

    @property
    def last_seq(self) -> int:
        """Returns the highest number; 0 where there is none."""
        return max(self.by_seq, default=0)


def choose_rows(
    candidates: Candidates, after: Head, through: int, *, searches_max: int = BIT_SEARCHES_MAX
) -> SalvagedRows:
    """Returns the true rows behind `after` up to the number `through`.

    For at most `searches_max` rows a flipped bit of the payload is looked for.
    """
    proof = _ChainProof(candidates, after, searches_max)
    rows, missing = [], []
    for seq in range(through, after.seq, -1):
        row = proof.prove(seq)
        if row is None:
            missing.append(seq)
        else:
            rows.append(row)
    return SalvagedRows(tuple(reversed(rows)), tuple(find_runs(reversed(missing))))


def find_runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yields the first and the last of each run of consecutive numbers; they come ascending."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


class _ChainProof:
    """Walks the numbers downwards: each row that is proven states the hash that the one before it must have."""

    def __init__(self, candidates: Candidates, after: Head, searches_max: int) -> None:
        self._candidates = candidates
        self._after = after
        self._stated: Hash | None = None  # of the number that comes next, by the row behind it
        self._searches_left = searches_max

    def prove(self, seq: int) -> SalvagedRow | None:
        """Returns the true row of this number, None where there is none."""
        stated, self._stated = self._stated, None
        known = self._candidates.by_seq.get(seq, [])
        fitting = [row for row in known if row[1] == stated] or known
        before = [*self._list_hashes(seq - 1)]
        for payload, row_hash in fitting:
            for hash_before in before:
                linked = extend(hash_before, payload)
                if linked in (row_hash, stated):
                    self._stated = hash_before
                    return SalvagedRow(seq, payload, linked, proven=True)
        for payload, row_hash in fitting:
            for hash_before in before:
                mended = self._turn_bit_back(payload, hash_before, stated or row_hash)
                if mended is not None:
                    self._stated = hash_before
                    return SalvagedRow(seq, mended, stated or row_hash, proven=True)
        if before:
            return None
        readable = [row for row in fitting if _is_event(row[0])]
        return SalvagedRow(seq, *readable[-1], proven=False) if readable else None

    def _list_hashes(self, seq: int) -> Iterator[Hash]:
        """Yields every hash that the row of this number may have had: as it stands there, and as it is made again."""
        if seq == self._after.seq:
            yield self._after.hash
            return
        known = self._candidates.by_seq.get(seq, [])
        for _, row_hash in known:
            yield row_hash
        further = [self._after.hash] if seq - 1 == self._after.seq else []
        further += [row_hash for _, row_hash in self._candidates.by_seq.get(seq - 1, [])]
        for payload, _ in known:
            for hash_before in further:
                yield extend(hash_before, payload)

    def _turn_bit_back(self, payload: bytes, hash_before: Hash, wanted: Hash) -> bytes | None:
        if self._searches_left <= 0:
            return None
        self._searches_left -= 1
        mended = bytearray(payload)
        for place in range(len(mended)):
            for bit in range(8):
                mended[place] ^= 1 << bit
                if extend(hash_before, bytes(mended)) == wanted:
                    return bytes(mended)
                mended[place] ^= 1 << bit
        return None


def _is_event(payload: bytes) -> bool:
    try:
        decode(payload)
    except UnreadableEvent:
        return False
    return True
