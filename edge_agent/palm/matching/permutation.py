"""Applies the school's key to a code: cells change places, so do orientations within a cell, and bits are flipped.

    kept[i] = turn_i(plain[order[i]]) XOR pad[i]

`order` is one permutation of the cells, `turn_i` one of the 720 orders of the six orientation bits drawn for place i,
and `pad` covers the orientation bits, the validity bit and the unused bit of each byte. Distances are kept exactly when
both sides went through it, so a probe is moved (turned, scaled, shifted) first and permuted afterwards: moving a
permuted code is impossible, and that is the point.

Comparing needs the pad off, since whether both cells show palm is an AND and no XOR. For the few templates that are
compared it comes off together with the turns inside the cells; the places stay as the key put them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching.code import COARSE_CELLS, FINE_CELLS, VALID, Cells, PalmCode, mirror
from edge_agent.palm.types import Hand

_ORDERS: Final = np.array(list(permutations(range(6))), np.uint8)  # (720, 6)
_DRAWN_BITS: Final = 64  # a sort key's size: two equal ones among 1,024 have a chance of 3e-14, and then order by place

Stream: TypeAlias = Callable[[int], bytes]
"""The next n bytes of a secret stream."""


def _turn_tables() -> tuple[Cells, Cells]:
    """Returns what an order of the orientations makes of each cell, and the way back, (720, 128) each."""
    cells = np.arange(128, dtype=np.uint8)
    bits = (cells[None, :, None] >> _ORDERS[:, None, :]) & 1  # (720, 128, 6): bit k of the result is bit order[k]
    forth = (bits << np.arange(6, dtype=np.uint8)).sum(-1, dtype=np.uint8) | (cells & np.uint8(VALID))
    back = np.empty_like(forth)
    np.put_along_axis(back, forth.astype(np.intp), cells[None, :].repeat(len(_ORDERS), 0), axis=1)
    return forth, back


_FORTH, _BACK = _turn_tables()


@dataclass(frozen=True, slots=True)
class Scramble:
    """One code's permutation and pad."""

    order: NDArray[np.intp] = field(repr=False)  # (cells,)
    turns: NDArray[np.intp] = field(repr=False)  # (cells,) which of the 720
    pad: Cells = field(repr=False)  # (cells,)

    def protect(self, plain: Cells) -> Cells:
        """Turns cells in the clear (…, cells) into the form that is kept."""
        return np.asarray(_FORTH[self.turns, plain[..., self.order]] ^ self.pad, np.uint8)

    def unpad(self, protected: Cells) -> Cells:
        """Makes kept cells (…, cells) comparable: orientations in their order, cells where the key put them."""
        return np.asarray(_BACK[self.turns, (protected ^ self.pad) & 0x7F], np.uint8)

    def mirror(self, protected: Cells) -> Cells:
        """Returns kept cells (…, cells) as they are of the mirrored picture."""
        plain = np.empty_like(protected)
        plain[..., self.order] = self.unpad(protected)
        return self.protect(mirror(plain))


@dataclass(frozen=True, slots=True)
class Scrambles:
    fine: Scramble = field(repr=False)
    coarse: Scramble = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProtectedCode:
    """A sample in the form that is kept: useless without the school's key, and different under every school's."""

    fine: Cells = field(repr=False)  # (1024,)
    coarse: Cells = field(repr=False)  # (256,)
    hand: Hand

    def erase(self) -> None:
        """Overwrites the cells with zeros. Copies that NumPy made on the way may stay in memory for a while."""
        for cells in (self.fine, self.coarse):
            if cells.flags.writeable:
                cells[...] = 0


def draw(stream: Stream) -> Scrambles:
    """Draws both codes' scrambles from a secret stream; the same stream gives the same ones."""
    return Scrambles(_draw(stream, FINE_CELLS), _draw(stream, COARSE_CELLS))


def identity() -> Scrambles:
    """Returns the scrambles that change nothing: for evaluation on public sets, and to show that protection costs no
    score.
    """
    return Scrambles(_identity(FINE_CELLS), _identity(COARSE_CELLS))


def protect(code: PalmCode, scrambles: Scrambles) -> ProtectedCode:
    return ProtectedCode(scrambles.fine.protect(code.fine), scrambles.coarse.protect(code.coarse), code.hand)


def _draw(stream: Stream, cells: int) -> Scramble:
    order = np.argsort(np.frombuffer(stream(cells * _DRAWN_BITS // 8), "<u8"), kind="stable")
    # 64 bits modulo 720 are uneven by 4e-17.
    turns = np.frombuffer(stream(cells * 8), "<u8") % len(_ORDERS)
    pad = np.frombuffer(stream(cells), np.uint8).copy()
    return Scramble(order.astype(np.intp), turns.astype(np.intp), pad)


def _identity(cells: int) -> Scramble:
    return Scramble(np.arange(cells), np.zeros(cells, np.intp), np.zeros(cells, np.uint8))
