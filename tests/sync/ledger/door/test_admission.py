"""Buckets let in by turns, and forget whom they turned away."""

from sync.ledger.door.admission import NamedBuckets, TokenBucket


def test_the_bucket_lets_in_by_turns() -> None:
    now = 0.0
    bucket = TokenBucket(10, 3, lambda: now)
    assert [bucket.admit() for _ in range(3)] == [0, 0, 0]
    waits = [bucket.admit() for _ in range(100)]
    assert min(waits) >= 1
    assert waits == sorted(waits)
    assert waits[-1] == 11  # a hundred turned away, ten a second
    now = 1.0
    assert bucket.admit() == 0


def test_a_flood_that_is_over_makes_nobody_wait() -> None:
    now = 0.0
    bucket = TokenBucket(10, 1, lambda: now)
    for _ in range(1_000):
        bucket.admit()
    now = 100.0
    assert bucket.admit() == 0
    assert bucket.admit() == 2, "one more is turned away: about a second, whatever the flood was"


def test_each_name_has_its_own_bucket() -> None:
    buckets = NamedBuckets(1, 2, lambda: 0.0)
    assert [buckets.admit("left") for _ in range(3)] == [0, 0, 2]
    assert buckets.admit("right") == 0
