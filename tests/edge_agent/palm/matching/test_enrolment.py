from dataclasses import replace
from os import urandom

import numpy as np

from edge_agent.palm.matching.enrolment import (
    PalmEnrolment,
    RefusedSample,
    SampleRefusal,
    adapted,
)
from edge_agent.palm.matching.gallery import Palm, Snapshot, empty
from edge_agent.palm.matching.limits import ADAPT_SURE_MIN, SAMPLES_MAX
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.protection.seal import Purpose, seal, unseal
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import region, responses, scrambles

KEY = scrambles(1)
NOBODY = empty(KEY)


def enrolled(person: str, name: str, gallery: Snapshot = NOBODY, seeds: tuple[int, ...] = (1, 2, 3)) -> Palm:
    going = PalmEnrolment(name, Hand.LEFT, KEY)
    for seed in seeds:
        step = going.add(responses(person, seed), Hand.LEFT, gallery)
        assert isinstance(step, PalmEnrolment), step
        going = step
    palm = going.finish()
    assert isinstance(palm, Palm)
    return palm


def test_three_good_samples_make_a_palm_that_is_recognised() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    assert gallery.search(Probe(responses("a", 8), KEY))[0].person == "pupil-1"
    assert gallery.templates == 3


def test_two_are_too_few_and_seven_too_many() -> None:
    going = PalmEnrolment("pupil-1", Hand.LEFT, KEY)
    for seed in range(SAMPLES_MAX):
        assert (going.finish() == RefusedSample(SampleRefusal.TOO_FEW)) == (seed < 3)
        step = going.add(responses("a", seed), Hand.LEFT, NOBODY)
        assert isinstance(step, PalmEnrolment)
        going = step
    assert going.add(responses("a", 20), Hand.LEFT, NOBODY) == RefusedSample(SampleRefusal.ENOUGH)


def test_what_is_refused_and_why() -> None:
    begun = PalmEnrolment("pupil-1", Hand.LEFT, KEY).add(responses("a", 1), Hand.LEFT, NOBODY)
    assert isinstance(begun, PalmEnrolment)
    assert begun.add(responses("a", 1), Hand.LEFT, NOBODY) == RefusedSample(SampleRefusal.SAME_PICTURE)
    assert begun.add(responses("b", 1), Hand.LEFT, NOBODY) == RefusedSample(SampleRefusal.OTHER_PALM)
    assert begun.add(responses("b", 1), Hand.RIGHT, NOBODY) == RefusedSample(SampleRefusal.OTHER_HAND)
    assert isinstance(begun.add(responses("a", 2), Hand.RIGHT, NOBODY), PalmEnrolment), "a thumb taken for another"
    whole = region("a", None, 2)
    mask = whole.mask.copy()
    mask[:60] = False
    assert begun.add(respond(Region(whole.grey, mask, Hand.LEFT)), Hand.LEFT, NOBODY) == RefusedSample(
        SampleRefusal.TOO_LITTLE_PALM
    )


def test_the_same_palm_under_another_name_is_found_at_the_first_sample() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    step = PalmEnrolment("dead-soul", Hand.LEFT, KEY).add(responses("a", 5), Hand.LEFT, gallery)
    assert step == RefusedSample(SampleRefusal.KNOWN_AS_ANOTHER, "pupil-1")


def test_enrolling_again_under_the_own_name_is_allowed() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    again = gallery.changed([enrolled("a", "pupil-1", gallery, (4, 5, 6))])
    assert again.templates == 3
    assert again.persons == 1


def test_what_is_learned_stands_beside_the_enrolled_samples_and_never_in_their_place() -> None:
    palm = enrolled("a", "pupil-1")
    fresh = palm
    for seed, count in ((11, 1), (12, 2), (13, 2), (14, 2)):
        before, learned = fresh, adapted(fresh, responses("a", seed), KEY)
        assert learned is not None
        fresh = learned
        assert (fresh.adapted, len(fresh.fine)) == (count, 3 + count)
        assert (fresh.fine[:3] == palm.fine).all()
        if count == before.adapted:
            assert (fresh.fine[3] == before.fine[4]).all(), "the oldest of the learned ones gives way"
    assert NOBODY.changed([fresh]).search(Probe(responses("a", 8), KEY))[0].agreement > ADAPT_SURE_MIN


def test_only_an_enrolled_sample_vouches_for_what_is_learned() -> None:
    palm, other = enrolled("a", "pupil-1"), enrolled("b", "pupil-2")
    assert adapted(palm, responses("b", 9), KEY) is None
    drifted = replace(
        palm,
        fine=np.concatenate([palm.fine, other.fine[:1]]),
        coarse=np.concatenate([palm.coarse, other.coarse[:1]]),
        adapted=1,
    )
    assert adapted(drifted, responses("b", 9), KEY) is None
    assert adapted(palm, responses("a", 1), KEY) is None, "a picture that is known teaches nothing"


def test_a_seal_keeps_apart_what_was_enrolled_and_what_was_learned() -> None:
    learned = adapted(enrolled("a", "pupil-1"), responses("a", 11), KEY)
    assert learned is not None
    key = SchoolKey(bytes(32))
    back = unseal(seal(learned, key, "s", Purpose.AT_REST, urandom), key, "s", Purpose.AT_REST)
    assert (back.adapted, back.hand, len(back.fine)) == (1, Hand.LEFT, 4)
