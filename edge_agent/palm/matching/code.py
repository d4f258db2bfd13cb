"""The palm's code: signs of oriented filter responses, one byte a cell.

BOCV (binary orientation co-occurrence vector, Guo et al. 2009) keeps of six orientations whether a dark line crosses
the cell that way; unlike CompCode's strongest orientation this survives where two creases cross. A sample is coded
twice: *fine*, 32 × 32 cells of 4 px, decides; *coarse*, 16 × 16 cells of 8 px, finds the pose and the candidates.

    byte 0-1   "PC"
    byte 2     version of this layout and of the filters, 1
    byte 3     hand: 0 unknown, 1 left, 2 right
    byte 4-7   zero
    byte 8-    1,024 fine cells, row by row, then 256 coarse cells

    a cell:    bit 0-5  dark line across orientation k · 30°;   bit 6  the cell shows palm;   bit 7  zero

A cell that shows no palm is the byte 0. One byte a cell costs an eighth more than packing planes and lets a shift,
a permutation and a comparison each be one operation on whole cells.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching.responses import UPRIGHT, Pose, Responses, axis, sample, sample_mask
from edge_agent.palm.types import Hand

VERSION: Final = 1
FINE_SIDE: Final = 32
FINE_STEP: Final = 4.0  # px
COARSE_SIDE: Final = 16
COARSE_STEP: Final = 8.0  # px
FINE_CELLS: Final = FINE_SIDE * FINE_SIDE
COARSE_CELLS: Final = COARSE_SIDE * COARSE_SIDE
LINES: Final = 0x3F
VALID: Final = 0x40
HEADER_BYTES: Final = 8
CODE_BYTES: Final = HEADER_BYTES + FINE_CELLS + COARSE_CELLS
_MAGIC: Final = b"PC"
_HANDS: Final = (Hand.UNKNOWN, Hand.LEFT, Hand.RIGHT)

Cells: TypeAlias = NDArray[np.uint8]


def _mirrored_cells() -> Cells:
    """Returns each of the 128 cells with orientation k · 30° at −k · 30°."""
    cells = np.arange(128, dtype=np.uint8)
    kept = cells & np.uint8(VALID | 1)
    return np.asarray(kept | sum((cells >> k & 1) << (6 - k) for k in range(1, 6)), np.uint8)


_MIRRORED: Final = _mirrored_cells()


class NotAPalmCode(ValueError):
    """The bytes are no palm code, or one of a version that is not understood here."""


@dataclass(frozen=True, slots=True)
class PalmCode:
    """One sample of one palm, in the clear. It lives as long as an enrolment; only protected ones are kept."""

    fine: Cells = field(repr=False)  # (1024,)
    coarse: Cells = field(repr=False)  # (256,)
    hand: Hand

    @property
    def coverage(self) -> float:
        """Returns the share of the fine cells that show palm."""
        return float(np.count_nonzero(self.fine & VALID) / FINE_CELLS)

    def to_bytes(self) -> bytes:
        header = _MAGIC + bytes((VERSION, _HANDS.index(self.hand), 0, 0, 0, 0))
        return header + self.fine.tobytes() + self.coarse.tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "PalmCode":
        """Reads a code. Raises `NotAPalmCode`; every code that is returned has exactly these bytes."""
        if len(raw) < HEADER_BYTES or raw[:2] != _MAGIC:
            raise NotAPalmCode(f"{len(raw)} bytes that do not begin as a palm code does")
        if raw[2] != VERSION:
            raise NotAPalmCode(f"version {raw[2]}, only {VERSION} is understood: enrol this palm again")
        if len(raw) != CODE_BYTES:
            raise NotAPalmCode(f"{len(raw)} bytes, version {VERSION} has {CODE_BYTES}")
        if raw[3] >= len(_HANDS) or any(raw[4:8]):
            raise NotAPalmCode("a header of this version has no such hand, or zeros at its end")
        cells = np.frombuffer(raw, np.uint8, offset=HEADER_BYTES)
        if np.any(cells & 0x80) or np.any((cells & VALID == 0) & (cells != 0)):
            raise NotAPalmCode("a cell has a bit set that no encoder sets")
        return cls(cells[:FINE_CELLS].copy(), cells[FINE_CELLS:].copy(), _HANDS[raw[3]])


def encode(responses: Responses, hand: Hand, pose: Pose = UPRIGHT) -> PalmCode:
    """Codes a sample in its own or another `pose`. Further samples of a palm are kept in the first one's pose."""
    return PalmCode(
        _encode(responses, FINE_SIDE, FINE_STEP, pose), _encode(responses, COARSE_SIDE, COARSE_STEP, pose), hand
    )


def _encode(responses: Responses, side: int, step: float, pose: Pose) -> Cells:
    xs, ys = axis(side, step, pose.dx), axis(side, step, pose.dy)
    maps, pixel = (responses.fine, 1) if side == FINE_SIDE else (responses.coarse, 2)
    sampled = sample(maps, pixel, [pose.turn_deg], [pose.scale], xs, ys)
    visibility = sample_mask(responses.mask, [pose.turn_deg], [pose.scale], xs, ys)
    return to_cells(sampled, visibility).reshape(-1)


def mirror(cells: Cells) -> Cells:
    """Returns square codes (…, side²) as they are of the mirrored picture: columns change places, and orientation k is
    −k.
    """
    side = round(cells.shape[-1] ** 0.5)
    square = cells.reshape(*cells.shape[:-1], side, side)[..., ::-1]
    return _MIRRORED[square].reshape(cells.shape)


def to_cells(responses: NDArray[np.float32], visibility: NDArray[np.float32]) -> Cells:
    """Turns responses (…, 6) and a mask (…) into cells (…)."""
    # Eight flags a cell, packed in one run over the whole: six at a time is four times slower.
    flags = np.zeros((*visibility.shape, 8), np.bool_)
    np.less(responses, 0, out=flags[..., :6])
    flags[..., 6] = True
    return np.packbits(flags, bitorder="little").reshape(visibility.shape) * (visibility > 0)
