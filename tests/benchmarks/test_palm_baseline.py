"""The baseline sees what is the same, and finds it where it was moved; how well it does decides nothing here."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.palm.measurement.evaluation import Sample
from edge_agent.palm.types import Hand, Region
from tests.benchmarks.palm_baseline import compare, mcnemar, measure, paired, read
from tests.edge_agent.palm.made import region


def sample(identity: str, session: int, number: int) -> Sample:
    return Sample(identity, session, str(number), region(identity, None, 10 * session + number))


def test_a_moved_and_turned_picture_is_found_again() -> None:
    whole = region("a")
    turned = cv2.warpAffine(whole.grey, cv2.getRotationMatrix2D((63.5, 63.5), 4, 1), (128, 128), borderMode=2)
    moved = np.asarray(np.roll(turned, (8, -12), (0, 1)), np.uint8)
    samples = [
        Sample("a", 1, "1", whole),
        Sample("a", 2, "1", Region(moved, whole.mask, Hand.LEFT)),
        Sample("b", 2, "1", region("b")),
    ]
    alike, stranger = compare(samples, (-4.0, 0.0, 4.0), (1.0,))[0, 1:]
    assert alike > 0.6
    assert stranger < 0.35
    assert compare(samples, (0.0,), (1.0,))[0, 1] < alike


def test_protocols_and_counts_are_those_of_the_evaluation() -> None:
    samples = sorted(
        (sample(who, session, number) for who in "abc" for session in (1, 2) for number in (1, 2)),
        key=lambda each: each.name,
    )
    told = measure(samples, compare(samples, (-4.0, 0.0, 4.0), (1.0,)))
    assert (told["identities"], told["samples"]) == (3, 12)
    assert (told["genuine_pairs"], told["impostor_pairs"]) == (12, 24)
    assert told["rank1"] == pytest.approx(100, abs=34)


def test_what_cannot_be_read_is_never_alike(tmp_path: Path) -> None:
    for name in ("a/1-1.png", "a/2-1.png", "b/1-1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), region("a").grey)
    (tmp_path / "b" / "2-1.png").write_bytes(b"no picture")
    samples = list(read(tmp_path))
    assert [each.region is None for each in samples] == [False, False, False, True]
    assert compare(samples, (0.0,), (1.0,))[2, 3] == -1


def test_missed_pairs_are_tested_as_mcnemar_does() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == mcnemar(6, 0) == 2 / 64
    assert mcnemar(1, 9) == 2 * 11 / 1024


def test_pairs_that_one_method_alone_misses_are_counted() -> None:
    samples = [Sample(name, session, "1", None) for session in (1, 2) for name in "ab"]
    plain = np.full((4, 4), -1.0)
    plain[:2, 2:] = [[0.1, 0.3], [0.2, 0.9]]  # the first one's second sample is less alike than strangers
    own = plain.copy()
    own[0, 2] = 0.8
    counted = paired(samples, plain, own)["1e-3"]
    assert counted == {"pairs": 2, "missed_by_both": 0, "only_by_ours": 0, "only_by_plain": 1, "p": 1.0}
