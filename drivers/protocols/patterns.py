"""Regular expressions that a technician may write and no line can make slow.

Python's matcher tries every way to share a text among repeats; nested or many repeats make that exponential. So only
what can be counted is taken: no repeat of a group, no look-around, no back-reference; and the number of ways, the
product over all repeats and choices, is at most WAYS_MAX for a text of TEXT_MAX characters. Two free repeats fit,
three do not; `[0-9A-F]{10}` costs nothing.
"""

import re

PATTERN_MAX = 200
TEXT_MAX = 256
WAYS_MAX = 100_000

_BOUNDS = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")
_GROUP = re.compile(r"\((?:\?:|\?P<[a-z]+>)?")


class Unbounded(ValueError):
    """A pattern that is refused; the message says why and what is taken instead."""


def bounded(pattern: str) -> re.Pattern[str]:
    """Returns the compiled pattern, for `fullmatch` on at most TEXT_MAX characters. Raises Unbounded."""
    if len(pattern) > PATTERN_MAX:
        raise Unbounded(f"the pattern has {len(pattern)} characters, at most {PATTERN_MAX} are taken")
    ways = _ways(pattern)
    if ways > WAYS_MAX:
        raise Unbounded("the pattern has too many repeats or choices: fixed lengths as in [0-9]{10} cost nothing")
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise Unbounded(f"the pattern is no regular expression: {error}") from error


def _ways(pattern: str) -> int:
    """Returns an upper bound for the ways in which the pattern can meet a text of TEXT_MAX characters."""
    ways, position, after_group = 1, 0, False
    while position < len(pattern):
        match pattern[position]:
            case "(":
                group = _GROUP.match(pattern, position)
                if group is None or (pattern.startswith("(?", position) and group.end() == position + 1):
                    raise Unbounded("of groups only (…), (?:…) and (?P<name>…) are taken")
                position, after_group = group.end(), False
                continue
            case ")":
                position, after_group = position + 1, True
                continue
            case "[":
                position = _class_end(pattern, position)
            case "\\":
                if pattern[position + 1 : position + 2].isdigit():
                    raise Unbounded("references to an earlier group are not taken")
                position += 2
            case "|":
                ways *= 2
                position += 1
            case "*" | "+" | "?" | "{" as repeat:
                bounds = _BOUNDS.match(pattern, position) if repeat == "{" else None
                if after_group and repeat != "?":
                    raise Unbounded("a group cannot be repeated: repeat single characters or [classes]")
                ways *= _choices(repeat, bounds)
                position = bounds.end() if bounds else position + 1
                if pattern[position : position + 1] in ("?", "+"):  # lazy or possessive: no more ways than without
                    position += 1
            case _:
                position += 1
        after_group = False
    return ways


def _choices(repeat: str, bounds: re.Match[str] | None) -> int:
    if repeat == "?":
        return 2
    if bounds is None:
        return TEXT_MAX
    low, high = int(bounds[1]), int(bounds[3] or (TEXT_MAX if bounds[2] else bounds[1]))
    if max(low, high) > TEXT_MAX:
        raise Unbounded(f"a repeat counts to {TEXT_MAX} at most")
    return max(high - low + 1, 1)


def _class_end(pattern: str, position: int) -> int:
    """Returns the place behind the class that begins at `position`."""
    position += 1
    if pattern.startswith("^", position):
        position += 1
    first = position
    while position < len(pattern) and (pattern[position] != "]" or position == first):
        position += 2 if pattern[position] == "\\" else 1
    return position + 1
