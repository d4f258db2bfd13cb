"""Merkle trees by RFC 9162, section 2.1; the hashes are those of RFC 6962.

    leaf  SHA-256(0x00 ‖ leaf)        node  SHA-256(0x01 ‖ first ‖ second)

A tree of n leaves parts at the largest power of two below n. So every part that a proof needs is a row of *subtrees*:
complete trees of 2^level leaves, each named by (level, number), that never change once they are full. Whoever stores
these can make any proof by reading a few of them; `subtrees` says which.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**63 - 1  # what C2SP's checkpoints allow
EMPTY_ROOT: Final = sha256(b"").digest()

SubtreeName = tuple[int, int]  # level and number: leaves number * 2^level up to the next one's first
SubtreeLookup = Callable[[SubtreeName], bytes]


class UnprovenTree(ValueError):
    """A path that does not lead to its root: a leaf is not in the tree, or one tree does not continue the other."""


def hash_leaf(leaf: bytes) -> bytes:
    """Returns the hash under which a leaf stands in a tree."""
    return sha256(b"\0" + leaf).digest()


def hash_node(first: bytes, second: bytes) -> bytes:
    """Returns the hash of two neighbouring parts of a tree."""
    return sha256(b"\1" + first + second).digest()


def subtrees(leaves: range) -> list[SubtreeName]:
    """Returns the complete subtrees that make up a part of a tree, from its first leaf to its last.

    `leaves`: a part as `inclusion_parts` and `consistency_parts` give them, or `range(size)` for a whole tree.
    """
    names, start = [], leaves.start
    while start < leaves.stop:
        level = (leaves.stop - start).bit_length() - 1
        names.append((level, start >> level))
        start += 1 << level
    return names


def hash_part(leaves: range, lookup: SubtreeLookup) -> bytes:
    """Returns the hash of a part of a tree, or of a whole one: of `range(size)`."""
    if not leaves:
        return EMPTY_ROOT
    *rest, root = (lookup(name) for name in subtrees(leaves))
    for hashed in reversed(rest):
        root = hash_node(hashed, root)
    return root


def inclusion_parts(index: int, size: int) -> list[range]:
    """Returns the parts whose hashes prove that leaf `index` is in a tree of `size` leaves, in RFC 9162's order.

    Raises IndexError where the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of a tree of {size}")
    parts, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _part_size(stop - start)
        if index < middle:
            parts.append(range(middle, stop))
            stop = middle
        else:
            parts.append(range(start, middle))
            start = middle
    return parts[::-1]


def consistency_parts(old_size: int, size: int) -> list[range]:
    """Returns the parts whose hashes prove that a tree of `size` leaves continues its own first `old_size` ones.

    Raises IndexError where the older tree is the larger one.
    """
    if not 0 <= old_size <= size:
        raise IndexError(f"a tree of {size} leaves cannot continue one of {old_size}")
    if old_size in (0, size):
        return []
    parts, start, stop, whole = [], 0, size, True
    while old_size < stop:
        middle = start + _part_size(stop - start)
        if old_size <= middle:
            parts.append(range(middle, stop))
            stop = middle
        else:
            parts.append(range(start, middle))
            start, whole = middle, False
    return ([] if whole else [range(start, stop)]) + parts[::-1]


def _part_size(size: int) -> int:
    """Returns the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


class HashTree:
    """A tree in memory, of leaf hashes in order."""

    def __init__(self, leaf_hashes: Iterable[bytes]) -> None:
        level = list(leaf_hashes)
        self.size = len(level)
        self._levels = [level]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [hash_node(first, second) for first, second in pairs]
            self._levels.append(level)

    def lookup(self, name: SubtreeName) -> bytes:
        """Returns the hash of a complete subtree."""
        level, number = name
        return self._levels[level][number]

    def root(self, size: int | None = None) -> bytes:
        """Returns the root of the first `size` leaves, else of all."""
        return hash_part(range(self.size if size is None else size), self.lookup)

    def prove_inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Returns the path from leaf `index` to the root of the first `size` leaves, else of all."""
        parts = inclusion_parts(index, self.size if size is None else size)
        return [hash_part(part, self.lookup) for part in parts]

    def prove_consistency(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Returns the path that shows that the first `size` leaves, else all, continue the first `old_size`."""
        parts = consistency_parts(old_size, self.size if size is None else size)
        return [hash_part(part, self.lookup) for part in parts]


@dataclass(frozen=True, slots=True)
class TreeFrontier:
    """The complete subtrees of a tree of `size` leaves, largest first: all that is needed to go on appending."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Returns the root of the tree so far."""
        by_name = dict(zip(subtrees(range(self.size)), self.hashes, strict=True))
        return hash_part(range(self.size), by_name.__getitem__)

    def append(self, leaf_hash: bytes) -> "tuple[TreeFrontier, list[tuple[SubtreeName, bytes]]]":
        """Returns the frontier with one more leaf, and the subtrees that this leaf completes, the leaf's own first."""
        hashes, number, merged = list(self.hashes), self.size, leaf_hash
        completed = [((0, number), leaf_hash)]
        while number & 1:
            merged, number = hash_node(hashes.pop(), merged), number >> 1
            completed.append(((len(completed), number), merged))
        return TreeFrontier(self.size + 1, (*hashes, merged)), completed


def root_by_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Returns the root of the tree of `size` leaves to which `path` leads from leaf `index` (RFC 9162, 2.1.3.2).

    Raises `UnprovenTree` for a path of the wrong length. The caller compares the root with a signed one.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise UnprovenTree(f"leaf {index} of a tree of {size}")
    place, last, root = index, size - 1, leaf_hash
    for beside in path:
        if last == 0:
            raise UnprovenTree("the path is longer than the tree is high")
        if place & 1 or place == last:
            root = hash_node(beside, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = hash_node(root, beside)
        place, last = place >> 1, last >> 1
    if last:
        raise UnprovenTree("the path ends below the root")
    return root


def verify_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises `UnprovenTree` unless the leaf stands at `index` in the tree of this size and root."""
    if root_by_inclusion(leaf_hash, index, size, path) != root:
        raise UnprovenTree(f"leaf {index} is not in this tree of {size}")


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Raises `UnprovenTree` unless the tree of `size` leaves continues the one of `old_size` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= size <= SIZE_MAX:
        raise UnprovenTree(f"a tree of {size} leaves cannot continue one of {old_size}")
    if old_size in (0, size):
        if path or (old_root != (EMPTY_ROOT if old_size == 0 else root)):
            raise UnprovenTree(f"two trees of {size} leaves that differ, or a path where none is needed")
        return
    hashes = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not hashes:
        raise UnprovenTree("no path")
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old, new = hashes[0], hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            raise UnprovenTree("the path is longer than the tree is high")
        if place & 1 or place == last:
            old, new = hash_node(beside, old), hash_node(beside, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = hash_node(new, beside)
        place, last = place >> 1, last >> 1
    if last or (old, new) != (old_root, root):
        raise UnprovenTree(f"the tree of {size} leaves does not continue the one of {old_size}")
