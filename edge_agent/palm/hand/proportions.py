"""Every tuned number of finding a hand: its unit, its meaning and its origin.

Units
    px     a pixel of the picture that the line names
    R      the radius of the largest circle within a hand's silhouette, about half a palm's width
    L      the distance between the two outer finger valleys, about as long as R
    rad    an angle; positive leans to the right with the fingers up
    share  a part of a whole, 0 to 1
    grey   a grey level, 0 to 255
    cos    the cosine between two directions: 1 the same way, 0 across
    cost   a part of a hand's score: 0 a perfect hand, above `SCORE_MAX` no hand

Origins
    sets     chosen by hand while looking at the pictures of full_nir_hand, full_polyu2 and full_hands11k that
             docs/palm.md reports on. No set was held out and no script derives the number: it is a development figure.
    medians  the median of the open hands of the same sets, where the outline shows the valleys.
    drawn    chosen while looking at drawn hands (tests/edge_agent/palm/hands.py), since the sets show few such hands.
    speed    a limit on work. Results do not change with it as long as it is not much smaller.
    reading  a matter of image processing: large enough to remove noise, too small to change a hand.

Each section names the origin of its numbers; a line names its own where it differs. How much rests on each number is
measured by `scripts/mutate_terms.py`, which takes one rule away at a time.
"""

from typing import Final

from edge_agent.palm.hand.rules import AtLeast, AtMost, Band, Limits, Span, Steps

# ---------------------------------------------------------------------------------------------------------------------
# The picture (region.py). Origin: sets.

PICTURE_PIXELS_MAX: Final = 25_000_000  # px of a picture; larger ones are refused unread. Origin: a kiosk's memory
PICTURE_SIDE_MIN: Final = 48  # px of a picture's shorter side; a smaller one shows no palm lines
COLOURLESS_MAX: Final = 1.5  # grey; a colour picture whose channels differ by less on average is a grey one
COLOUR_LOOKS: Final = 128  # pixels along the shorter side that are compared for it. Origin: speed

# ---------------------------------------------------------------------------------------------------------------------
# Hand from ground (segment.py). Origin: sets, where nothing else is said.

WORK_SIDE: Final = 320  # px; the longer side of a hand's crop, on which everything is measured. Origin: speed
PICTURE_SIDE: Final = 3 * WORK_SIDE  # px; larger pictures are averaged down to about this. Origin: speed
THUMBNAIL_SIDE: Final = 200  # px; the longer side of the picture in which a hand is first looked for. Origin: speed
ENLARGED_MAX: Final = 2.0  # times; a small hand's crop is enlarged no further. Origin: reading
LEVEL_BLUR: Final = 1.0  # px; sigma that takes the noise out of a channel before it is cut. Origin: reading
SPECK_SIDE: Final = 3  # px of the thumbnail; narrower parts are specks. Origin: reading
THREAD_SIDE: Final = 5  # px of the crop; narrower parts are threads, not fingers. Origin: reading
HAND_SHARE: Final = Span(0.008, 0.93)  # share of the thumbnail that a hand may fill; see `segment` for the ends
RIM_SHARE_MAX: Final = 0.75  # share of the picture's rim: a ground rings the picture, a hand enters from a side or two
CROP_MARGIN: Final = 0.06  # share of a hand's longer side that is kept around it
RADIUS_MIN: Final = 20.0  # px of the crop for R; below it fingers are too thin to be judged

# The edge is moved to where the level is between hand and ground as they are nearby.
LIGHT_REACH: Final = WORK_SIDE // 12  # px of the crop each way that is "nearby"
LIGHT_ROUNDS: Final = 3  # times that the edge is moved
EDGE_SHARE: Final = Span(0.05, 0.95)  # share of hand nearby; outside it there is no edge

# Holes of the silhouette that are slivers of ground between closed fingers: longer, thinner, smaller than
SLIVER_LENGTH_MIN: Final = 0.2  # R
SLIVER_THICKNESS_MAX: Final = 0.07  # R
SLIVER_AREA_MAX: Final = 0.6  # R²

# Channels: how bright a picture's hand is made. Gamma ½ keeps the dim fingertips of a near-infrared picture.
LOGARITHM_OFFSET: Final = 8  # grey; the smaller, the brighter the dimmest parts
TINT_OFFSET: Final = 12  # grey; keeps red over blue steady in the dark
TINT_FULL: Final = 0.45  # logarithm of red over blue, above the ground's, that counts as skin for sure
TINT_BURNT: Final = 205  # grey; from here on skin loses its colour
TINT_BURNT_RANGE: Final = 40  # grey; at that much more the tint counts twice
REDNESS_GAIN: Final = 2  # grey per unit of red-difference over blue-difference chroma
REDNESS_NEUTRAL: Final = 128  # grey that stands for no redness
LAB_WEIGHTS: Final = (0.35, 2.2, 2.2)  # of lightness, green-red, blue-yellow: shadows change the lightness only
LAB_GAIN: Final = 2.5  # grey per weighted unit of Lab
GROUND_CELL: Final = 8  # units of Lab; colours of the rim this near are one ground

# How low a channel's threshold may go, below the usual where burnt-out skin looks nearly like ground.
OTSU_SHARE: Final = 1.0  # share of Otsu's threshold on the thumbnail; the usual
OTSU_SHARE_COLOUR: Final = 0.6  # the same for the channels tint and ground
HAND_LEVEL: Final = 0.5  # share of the hand's level in the local threshold, the rest is the ground's; the usual
HAND_LEVEL_TINT: Final = 0.35  # the same for the channel tint
HAND_LEVEL_GROUND: Final = 0.3  # the same for the channel ground

# ---------------------------------------------------------------------------------------------------------------------
# A second hand (second_hand.py). Origin: composites of the identities that `tests/edge_agent/palm/composites.py` calls
# built; `python -m tests.benchmarks.palm_two_hands` counts what comes of them, on those and on the others.

OWN_RIM_MAX: Final = 6.0  # L along the picture's rim; what lies along more of it is the ground

# All that may belong to a hand, down one side: L aside of the middle between its outer valleys, and above it.
OWN_REACH: Final = ((1.0, 1.8), (1.15, 0.4), (1.3, -0.3), (1.3, -1.6))
OWN_REST_SIDE: Final = 0.3  # L; narrower rests beyond the reach are a thumb's tip
NECK_SHARE: Final = 0.4  # of the palm's radius; what hangs on the hand by a narrower neck is another part
PIECES_NEAR_MAX: Final = 0.3  # L between fingers of one hand that comes in
OTHER_PART_SHARE_MIN: Final = 0.2  # of the hand's area; a smaller one leaves the hand clearly presented
OTHER_PART_RADIUS_MAX: Final = 1.6  # L; the largest circle within a wider part is no palm's

# What touches the hand is its own forearm where its middle lies so far aside and above.
FOREARM_ASIDE_MAX: Final = 1.0  # L
FOREARM_HEIGHT: Final = Span(-3.2, -1.5)  # L
OWN_PART_SHARE_MIN: Final = 0.7  # share of a part within the reach, from which it is the hand's own fingers

# An open hand's outline (outline_shape.py). The radius is that of the largest circle within.
PALM_OPENING: Final = 0.5  # radius; what is narrower than twice this stands out
FINGER_AREA_MIN: Final = 0.15  # radius²
FINGER_SLENDER_MIN: Final = 1.2  # of the width squared
FINGER_WIDTH_MIN: Final = 0.2  # radius
STANDING_FINGERS_MIN: Final = 2  # fingers that stand out
GAPS_ALIKE_MIN: Final = 0.6  # cos between the directions of gaps of one hand
STANDING_GAPS_MIN: Final = 2  # gaps that open alike
SURE_GAPS_MIN: Final = 4  # gaps that open alike; so many are a hand's, even of fingers too stubby to stand out
SOLIDITY_MAX: Final = 0.95  # share of its convex hull that an open hand fills

# The score of valleys that two channels see, below which a part is a hand.
SECOND_SCORE_OPEN_MAX: Final = 24.0  # with gaps that stand open
SECOND_SCORE_CLOSED_MAX: Final = 14.0  # the same without
OWN_SCORE_SURE_MAX: Final = 8.0  # of the found hand; below it, it is one whatever its outline
OWN_SOLIDITY_MAX: Final = 0.92  # share of its convex hull; a face or a bun fills more
TOUCHING_GAPS_MIN: Final = 3  # gaps that open alike in a part that touches the hand, whose fingers may be hidden

# ---------------------------------------------------------------------------------------------------------------------
# Open gaps: bays of the outline (contour.py). Origin: sets.

OUTLINE_BLUR: Final = 0.025  # R; sigma along the outline, below the scale of fingers
OUTLINE_BLUR_MIN: Final = 1.0  # px of the crop
OUTLINE_POINTS_MIN: Final = 16  # points; a shorter outline has no bays
BAY_REACHES: Final = (0.3, 0.55)  # R along the outline to the two points a bay is measured from: narrow and wide bays
BAY_SPACING: Final = 0.15  # R along the outline, each way, that holds one bay only
BAY_DEPTH_MIN: Final = 0.22  # of the reach
BAY_MOUTH: Final = 0.4  # R along the outline to the two points between which a bay opens
BAYS_MAX: Final = 14  # the deepest. Origin: speed

# A flat bottom is two bays that face each other: the corners of a wide web, or of a peg.
WEB_WIDTH: Final = Span(0.15, 0.95)  # R between the corners
WEB_PARALLEL_MIN: Final = 0.8  # length of the sum of the two unit directions
WEB_FACING_MIN: Final = 0.15  # cos between each corner's direction and the way to the other corner
WEB_SLANT_MAX: Final = 0.4  # cos between the way across and where the web opens
WEB_DEPTH_SHARE: Final = 0.8  # share of the shallower corner's depth

# ---------------------------------------------------------------------------------------------------------------------
# Closed gaps: dark lines between fingers that touch (closed.py). Origin: sets.

MAP_RADIUS: Final = 36.0  # px of the map to R; a closed gap's darkest line is then about four pixels wide
SURE_LEVEL: Final = 240  # level of the map that means a gap for sure
DARKNESS_GAIN: Final = 4000.0  # levels for a curvature of one
DARKNESS_OFFSET: Final = 8  # grey; keeps the logarithm steady in the dark
DARKNESS_BLUR: Final = 0.03  # R; half the width of a gap's line
GROUND_BLUR: Final = 0.12  # R; around the hand its own nearby level stands in for the ground
RIM_SIDE: Final = 9  # px of the map; next to open ground a hand darkens without any line
WIDE_GROUND: Final = 0.1  # R; ground that a disk of this radius fits into is no sliver
WIDE_GROUND_PAD: Final = 0.3  # R around the map, so that ground at its edge counts as wide
LINE_THICKNESS: Final = 3  # px of the map; a line may wander by one pixel
DIRECTIONS: Final = 12  # in half a turn
STRETCH_HALF: Final = 0.15  # R; half the length of the stretch that a line is added up over
STRETCH_SHARES: Final = 3  # stretches ahead of a gap's end; each counts as a third

# Where the stretches of a gap lie, from its end at the palm towards the fingertips.
STRETCH_HEIGHTS: Final = (0.15, 0.42, 0.69)  # R
STRETCH_BEHIND: Final = 0.28  # R; a gap does not go on into the palm
BEHIND_WEIGHT: Final = 1.8  # times that what lies behind counts against
STRETCH_LEVEL_MIN: Final = SURE_LEVEL // 6  # a third's level; the first stretch and one of the others must show a line
FLANK_REACHES: Final = (0.22, 0.45)  # R to both sides, where a finger is looked for
FLANK_HEIGHTS: Final = (0.15, 0.5)  # R ahead of the gap's end, where fingers flank it
FLANK_SIDE: Final = 0.3  # R; side of the square that must be hand
FLANK_LEVEL_MIN: Final = 180  # grey, of 255 where the square is all hand
STRENGTH_MIN: Final = 0.55  # share of the sure level
ENDS_SIDE: Final = 5  # px of the map; one end stands out among these
ENDS_NEAR_MAX: Final = 0.18  # R; nearer ends that point alike are one gap
ENDS_ALIKE_MIN: Final = 0.7  # cos
ENDS_MAX: Final = 32  # the clearest. Origin: speed

# The direction of a gap between the twelve: the mean of a fan, each ray by what it sees above a share of the best.
FAN_DEG: Final = Steps(-16, 16, 9)  # degrees
FAN_REACH: Final = Steps(0.3, 0.9, 10)  # R
FAN_SHARE_MIN: Final = 0.8  # share of the best ray

# ---------------------------------------------------------------------------------------------------------------------
# Candidates for the three gaps (anatomy/candidates.py). Origin: sets.

CANDIDATE_NEAR_MAX: Final = 0.12  # R; nearer candidates that point alike are one gap
CANDIDATE_ALIKE_MIN: Final = 0.7  # cos
GAP_CANDIDATES_MAX: Final = 44  # Origin: speed
TRIPLES_MAX: Final = 80  # triples that pass the cheap terms and for which the mask is looked at. Origin: speed
TRIPLES_FIRST: Final = 12  # of them, those that are judged to the end at once. Origin: speed

# Two gaps that can be neighbours, seen across their mean direction.
NEIGHBOUR_ASIDE: Final = Span(0.15, 1.4)  # R
NEIGHBOUR_RISE_MAX: Final = 0.2  # R that one may lie higher, more than it lies aside
NEIGHBOUR_ALIKE_MIN: Final = 0.2  # cos

# Two outer gaps whose middle one nobody saw: a ring over it, fingers pressed.
OUTER_ASIDE: Final = Span(0.6, 1.8)  # R
OUTER_ALIKE_MIN: Final = 0.5  # cos
UNSEEN_HEIGHT: Final = 0.1  # L above the line through the outer valleys, where the middle one is then taken to be

# A triple is possible where
POSSIBLE_MIDDLE: Final = Span(0.27, 0.73)  # L along, from the first valley
POSSIBLE_HEIGHT: Final = Span(-0.2, 0.4)  # L above the line through the outer valleys
POSSIBLE_SIZE: Final = Span(0.6, 2.0)  # R for L
POSSIBLE_SIZE_UNSEEN: Final = Span(0.8, 1.7)  # R for L, where nobody saw the middle gap
POSSIBLE_RISE_MIN: Final = 0.35  # cos between each gap and the fingers' direction
POSSIBLE_RISE_UNSEEN_MIN: Final = 0.6  # cos, where nobody saw the middle gap

# ---------------------------------------------------------------------------------------------------------------------
# What the three valleys alone cost (anatomy/shape.py). Origin: sets.

MIDDLE_HEIGHT: Final = Band(0.08, free=0.07, unit=0.07)  # L of the middle valley above the line through the outer ones
HAND_SIZE: Final = Band(1.2, free=0.1, unit=0.25)  # R for L
MIDDLE_PLACE: Final = Band(0.5, free=0.02, unit=0.06)  # L of the middle valley along, from the first one
MIDDLE_LEAN: Final = Band(-0.12, free=0.2, unit=0.12)  # rad of the middle gap, away from the thumb positive
THUMB_SIDE_LEAN: Final = Band(-0.35, free=0.35, unit=0.16)  # rad of the gap on the thumb's side
LITTLE_SIDE_LEAN: Final = Band(0.08, free=0.42, unit=0.16)  # rad of the gap on the little finger's side

CLOSED_COST: Final = 1.0  # cost of a gap that is a dark line, not a bay
CLOSED_CLEARNESS: Final = AtLeast(0.9, unit=0.1)  # share of the sure level
FOLD_COST: Final = 16.0  # cost of a dark line that is the fold of skin at an open gap's end, where it meets that end
FOLD_ASIDE_MAX: Final = 0.2  # R beside the line
FOLD_DISTANCE: Final = 0.4  # R ahead, over which the cost of a fold falls to nothing
UNSEEN_COST: Final = 18.0  # cost of a gap that nobody saw

# ---------------------------------------------------------------------------------------------------------------------
# The palm under the valleys (anatomy/coverage.py), shared with the cut (region.py). Origin: sets.

REGION_SIZE: Final = 1.25  # L; side of the region's square
REGION_DROP: Final = 0.08  # L from the line through the outer valleys down to the square
COVERAGE_CELLS: Final = 10  # looks along each side of the square. Origin: speed
PALM_COVERED: Final = Band(1.0, free=0.0, unit=0.04)  # share of the square that is hand, of what is in the picture
PALM_IN_PICTURE: Final = AtLeast(0.7, unit=0.15)  # share of the square that is in the picture

# ---------------------------------------------------------------------------------------------------------------------
# Fingers between and beside the valleys (anatomy/fingers.py). Origin: sets, where nothing else is said.

# Between two valleys stands a finger.
BETWEEN_ACROSS: Final = Steps(0.14, 0.86, 9)  # of the way from one valley to the next: the columns that are looked at
BETWEEN_HEIGHTS: Final = Steps(0.05, 0.35, 4)  # L
BETWEEN_COLUMNS: Final = 2  # the fullest columns are the finger
FINGER_BETWEEN: Final = AtLeast(1.0, unit=0.2, ceiling=9.0)  # share of these columns that is hand

# Both middle fingers are whole where they are seen in their length: neither cut by the picture nor behind a stop.
WHOLE_HEIGHTS: Final = Steps(0.1, 1.6, 25)  # L
WHOLE_TILTS: Final = (-0.2, 0.0, 0.2)  # rad
WHOLE_LENGTH_MIN: Final = 1.2  # L

# From an outer valley to the hand's side it is a finger's width: less is no finger, more is two.
WIDTH_STEPS: Final = Steps(0.05, 1.2, 47)  # L outwards
WIDTH_BEYOND: Final = 1.25  # L; where the hand does not end within the steps
WIDTH_DROP: Final = 0.06  # L below the valley, where the width is measured
WIDTH_TILT: Final = 0.35  # rad downwards of a second look, for a valley that lies high beside the finger's root
WIDTH_LEVEL_MIN: Final = 0.3  # L; where the level look ends sooner, the tilted one counts
WIDTH_TILTED_MAX: Final = 0.8  # L that the tilted look may say: it runs through the palm
WIDTH_HIGHER: Final = 0.45  # L up a closed gap: a thumb beside the finger does not reach so far up
WIDTH_HIGHER_MIN: Final = 0.3  # L; less at that height is no finger's width
WIDTH_HIDDEN: Final = Limits(0.45, 0.68)  # L; a width that the picture's edge cuts, and so hides
OUTER_WIDTH_MIN: Final = AtLeast(0.32, unit=0.08, ceiling=12.0)  # L
OUTER_WIDTH_MAX: Final = AtMost(0.64, unit=0.08, ceiling=16.0)  # L

# An outer finger is nearly as long as the others; a thumb laid against the palm ends at their base.
REACH_HEIGHTS: Final = Steps(-0.05, 1.0, 22)  # L
REACH_OUTWARD: Final = (0.15, 0.25, 0.35)  # L outwards from the valley
REACH_TILTS: Final = (-0.25, 0.0, 0.25, 0.5)  # rad outwards
OUTER_REACH: Final = AtLeast(0.85, unit=0.1, ceiling=16.0)  # L, where the middle fingers are whole
OUTER_REACH_CUT: Final = AtLeast(0.5, unit=0.2, ceiling=6.0)  # L, where they are not

# ---------------------------------------------------------------------------------------------------------------------
# A gap that was left out (anatomy/unused.py). Origin: sets.

UNUSED_GAP_COST: Final = 9.0  # cost of leaving out a gap that surely belongs between or beside the chosen ones

# Between the chosen ones.
BETWEEN_APART_MIN: Final = 0.13  # L along from every chosen valley
BETWEEN_MIDDLE_APART: Final = 0.1  # L more from the middle one, whose place is less sure
BETWEEN_HEIGHT: Final = Span(-0.15, 0.3)  # L
BETWEEN_RISE_MIN: Final = 0.85  # cos to the fingers' direction
BETWEEN_SURENESS: Final = 0.8  # of one

# Beside them; in steps of the neighbouring valleys' distance, out from the outer one and down from the line.
BESIDE_OUT: Final = Span(0.45, 1.5)  # out from the outer valley
BESIDE_DROP_MIN: Final = -0.6  # down from the line: higher up it is no valley
BESIDE_DROP_RANGE: Final = 0.6  # over which the sureness falls to nothing

# Where the middle fingers are whole, a finger must stand behind the gap: behind a laid thumb's gap is only its tip.
BESIDE_SURE_DROP_MAX: Final = 0.75  # lower down it is the thumb's
BESIDE_SURE_DROP_FREE: Final = 0.3  # drop that takes nothing from the sureness
BESIDE_SURE_RISE_MIN: Final = 0.6  # cos
BESIDE_SURE_REACH_MIN: Final = 0.7  # L that the hand reaches towards the fingertips, outside the gap
BESIDE_REACH: Final = Steps(0.0, 1.0, 21)  # L
BESIDE_OUTWARD: Final = (0.15, 0.25, 0.35)  # L outwards from the gap

# Where they are cut, only a gap in line with the others counts.
BESIDE_CUT_DROP_MAX: Final = 0.45  # lower down it may be the thumb's
BESIDE_CUT_RISE_MIN: Final = 0.75  # cos

# ---------------------------------------------------------------------------------------------------------------------
# Dark lines (anatomy/dark_lines.py): each lies in a gap, ends at the valley, and runs along no finger. Origin: sets.

LINE_HEIGHTS: Final = Steps(0.15, 0.6, 5)  # L up a chosen gap, where there must be ground or a line
LINE_DEPTHS: Final = Steps(0.15, 0.4, 4)  # L behind the valley, where there must be none
LINE_BESIDE: Final = Steps(-0.06, 0.06, 5)  # L aside that a line may lie; behind the valley twice as much
GAP_LED: Final = AtLeast(0.8, unit=0.25, ceiling=9.0)  # level of the gap's line, 0 to 1
LINE_BEHIND: Final = AtMost(0.45, unit=0.2, ceiling=5.0)  # level of what goes on behind the valley
BROAD_HEIGHTS: Final = (0.15, 0.25)  # L up the gap
BROAD_ASIDE: Final = 0.1  # L to both sides
BROAD_LEVEL_MIN: Final = 0.8  # level there, above which the gap ends broadly and what goes on is a fold of the skin
FINGER_HEIGHTS: Final = Steps(0.2, 0.7, 5)  # L up a finger
FINGER_ASIDE: Final = Steps(0.36, 0.64, 4)  # of the way from one gap to the next: the finger's middle
FINGER_LINE: Final = AtMost(0.5, unit=0.15, ceiling=4.0)  # level of a line along a finger

# ---------------------------------------------------------------------------------------------------------------------
# The thumb's side (anatomy/thumb.py). Origin: sets, where nothing else is said.
# OUT and HEIGHT: L from the outer valley, outwards and above it. OPENS_UP and OPENS_OUT: cos between a gap's direction
# and the fingers', and the way out.

SPREAD_OUT: Final = Span(0.05, 1.1)  # L
SPREAD_HEIGHT: Final = Span(-1.8, -0.3)  # L; the thumb's root is below the fingers'
SPREAD_OPENS_UP_MIN: Final = -0.2  # cos
SPREAD_OPENS_OUT_MIN: Final = -0.6  # cos

# A thumb laid along the palm closes its gap up to the height of the valleys. Origin: drawn.
LAID_OUT: Final = Span(0.25, 0.9)  # L
LAID_HEIGHT_MAX: Final = 0.35  # L; from the highest a spread thumb's gap may lie
LAID_OPENS_UP_MIN: Final = 0.5  # cos
LAID_DEPTH_MIN: Final = 0.6  # of the bay, in its reach

# Shallow bays are mostly the folds that palms have at their sides.
THUMB_DEPTH_MIN: Final = 0.3  # of the bay, in its reach
THUMB_DEPTH_AGREED_MIN: Final = 0.2  # the same where the fingers' lean says so too
THUMB_AGREED_LEAN_MIN: Final = 0.05  # rad of the middle gap to the thumb's side
THUMB_LEAD_MIN: Final = 0.1  # that the deepest bay of this side is deeper than that of the other

# A closed hand's fingers lean to the thumb.
CLOSED_LEAN_MIN: Final = 0.1  # sine

# A thumb pressed to the palm: its gap is a dark line.
PRESSED_OUT: Final = Span(0.3, 0.9)  # L
PRESSED_HEIGHT: Final = Span(-1.2, 0.1)  # L
PRESSED_OPENS_UP_MIN: Final = 0.85  # cos
PRESSED_STRENGTH_MIN: Final = 0.75  # share of the sure level

# ---------------------------------------------------------------------------------------------------------------------
# From valleys to a region (region.py). Origin: sets, where nothing else is said.

SCORE_MAX: Final = 40.0  # above it, it is no hand, or not one held open
SCORE_LIKELY_MAX: Final = 12.0  # a likely hand; enough for a second hand in the picture
SCORE_SURE_MAX: Final = 4.0  # good enough to end the search
SCORE_ASK_MIN: Final = 0.3  # landmarks are asked from here on; below, the outline has never been seen to err
SCORE_LANDMARKS: Final = 8.0  # what valleys of landmarks count
POSE_SCORE: Final = 20.0  # the score at which a pose's quality has fallen to 1/e
CLOSED_LEAD_MIN: Final = 4.0  # by which closed gaps must beat likely open ones, which are placed better
AGREED_MAX: Final = 0.15  # L between outer valleys of two opinions that agree
AGREED_BONUS: Final = 2.5  # score that each channel takes off, which sees the same valleys
LANDMARK_COVERAGE_MIN: Final = 0.8  # share of the landmarks' palm that must be hand
VALLEY_DISTANCE_MIN: Final = 36.0  # px of the picture for L; below it palm lines are thinner than two pixels
NEAR_SHARE_MIN: Final = 0.8  # share of the picture; what fills more and is no hand is too near
FIST_ROUNDNESS_MIN: Final = 0.5  # share of the silhouette that the largest circle fills

# The region's scale is the mean of the valleys' distance and the palm's width, which err in different hands.
RADIUS_TO_LENGTH: Final = 0.96  # L; R of an open hand. Origin: medians
PALM_MIDDLE: Final = 0.8  # L below the valleys, where the palm's circle is looked for
PALM_MIDDLE_REACH: Final = 0.35  # L around it
PALM_WIDTH_BELIEVED: Final = Limits(0.75, 1.35)  # times the usual R
FINGER_LEAN: Final = 0.18  # rad; how far fingers lean from straight over the valleys to the thumb. Origin: medians

# The cut. Origin: reading.
CUT_MARGIN: Final = 4  # px of the region around it that are read with it
CUT_MARGIN_EXTRA: Final = 2  # px of the picture more
CUT_BLUR_STEP_MIN: Final = 1.3  # px of the picture to one of the region; from there on detail must be taken out first
CUT_BLUR: Final = 0.45  # sigma, in pixels of the region

# ---------------------------------------------------------------------------------------------------------------------
# Landmarks of the networks (landmarks.py).

DETECTED_MIN: Final = 0.6  # the detector's probability of a palm. Origin: sets
PRESENT_MIN: Final = 0.9  # the landmark network's probability of a hand. Origin: sets
# Valleys in the frame of index and little finger's first joints: along from the index to the little finger, and up to
# the fingertips, in units of the joints' distance. Origin: measured on open hands of full_hands11k, where the outline
# shows both (median deviation 0.02).
JOINT_VALLEYS: Final = ((0.096, 0.261), (0.451, 0.379), (0.836, 0.239))

# ---------------------------------------------------------------------------------------------------------------------
# Quality of a region (quality.py). Origin: sets and the cut-out regions of docs/palm.md.

FOCUS_MIN: Final = 0.15  # contrast of fine lines over that of principal lines; less is blurred
FOCUS_GOOD: Final = 0.30  # the same; from here on the region is as sharp as the code can use
SATURATED_MAX: Final = 0.6  # share of the palm that may be burnt out
WHITE_MIN: Final = 252  # grey from which a pixel is burnt out
MEAN_MIN: Final = 14.0  # grey; a darker palm is noise
MEAN_GOOD: Final = 60.0  # grey; from here on light takes nothing from the quality
PALM_COVERAGE_MIN: Final = 0.6  # share of the region that shows palm
LINE_BLURS: Final = (1.0, 2.0, 6.0)  # px of the region; sigmas between which fine and principal lines lie
COARSE_FLOOR: Final = 0.5  # grey; keeps the contrast of an empty region from dividing by nothing
ROUNDING: Final = 0.12  # grey; what rounding to whole levels adds to the fine contrast. Origin: reading
SHOWN_MARGIN: Final = 5  # px of the region; side of the square by which the mask is drawn in. Origin: reading
RIM_WIDTH: Final = 12  # px of the region; webs and shadows of fingers at its rim are no lines of the palm
