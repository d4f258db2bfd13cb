"""Makes a palm known: several good samples that agree with one another and with nobody else.

Consent is asked before any of this and is not this room's business. `PalmEnrolment` is a value: each sample gives the
next one or a reason, and the screen says it. Samples are kept in the pose of the first one, so that they can be summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge_agent.palm.matching.code import PalmCode, encode
from edge_agent.palm.matching.gallery import Candidate, Palm, Ranking, Snapshot
from edge_agent.palm.matching.limits import (
    ADAPT_SURE_MIN,
    ADAPTED_MAX,
    CONSISTENT_MIN,
    COVERAGE_MIN,
    SAME_PICTURE_MIN,
    SAMPLES_MAX,
    SAMPLES_MIN,
)
from edge_agent.palm.matching.match import Likeness, compare, unlock
from edge_agent.palm.matching.operating_point import OperatingPoint
from edge_agent.palm.matching.permutation import ProtectedCode, Scrambles, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses
from edge_agent.palm.types import Hand


class SampleRefusal(StrEnum):
    TOO_LITTLE_PALM = "too-little-palm"
    SAME_PICTURE = "same-picture"  # move the hand away and back
    OTHER_PALM = "other-palm"  # not the palm of the samples before
    OTHER_HAND = "other-hand"
    ENOUGH = "enough"
    TOO_FEW = "too-few"  # samples
    KNOWN_AS_ANOTHER = "known-as-another"  # the palm is enrolled under another name


@dataclass(frozen=True, slots=True)
class RefusedSample:
    reason: SampleRefusal
    known_as: str | None = None  # for the staff's side only


@dataclass(frozen=True, slots=True)
class PalmEnrolment:
    """One hand of one person on its way into the gallery."""

    person: str
    hand: Hand
    scrambles: Scrambles = field(repr=False)
    samples: tuple[ProtectedCode, ...] = field(default=(), repr=False)

    @property
    def complete(self) -> bool:
        return len(self.samples) >= SAMPLES_MIN

    def add(self, responses: Responses, hand: Hand, gallery: Snapshot) -> "PalmEnrolment | RefusedSample":
        """Takes a sample, or says why not. The whole gallery is searched each time, so a palm under a second name shows
        at once. `hand` is what the picture seems to show; it only chooses the words of a refusal.
        """
        if len(self.samples) >= SAMPLES_MAX:
            return RefusedSample(SampleRefusal.ENOUGH)
        code = encode(responses, self.hand)
        if code.coverage < COVERAGE_MIN:
            return RefusedSample(SampleRefusal.TOO_LITTLE_PALM)
        probe = Probe(responses, self.scrambles)
        if self.samples:
            likenesses = likeness_to(probe, self.samples)
            if max(likeness.agreement for likeness in likenesses) >= SAME_PICTURE_MIN:
                return RefusedSample(SampleRefusal.SAME_PICTURE)
            if likenesses[0].agreement < CONSISTENT_MIN:
                told_apart = Hand.UNKNOWN not in (hand, self.hand) and hand != self.hand
                return RefusedSample(SampleRefusal.OTHER_HAND if told_apart else SampleRefusal.OTHER_PALM)
            code = encode(responses, self.hand, likenesses[0].pose)
        point = gallery.operating_point()
        alike = namesakes(gallery.search(probe, without=self.person), point)
        if alike:
            return RefusedSample(SampleRefusal.KNOWN_AS_ANOTHER, alike[0].person)
        return replace(self, samples=(*self.samples, protect(code, self.scrambles)))

    def finish(self) -> "Palm | RefusedSample":
        """Returns the palm for the gallery, where it replaces an older one of the same hand."""
        return Palm.of(self.person, self.hand, self.samples) if self.complete else RefusedSample(SampleRefusal.TOO_FEW)


def namesakes(ranking: Ranking, point: OperatingPoint) -> tuple[Candidate, ...]:
    """Returns the persons who would be taken for the same one. There is no margin here, since every one of them
    matters.
    """
    return tuple(candidate for candidate in ranking if candidate.agreement >= point.threshold)


def align(responses: Sequence[Responses], hand: Hand, scrambles: Scrambles) -> list[ProtectedCode]:
    """Codes one palm without an enrolment's questions: the first sample as it is, the others in its pose."""
    codes: list[PalmCode] = []
    first: list[ProtectedCode] = []
    for response in responses:
        if not codes:
            codes.append(encode(response, hand))
            first.append(protect(codes[0], scrambles))
            continue
        likeness = likeness_to(Probe(response, scrambles), first)[0]
        agrees = likeness.agreement >= CONSISTENT_MIN
        codes.append(encode(response, hand, likeness.pose) if agrees else encode(response, hand))
    return [protect(code, scrambles) for code in codes]


def likeness_to(probe: Probe, samples: Sequence[ProtectedCode]) -> list[Likeness]:
    """Compares the probe 1:1 with each of some samples."""
    palm = Palm.of("", Hand.UNKNOWN, samples)
    return compare(probe, unlock(palm.fine, palm.coarse, probe.scrambles.fine, probe.scrambles.coarse))


def adapted(palm: Palm, responses: Responses, scrambles: Scrambles) -> Palm | None:
    """Returns the palm with a sample of a very sure recognition as its newest; None where it would add nothing.

    Palms grow. Enrolled samples stay for ever and alone vouch for what is added, so that no chain of small steps can
    lead from one person to another; beside them at most `ADAPTED_MAX`, of which the oldest gives way.
    """
    enrolled = len(palm.fine) - palm.adapted
    samples = [ProtectedCode(*cells, palm.hand) for cells in zip(palm.fine, palm.coarse, strict=True)]
    likenesses = likeness_to(Probe(responses, scrambles), samples)
    if max(likeness.agreement for likeness in likenesses[:enrolled]) < ADAPT_SURE_MIN:
        return None
    if max(likeness.agreement for likeness in likenesses) >= SAME_PICTURE_MIN:
        return None
    if likenesses[0].agreement < CONSISTENT_MIN:
        return None  # its pose against the first sample is not sure, and all are kept in that one's
    code = encode(responses, palm.hand, likenesses[0].pose)
    if code.coverage < COVERAGE_MIN:
        return None
    adapted_samples = samples[enrolled:][-(ADAPTED_MAX - 1) :]
    return Palm.of(
        palm.person,
        palm.hand,
        [*samples[:enrolled], *adapted_samples, protect(code, scrambles)],
        len(adapted_samples) + 1,
    )
