"""SQLite's write-ahead log (WAL) as bytes: the place where SQLite stops reading it, and what lies behind that place.

    header  32 bytes: magic, version, page size, checkpoint number, salt (8), checksum (8)
    frame   24 bytes: page number, pages of the file after a commit (else 0), salt (8), checksum (8); then the page

https://sqlite.org/fileformat2.html#the_write_ahead_log

Each checksum covers everything before it, and SQLite stops without a word at the first one that does not fit. So one
flipped bit drops every commit behind it. But a frame with the current salt behind that place was written after it:
there is damage, and no end of the log.

The checksum is a sum of the words modulo 2^32, weighted by Fibonacci numbers. The difference between the stored sum and
the sum of what was read therefore names the bit, if a single one was flipped, and that bit is turned back. For the
high bits of a word, whose weights repeat, it names several; then the page's other versions, before and behind it,
show which one it was. A frame with more damage keeps its bytes and gets a new checksum: what is true in it, the
journal's own hash chain must say.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from struct import pack, unpack
from typing import Final

WAL_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_VERSION: Final = 3_007_000
_MAGIC: Final = {"<": 0x377F0682, ">": 0x377F0683}  # by the order of the bytes in the words that are summed
_MASK: Final = 0xFFFF_FFFF

_Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WalRepair:
    """A log in which every checksum fits."""

    content: bytes
    frames_before: int  # that SQLite would have read
    commits_behind: int  # that end behind the first fault
    exact: bool  # each fault was one flipped bit: these are the bytes that were written


def repair_wal(damaged: bytes, page_bytes: int, read_page: Callable[[int], bytes]) -> WalRepair | None:
    """Returns the log with its faults mended; None where nothing of it lies behind the place where SQLite stops.

    `page_bytes`: the size of a page by the journal's own header, for a log whose header is damaged. `read_page` returns
    the page of this number (from 1) as it stands in the journal's file, empty where the file is shorter.
    """
    if len(damaged) < WAL_HEADER_BYTES + FRAME_HEADER_BYTES + page_bytes:
        return None
    header, order, header_is_exact = _repair_header(damaged, page_bytes)
    frames = _find_frames(damaged, header[16:24], page_bytes)
    walk = _FrameWalk(header, order, frames, read_page)
    walk.run()
    if header == damaged[:WAL_HEADER_BYTES] and walk.first_fault is None:
        return None
    before = 0 if header != damaged[:WAL_HEADER_BYTES] else walk.first_fault or 0
    commits = sum(unpack(">I", frame[4:8])[0] != 0 for frame in walk.mended[before:])
    return WalRepair(header + b"".join(walk.mended), before, commits, header_is_exact and walk.exact)


def read_pages(log: bytes, page_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the bytes of every page in a log, in the order in which they were written."""
    step = FRAME_HEADER_BYTES + page_bytes
    for start in range(WAL_HEADER_BYTES, len(log) - step + 1, step):
        yield unpack(">I", log[start : start + 4])[0], log[start + FRAME_HEADER_BYTES : start + step]


def _repair_header(damaged: bytes, page_bytes: int) -> tuple[bytes, str, bool]:
    """Returns the header, the order of the bytes in its words, and if it is the one that was written."""
    header = damaged[:WAL_HEADER_BYTES]
    stored: _Sums = unpack(">II", header[24:32])
    for order, magic in _MAGIC.items():
        sums = _add_up((0, 0), _words(header[:24], order))
        if sums == stored:
            return header, order, True
        if unpack(">I", header[:4])[0] == magic and _differ_by_a_bit(sums, stored):
            return header[:24] + pack(">II", *sums), order, True
        explained = [*_turn_bit_back(header[:24], order, (0, 0), stored)]
        fitting = [one for one in explained if one[:12] == pack(">III", magic, _VERSION, page_bytes)]
        if len(fitting) == 1:
            return fitting[0] + header[24:32], order, True
    salt = damaged[WAL_HEADER_BYTES + 8 : WAL_HEADER_BYTES + 16]
    rebuilt = pack(">III", _MAGIC["<"], _VERSION, page_bytes) + header[12:16] + salt
    return rebuilt + pack(">II", *_add_up((0, 0), _words(rebuilt, "<"))), "<", False


def _find_frames(log: bytes, salt: bytes, page_bytes: int) -> list[bytes]:
    """Returns the frames up to the last one with the current salt; those behind are of an earlier round of the log."""
    step = FRAME_HEADER_BYTES + page_bytes
    frames = [log[start : start + step] for start in range(WAL_HEADER_BYTES, len(log) - step + 1, step)]
    while frames and (frames[-1][8:16] != salt):
        last = frames.pop()
        if _bits_apart(last[8:16], salt) == 1:  # its salt is what was hit
            return [*frames, last]
    return frames


class _FrameWalk:
    """Goes along the frames with two sums: what was written, as far as can be told, and what the mended log states."""

    def __init__(self, header: bytes, order: str, frames: list[bytes], read_page: Callable[[int], bytes]) -> None:
        self._salt = header[16:24]
        self._order = order
        self._frames = frames
        self._read_page = read_page
        self._written: _Sums = unpack(">II", header[24:32])
        self._stated = self._written
        self.mended: list[bytes] = []
        self.first_fault: int | None = None
        self.exact = True

    def run(self) -> None:
        for frame, following in pairwise([*self._frames, None]):
            assert frame is not None, "only the last place is empty"
            sums = _add_up(self._written, self._covered(frame))
            stored: _Sums = unpack(">II", frame[16:24])
            if sums == stored and frame[8:16] == self._salt:
                self._append(frame, sums)
                continue
            if self.first_fault is None:
                self.first_fault = len(self.mended)
            self._append(*self._mend(frame, sums, stored, following))

    def _mend(self, frame: bytes, sums: _Sums, stored: _Sums, following: bytes | None) -> tuple[bytes, _Sums]:
        """Returns the frame without its fault, and the sum that was written into it."""
        salted = frame[:8] + self._salt + frame[16:]
        if sums == stored:
            self.exact = self.exact and _bits_apart(frame[8:16], self._salt) == 1
            return salted, sums
        if self._fits_behind(sums, following) if following else _differ_by_a_bit(sums, stored):
            self.exact = self.exact and _differ_by_a_bit(sums, stored) and salted == frame
            return salted[:16] + pack(">II", *sums) + salted[24:], sums
        explained = [*_turn_bit_back(frame[:8] + frame[24:], self._order, self._written, stored)]
        covered = explained[0] if len(explained) == 1 else self._choose(frame, explained)
        if covered is None or salted != frame:
            self.exact = False
            return salted, stored
        return covered[:8] + salted[8:24] + covered[8:], stored

    def _choose(self, frame: bytes, explained: list[bytes]) -> bytes | None:
        """Returns the one explanation by which a byte becomes what it is in other versions of the page; else None."""
        versions = [page for page in self._list_versions(frame) if len(page) == len(frame) - FRAME_HEADER_BYTES]
        damaged = frame[:8] + frame[24:]
        confirmed = []
        for covered in explained:
            place = next(
                index for index, (one, another) in enumerate(zip(covered, damaged, strict=True)) if one != another
            )
            if place >= 8 and any(
                page[place - 8] == covered[place] and page[place - 12 : place - 8] == damaged[place - 4 : place]
                for page in versions
            ):
                confirmed.append(covered)
        return confirmed[0] if len(confirmed) == 1 else None

    def _list_versions(self, frame: bytes) -> Iterator[bytes]:
        """Yields the page before this frame and behind it, as they were written, and as the file has it."""
        index, number = len(self.mended), frame[:4]
        before = (one for one in reversed(self.mended) if one[:4] == number)
        behind = (one for one in self._frames[index + 1 :] if one[:4] == number)
        for found in (next(before, None), next(behind, None)):
            if found is not None:
                yield found[FRAME_HEADER_BYTES:]
        yield self._read_page(unpack(">I", number)[0])

    def _fits_behind(self, sums: _Sums, following: bytes) -> bool:
        return _add_up(sums, self._covered(following)) == unpack(">II", following[16:24])

    def _append(self, frame: bytes, written: _Sums) -> None:
        self._written = written
        if self.exact:
            self._stated = written
        else:
            self._stated = _add_up(self._stated, self._covered(frame))
            frame = frame[:16] + pack(">II", *self._stated) + frame[24:]
        self.mended.append(frame)

    def _covered(self, frame: bytes) -> tuple[int, ...]:
        return _words(frame[:8] + frame[24:], self._order)


def _words(covered: bytes, order: str) -> tuple[int, ...]:
    return unpack(f"{order}{len(covered) // 4}I", covered)


def _add_up(sums: _Sums, words: tuple[int, ...]) -> _Sums:
    first, second = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second


def _turn_bit_back(covered: bytes, order: str, before: _Sums, stored: _Sums) -> Iterator[bytes]:
    """Yields the bytes with one bit turned back, for each bit that would explain the stored sum."""
    words = _words(covered, order)
    sums = _add_up(before, words)
    missing = ((stored[0] - sums[0]) & _MASK, (stored[1] - sums[1]) & _MASK)
    weights = {0: (1, 1), 1: (0, 1)}  # of the last pair's two words in the two sums
    for pair in range(len(words) // 2 - 1, -1, -1):
        for parity, (first, second) in weights.items():
            word = words[2 * pair + parity]
            for bit in range(32):
                change = -(1 << bit) if word >> bit & 1 else 1 << bit
                if (change * first & _MASK, change * second & _MASK) == missing:
                    mended = list(words)
                    mended[2 * pair + parity] = word ^ 1 << bit
                    yield pack(f"{order}{len(mended)}I", *mended)
        weights = {parity: ((a + b) & _MASK, (a + 2 * b) & _MASK) for parity, (a, b) in weights.items()}


def _differ_by_a_bit(sums: _Sums, stored: _Sums) -> bool:
    return _bits_apart(pack(">II", *sums), pack(">II", *stored)) == 1


def _bits_apart(one: bytes, another: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(another, "big")).bit_count()
