"""Trees against RFC 9162's own definitions, written again as they stand there, and against pymerkle."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as pymerkle_consistency
from pymerkle import verify_inclusion as pymerkle_inclusion

from sync.proof.tree import (
    EMPTY_ROOT,
    HashTree,
    SubtreeName,
    TreeFrontier,
    UnprovenTree,
    hash_leaf,
    hash_part,
    root_by_inclusion,
    subtrees,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots that the Certificate Transparency project's own tests have.
CT_LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
CT_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def some_leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


def tree_of(leaves: list[bytes]) -> HashTree:
    return HashTree(map(hash_leaf, leaves))


def test_roots_are_those_of_certificate_transparency() -> None:
    tree = tree_of(CT_LEAVES)
    assert {size: tree.root(size).hex() for size in CT_ROOTS} == CT_ROOTS
    assert tree.root(0) == EMPTY_ROOT == mth([])


def test_all_proofs_of_small_trees_are_the_rfc_s_and_hold() -> None:
    leaves = some_leaves(34)
    tree = tree_of(leaves)
    for size in range(1, len(leaves) + 1):
        root = mth(leaves[:size])
        assert tree.root(size) == root
        for index in range(size):
            proof = tree.prove_inclusion(index, size)
            assert proof == path(index, leaves[:size])
            verify_inclusion(hash_leaf(leaves[index]), index, size, proof, root)
        for old in range(1, size + 1):
            proof = tree.prove_consistency(old, size)
            assert proof == subproof(old, leaves[:size], True)
            verify_consistency(old, mth(leaves[:old]), size, root, proof)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 33])
def test_pymerkle_agrees(size: int) -> None:
    leaves = some_leaves(size)
    ours, theirs = tree_of(leaves), InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        theirs.append_entry(leaf)
    assert theirs.get_root() == ours.root()
    for index in range(size):
        proof = theirs.prove_inclusion(index + 1, size)
        pymerkle_inclusion(hash_leaf(leaves[index]), ours.root(), proof)
        verify_inclusion(hash_leaf(leaves[index]), index, size, ours.prove_inclusion(index), theirs.get_root())
    for old in range(1, size + 1):
        pymerkle_consistency(ours.root(old), ours.root(), theirs.prove_consistency(old, size))
        verify_consistency(old, theirs.get_root(old), size, theirs.get_root(), ours.prove_consistency(old))


@given(st.integers(0, 200))
def test_a_frontier_grows_into_the_same_tree(size: int) -> None:
    leaves = some_leaves(size)
    frontier = TreeFrontier()
    stored: dict[SubtreeName, bytes] = {}
    for leaf in leaves:
        frontier, completed = frontier.append(hash_leaf(leaf))
        assert not stored.keys() & {name for name, _ in completed}
        stored.update(completed)
    assert frontier.root() == mth(leaves) == hash_part(range(size), stored.__getitem__)
    assert frontier.hashes == tuple(stored[name] for name in subtrees(range(size)))


@given(st.data())
def test_a_changed_inclusion_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    tree = tree_of(some_leaves(size))
    leaf, proof, root = hash_leaf(some_leaves(size)[index]), tree.prove_inclusion(index), tree.root()
    changed = data.draw(st.sampled_from(["index", "leaf", "cut", "longer", "hash", "swap"]))
    match changed:
        case "index":
            other = data.draw(st.integers(-1, size + 70).filter(lambda number: number != index))
            with pytest.raises(UnprovenTree):
                verify_inclusion(leaf, other, size, proof, root)
            return
        case "leaf":
            leaf = hash_leaf(b"another")
        case "cut" if proof:
            proof = proof[:-1]
        case "hash" if proof:
            place = data.draw(st.integers(0, len(proof) - 1))
            proof[place] = hash_leaf(b"another")
        case "swap" if len(proof) > 1:
            proof[0], proof[1] = proof[1], proof[0]
        case _:
            proof.append(root)
    with pytest.raises(UnprovenTree):
        verify_inclusion(leaf, index, size, proof, root)


@given(st.data())
def test_a_history_that_was_edited_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, size - 1))
    edited = data.draw(st.integers(0, old - 1))
    leaves = some_leaves(size)
    honest = tree_of(leaves)
    forged = tree_of([*leaves[:edited], b"edited", *leaves[edited + 1 :]])
    for proof in (honest.prove_consistency(old), forged.prove_consistency(old)):
        with pytest.raises(UnprovenTree):
            verify_consistency(old, honest.root(old), size, forged.root(), proof)
    with pytest.raises(UnprovenTree):
        verify_consistency(old, honest.root(old), size, honest.root(), [*honest.prove_consistency(old), honest.root()])


def test_sizes_that_cannot_be_are_refused() -> None:
    tree = tree_of(some_leaves(4))
    with pytest.raises(IndexError):
        tree.prove_inclusion(4)
    with pytest.raises(IndexError):
        tree.prove_consistency(5)
    with pytest.raises(UnprovenTree):
        root_by_inclusion(tree.root(), 0, 2**63, [])
    with pytest.raises(UnprovenTree):
        verify_consistency(4, tree.root(), 3, tree.root(3), [])
    with pytest.raises(UnprovenTree):
        verify_consistency(0, tree.root(), 4, tree.root(), [])
    with pytest.raises(UnprovenTree):
        verify_consistency(4, tree.root(3), 4, tree.root(), [])
    with pytest.raises(UnprovenTree):
        verify_consistency(3, tree.root(3), 4, tree.root(), [])
