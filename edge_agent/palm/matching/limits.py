"""Every tuned number of palm matching: its unit, its meaning and its origin.

Units
    px         a pixel of the palm's region, which is 128 px wide
    fine cell  4 px of the region; a half cell is 2 px
    coarse cell  8 px of the region
    agreement  1 for the same picture, 0 for chance; see `match`
    share      a part of a whole, 0 to 1

Origins
    sets     chosen by hand while looking at the public sets that docs/palm.md reports on. No set was held out and no
             script derives the number: it is a development figure.
    tail     measured: the worst single comparisons of strangers, which are those of IITD. See `operating_point`;
             `python -m tests.calibrate` lays the line again, on one part of the people, and tries it on the other.
    speed    a limit on work. `python -m tests.benchmarks palm_exhaustive` compares the search with comparing everybody
             and lists each difference.
    code     belongs to the layout of the code, or to the filters behind it: kept templates cannot be compared any more
             when it changes.
    unknown  nobody wrote down how the number was found.

Each section names the origin of its numbers; a line names its own where it differs.
"""

from typing import Final

# ---------------------------------------------------------------------------------------------------------------------
# The filters (responses.py). Origin: code. Filters as in CompCode (Kong & Zhang 2004) and BOCV (Guo et al. 2009).

NORMALISE_SIGMA: Final = 8.0  # px; wider than a line, narrower than the light's fall-off over a palm
NORMALISE_FLOOR: Final = 1.0  # grey levels; keeps a flat patch of sensor noise from being blown up to lines
RIM_PX: Final = 3  # px; a response this near to something that is no palm has seen it
FINE_GABOR: Final = (4.0, 11.0, 0.6, 25)  # sigma, wavelength in px of the region, aspect, kernel side
COARSE_GABOR: Final = (4.0, 11.0, 0.65, 25)  # the same on the region at half size; rounder, since no pose is known yet
WEIGHT_TINY: Final = 1e-6  # share of palm; keeps a division from meeting zero where nothing is palm
LEVEL_TINY: Final = 1e-9  # response; the same for the mean of an empty region's responses

# ---------------------------------------------------------------------------------------------------------------------
# The lattice of poses (probe.py). Origin: unknown, where nothing else is said.

TURN_STEP_DEG: Final = 2.5  # degrees from one turn of the lattice to the next
SCALE_STEP: Final = 1.05  # times, from one scale of the lattice to the next
COARSE_TURNS: Final = (-6, -3, 0, 3, 6)  # turn steps: from 15 degrees to the left to 15 to the right
COARSE_SCALES: Final = (-9, -4, 0, 4, 9)  # halves of a scale step: 0.80, 0.91, 1.00, 1.10, 1.25
# Scale 1 is one of them: skin without creases is found where it lies, or not at all. Origin: decision 54
# A palm between two poses of the lattice is hardest to find: the second look tries these. Origin: sets.
BETWEEN_TURNS_DEG: Final = (-11.25, -3.75, 3.75, 11.25)  # degrees
BETWEEN_SCALES: Final = (0.854, 0.952, 1.05, 1.173)  # times
COARSE_SHIFT: Final = 5  # coarse cells each way: cut-outs of one contactless palm differ by as much. Origin: sets
UPRIGHT_SHIFT: Final = 5  # fine cells each way at which the upright picture is tried, as by the plain method
LOOSE_REACH: Final = 2  # fine cells that a block may lie beside a coarse shift

# ---------------------------------------------------------------------------------------------------------------------
# One comparison (match.py, probe.py). Origin: unknown, where nothing else is said.

OVERLAP_MIN: Final = 0.35  # share of the cells that both show; with less, nothing is compared
OVERLAP_FULL: Final = 0.8  # share of the cells; from here on an overlap counts as whole
STRONG_RESPONSE: Final = 2.0  # mean magnitudes of a coarse response that make it a strong one
WEIGHT_MAX: Final = 4  # weight of a strong coarse response; a weak one has less. Whole, so that sums are exact
COARSE_POSES_MAX: Final = 6  # turns and scales that the fine code is asked about. Origin: speed
LOOSE_POSES: Final = 2  # of these, looked at block by block. Origin: speed
LOOSE_PRICE: Final = 0.02  # agreement, times the square of fine cells that a block lies off
LOOSE_POSE_MIN: Final = 0.23  # loose agreement; less is chance. Strangers have 0.2, two in a hundred 0.25. Origin: sets
TEMPLATES_STRAIGHTENED: Final = 2  # of one palm: more say the same a little worse. Origin: speed
HINTED_TOGETHER: Final = 64  # templates; bounds the memory of one step to some 10 MB. Origin: speed

# ---------------------------------------------------------------------------------------------------------------------
# Laying the skin straight (bend.py). Origin: unknown, where nothing else is said.

BLOCK_CELLS: Final = 8  # fine cells along the side of a block
REACHES: Final = (3, 3, 2)  # half cells that a block is looked for each way, round by round
PRICE: Final = 0.00125  # agreement, times the square of px off: nothing is bent for nothing
NEIGHBOUR_WEIGHT: Final = 0.5  # times that the evidence of the blocks around counts
SUPPORT_MIN: Final = 0.1  # share of the best block's support below which a block's evidence is weakened
STIFFNESS: Final = 0.01  # pulls the quadratic to flat where blocks say little; 1 would be as strong as all blocks
CURVE_TINY: Final = 1e-6  # agreement; a flatter top has no peak between its neighbours
BENT_MIN: Final = (0.17, -1.0)  # agreement as guessed, then with moved blocks; less is a stranger's. Origin: sets
REMAINDER_REACH: Final = 2  # half cells that a block may move at the end by itself
REMAINDER_PRICE: Final = 0.02  # agreement, times the square of half cells that it moves then

# ---------------------------------------------------------------------------------------------------------------------
# The search among many (gallery.py). Origin: sets for agreements, speed for counts, where nothing else is said.

SURE_MIN: Final = 0.4  # agreement; strangers stay below it, and most known palms are above
NEARLY_SURE_MIN: Final = 0.33  # agreement from which on a palm is compared as in 1:1 when nobody is sure
NEAR_SHIFT: Final = 2  # coarse cells each way that count as near by
SIEVED: Final = 200  # sketches of a hand that pass the sieve in the first look
SIEVED_AGAIN: Final = 400  # the same in each half of the second look
SIEVED_OTHER_HAND: Final = 200  # sketches of the other hand that pass, as in the first look: it may be told wrongly
SKETCHED: Final = 12  # palms that are glanced at in the first look
SKETCHED_AGAIN: Final = 16  # the same in the second look
ROUGHLY_FAR: Final = 200  # sketches of palms far beside that pass half the sieve
SIEVED_FAR: Final = 8  # of these, palms that pass all of it
ROUGH_CELLS: Final = 32  # cells of the sieve's first half
STARTS_AGAIN: Final = 4  # poses near which a palm far beside is looked for
LOOSE_STRANGER_MAX: Final = 0.28  # loose agreement; less, in the first glance and not its best, is a stranger
LOOSE_STRANGER_AGAIN_MAX: Final = 0.21  # the same in the second look, where one template may be out of pose
GLANCED: Final = 6  # palms, at most, of which all templates are looked at
LOOSE_PALM_MIN: Final = 0.26  # loose agreement that is worth straightening; real ones had 0.27 and more
SEARCH_BENT_MIN: Final = (0.22, 0.25)  # as BENT_MIN, in a search; real ones had 0.22 and 0.25 and more
# The third look's were chosen on one part of the people (tests/benchmarks/parts.py) and widened once after a run of
# `palm_lost` on the other had lost 3 of 698.
SIEVED_WIDE: Final = 1500  # sketches of either hand that pass the sieve in the third look
SKETCHED_WIDE: Final = 48  # palms that are glanced at in each half of it
ROUGHLY_FAR_WIDE: Final = 600  # sketches of palms far beside that are looked at whole in the third look
SKETCHED_FAR_WIDE: Final = 24  # of these, palms that are glanced at
TEXTURES_WIDE: Final = 32  # the same by the texture of the skin alone
COMPARED_WIDE: Final = 24  # of all these, palms that are compared as in 1:1
TEMPLATES_MAX: Final = 12  # of one palm. Origin: unknown
ONE_POSE_MIN: Final = 0.15  # correlation of coarse codes; of strangers, or in different poses, 0.1 is much
CANDIDATES_MAX: Final = 5  # persons in an answer. Origin: unknown
COMPARED_TOGETHER: Final = 32  # palms; bounds the memory of one step
LENGTH_TINY: Final = 1e-6  # length; keeps a sketch without lines from a division by zero. Origin: code

# ---------------------------------------------------------------------------------------------------------------------
# Several frames as one answer (fusion.py). Origin: unknown.

FRAMES_MAX: Final = 3  # frames of one burst: those of one second repeat each other, so more cost more than they add

# ---------------------------------------------------------------------------------------------------------------------
# Enough to name somebody (operating_point.py). Origin: tail, where nothing else is said.

TAIL_AGREEMENT: Final = 0.32  # agreement that one stranger's comparison in 10,000 reaches
TAIL_DECADES: Final = 4  # decades behind that "10,000"
TAIL_PER_DECADE: Final = 0.03  # more agreement for each ten times rarer
FPIR_DEFAULT: Final = 0.001  # share of strangers who may be named. Origin: unknown
MARGIN_DEFAULT: Final = 0.04  # agreement to the second person. Origin: unknown
THRESHOLD_MIN: Final = 0.30  # agreement; a gallery of one is no reason to name anybody. Origin: unknown

# ---------------------------------------------------------------------------------------------------------------------
# Making a palm known (enrolment.py). Origin: unknown, where nothing else is said.

SAMPLES_MIN: Final = 3  # samples that make an enrolment complete
SAMPLES_MAX: Final = 6  # samples of one enrolment
QUALITY_MIN: Final = 0.45  # quality of a picture, 0 to 1; a template is for a year, a recognition may do with less
COVERAGE_MIN: Final = 0.75  # share of the fine cells that show palm
CONSISTENT_MIN: Final = 0.35  # agreement with the first sample; strangers reach it once in 100,000. Origin: tail
SAME_PICTURE_MIN: Final = 0.93  # agreement of a frame shown twice; the lattice of poses keeps it from reaching 1
ADAPT_SURE_MIN: Final = 0.55  # agreement with an enrolled sample; slow adaptation takes nothing less sure
ADAPTED_MAX: Final = 2  # samples beside the enrolled ones
