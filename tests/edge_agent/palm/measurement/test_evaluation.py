import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.cutout import read_cutout
from edge_agent.palm.matching.permutation import identity
from edge_agent.palm.measurement.evaluation import Evaluation, Sample, evaluate, plan, report
from edge_agent.palm.measurement.plot import draw
from tests.edge_agent.palm.made import region, scrambles
from tests.outside import find_palms


def clock() -> Callable[[], float]:
    ticks = count()
    return lambda: next(ticks) / 1000


def sample(identity: str, session: int, number: int, *, acquired: bool = True, of: str | None = None) -> Sample:
    seen = region(of or identity, None, 10 * session + number) if acquired else None
    return Sample(identity, session, str(number), seen, 0.02)


def two_sessions() -> list[Sample]:
    """Three people; b's second probe was not acquired, and c's is somebody else's palm."""
    made = [sample(who, session, number) for who in "abc" for session in (1, 2) for number in (1, 2)]
    made = [one for one in made if one.name not in ("b/2-2", "c/2-2")]
    return [*made, sample("b", 2, 2, acquired=False), sample("c", 2, 2, of="z"), sample("d", 1, 1)]


def test_two_sessions_by_hand() -> None:
    found = evaluate(two_sessions(), identity(), clock())
    # Verification: 6 probes of session 2 against 7 of session 1; each probe has 2 genuine pairs.
    assert (len(found.verification.mated), len(found.verification.strangers)) == (12, 30)
    assert sorted(found.verification.mated.tolist())[:2] == [-1.0, -1.0]  # the one not acquired
    assert sum(score < 0.3 for score in found.verification.mated) == 4
    assert max(found.verification.strangers) < 0.35
    # The worst of both kinds are named: the genuine pairs that agree least, the strangers that agree most.
    assert [pair[0] for pair in found.verification.worst] == sorted(found.verification.mated.tolist())
    assert [pair[0] for pair in found.verification.likest] == sorted(found.verification.strangers, reverse=True)[:20]
    assert {pair[2] for pair in found.verification.worst[:4]} == {"b/2-2", "c/2-2"}
    # Identification: 3 people by min(3, 4 − 1) samples of their first session, which has 2; strangers: 6 probes and d.
    who = found.identification
    assert (who.persons, who.templates) == (3, 6)
    assert (who.rank1.events, who.rank1.trials) == (4, 6)
    assert (who.misses.events, who.misses.trials) == (2, 6)
    assert set(who.missed) == {"b/2-2", "c/2-2"}
    assert (who.false.events, who.false.trials) == (0, 7)
    assert found.failed == ("b/2-2",)


def test_the_report_has_its_keys_and_is_silent_where_the_set_is_too_small() -> None:
    out = json.loads(json.dumps(report(evaluate(two_sessions(), identity(), clock()))))
    assert out["identities"] == 4
    assert out["samples"] == 13
    assert out["failed_to_acquire"] == 1
    assert out["frr_at_far"] == {"1e-3": None, "1e-4": None, "1e-5": None}
    assert out["fnir_at_fpir"] == {"1%": None, "0.1%": None}
    assert out["rank1"] == pytest.approx(66.6667)
    assert out["shipped"] == {"fnir": pytest.approx(33.3333), "fpir": 0.0}
    assert out["ms"]["region"] == {"p50": 20.0, "p99": 20.0}
    assert out["ms"]["search"] == {"p50": 1.0, "p99": 1.0}
    assert out["template_bytes"] <= 2048
    assert out["detail"]["rank1"]["events"] == 4
    assert out["detail"]["frr_at_far"]["1e-3"]["shown"] is False


def test_one_session_takes_every_pair_once_and_probes_the_rest() -> None:
    samples = [sample(who, 0, number) for who in "ab" for number in range(5)] + [sample("c", 0, 0), sample("c", 0, 1)]
    found = evaluate(samples, scrambles(1), clock())
    assert len(found.verification.mated) == 10 + 10 + 1
    assert len(found.verification.strangers) == 12 * 11 // 2 - 21
    assert found.identification.templates == 3 + 3 + 1  # min(3, n − 1)
    assert found.identification.rank1.trials == 2 + 2 + 1


def test_an_identity_with_one_sample_is_a_stranger_only() -> None:
    enrolled, probes, singles = plan([sample("a", 0, 0, acquired=False), sample("b", 1, 0), sample("b", 2, 0)])
    assert enrolled == {"b": [1]}
    assert probes == [2]
    assert singles == [0]


def test_nothing_is_an_evaluation_too() -> None:
    out = report(evaluate([], identity(), clock()))
    assert out["eer"] is None
    assert out["rank1"] is None
    assert out["samples"] == 0
    only_failures = [sample("a", 0, number, acquired=False) for number in range(3)]
    found = evaluate(only_failures, identity(), clock())
    assert found.identification.rank1.percent == 0
    assert len(found.failed) == 3


def test_threads_and_keys_change_no_score() -> None:
    plain = evaluate(two_sessions(), identity(), clock())
    with ThreadPoolExecutor(2) as pool:

        def spread(work: Callable[[int], Any], items: Iterable[int]) -> Iterable[Any]:
            return pool.map(work, items)

        kept = evaluate(two_sessions(), scrambles(5), clock(), spread)
    assert plain.verification.mated.tolist() == kept.verification.mated.tolist()
    assert plain.verification.strangers.tolist() == kept.verification.strangers.tolist()
    assert plain.identification.mated.tolist() == kept.identification.mated.tolist()


def test_the_plot_is_drawn() -> None:
    picture = draw(evaluate(two_sessions(), identity(), clock()), "drawn palms")
    assert picture.shape == (1040, 1040, 3)
    assert (picture < 250).mean() > 0.01
    assert draw(evaluate([], identity(), clock()), "nothing").shape == (1040, 1040, 3)


def real(name: str, identities: int) -> Evaluation:
    samples = []
    for folder in sorted(find_palms(name).iterdir())[:identities]:
        for path in sorted(folder.iterdir()):
            session, number = path.stem.split("-", 1)
            picture = np.asarray(cv2.imread(str(path)))
            samples.append(Sample(folder.name, int(session), number, read_cutout(picture)))
    return evaluate(samples, identity(), clock())


@pytest.mark.parametrize(("name", "identities"), [("casia_WHT", 6), ("casia_940", 6), ("iitd", 4)])
def test_real_palms_are_known(name: str, identities: int) -> None:
    found = real(name, identities)
    equal = found.verification.equal_error
    assert equal is not None
    assert equal.percent <= 1
    assert found.identification.rank1.percent == 100
    assert found.identification.false.events == 0
