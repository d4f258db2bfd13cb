"""Which three gaps are the ones between the four fingers, and on which side the thumb is.

Every ordered triple of candidate gaps spans a frame: one axis from the first valley to the third, one towards the
fingertips, the unit L their distance. In that frame a hand looks alike whatever its size and turn. A triple is scored
by how far it is from a hand: a sum of costs, one a term, each counted in the units of `proportions`.

    candidates.py   the gaps worth trying, and the triples of them that are possible at all
    shape.py        where the three valleys lie, how their gaps lean, how well they were seen
    coverage.py     the palm under the valleys is hand
    fingers.py      fingers stand between and beside the valleys, wide and long enough
    unused.py       no gap was left out that belongs to them
    dark_lines.py   dark lines lie in the gaps and nowhere else
    valleys.py      the sum of all, and the best triple
    thumb.py        the thumb's side, when the triple is known

The commonest mistake, to take the thumb's gap for a finger's, shows in four of the terms: the middle valley stands too
high, a gap is left out where the little finger's should be used, one outer "finger" ends at the height of the thumb's
tip, and the palm reaches out of the hand.
"""
