"""Counts bits, with NumPy 1.26 as well."""

import numpy as np
from numpy.typing import NDArray

_COUNTS_OF_16_BITS = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


def _count_by_table(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Counts the bits of each word of 64 bits, or of each byte."""
    if words.dtype == np.uint8:
        return np.asarray(_COUNTS_OF_16_BITS[words], np.uint8)
    halves = np.ascontiguousarray(words).view(np.uint16).reshape(*words.shape, 4)
    counted: NDArray[np.uint8] = _COUNTS_OF_16_BITS[halves].sum(-1, dtype=np.uint8)
    return counted


def _count_by_numpy(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    counted: NDArray[np.uint8] = np.bitwise_count(words)
    return counted


count = _count_by_numpy if hasattr(np, "bitwise_count") else _count_by_table
