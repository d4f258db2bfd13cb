from edge_agent.palm.enrolment import SAMPLES_MAX, Enrolment, Refusal, Refused, adapted
from edge_agent.palm.gallery import Palm, Snapshot, empty
from edge_agent.palm.probe import Probe
from edge_agent.palm.responses import respond
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import region, responses, scrambles

KEY = scrambles(1)
NOBODY = empty(KEY)


def enrolled(person: str, name: str, gallery: Snapshot = NOBODY, seeds: tuple[int, ...] = (1, 2, 3)) -> Palm:
    going = Enrolment(name, Hand.LEFT, KEY)
    for seed in seeds:
        step = going.add(responses(person, seed), Hand.LEFT, gallery)
        assert isinstance(step, Enrolment), step
        going = step
    palm = going.finish()
    assert isinstance(palm, Palm)
    return palm


def test_three_good_samples_make_a_palm_that_is_recognised() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    assert gallery.search(Probe(responses("a", 8), KEY))[0].person == "pupil-1"
    assert gallery.templates == 3


def test_two_are_too_few_and_seven_too_many() -> None:
    going = Enrolment("pupil-1", Hand.LEFT, KEY)
    for seed in range(SAMPLES_MAX):
        assert (going.finish() == Refused(Refusal.TOO_FEW)) == (seed < 3)
        step = going.add(responses("a", seed), Hand.LEFT, NOBODY)
        assert isinstance(step, Enrolment)
        going = step
    assert going.add(responses("a", 20), Hand.LEFT, NOBODY) == Refused(Refusal.ENOUGH)


def test_what_is_refused_and_why() -> None:
    begun = Enrolment("pupil-1", Hand.LEFT, KEY).add(responses("a", 1), Hand.LEFT, NOBODY)
    assert isinstance(begun, Enrolment)
    assert begun.add(responses("a", 1), Hand.LEFT, NOBODY) == Refused(Refusal.SAME_PICTURE)
    assert begun.add(responses("b", 1), Hand.LEFT, NOBODY) == Refused(Refusal.OTHER_PALM)
    assert begun.add(responses("a", 2), Hand.RIGHT, NOBODY) == Refused(Refusal.OTHER_HAND)
    whole = region("a", None, 2)
    mask = whole.mask.copy()
    mask[:60] = False
    assert begun.add(respond(Region(whole.grey, mask, Hand.LEFT)), Hand.LEFT, NOBODY) == Refused(
        Refusal.TOO_LITTLE_PALM
    )


def test_the_same_palm_under_another_name_is_found_at_the_first_sample() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    step = Enrolment("dead-soul", Hand.LEFT, KEY).add(responses("a", 5), Hand.LEFT, gallery)
    assert step == Refused(Refusal.KNOWN_AS_ANOTHER, "pupil-1")


def test_enrolling_again_under_the_own_name_is_allowed() -> None:
    gallery = NOBODY.changed([enrolled("a", "pupil-1")])
    again = gallery.changed([enrolled("a", "pupil-1", gallery, (4, 5, 6))])
    assert again.templates == 3
    assert again.persons == 1


def test_adaptation_is_off_unless_allowed_and_keeps_the_first_sample() -> None:
    palm = enrolled("a", "pupil-1")
    assert adapted(palm, responses("a", 9), KEY) is palm
    changed = adapted(palm, responses("a", 9), KEY, allowed=True)
    assert changed is not palm
    assert (changed.fine[0] == palm.fine[0]).all()
    assert (changed.fine[1] == palm.fine[2]).all()
    assert adapted(palm, responses("b", 9), KEY, allowed=True) is palm
