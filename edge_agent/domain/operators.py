"""Operators: the people who act at the kiosk, what each may do, and how slowly a PIN can be guessed.

A PIN has six digits. The wait after wrong PINs belongs to one client, which is one browser: a prank at one client
never makes another one wait. At that client every wrong PIN counts until its own operator has signed in there: a right
PIN of somebody else buys no further guesses.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

PIN_DIGITS: Final = 6
WRONG_FREE: Final = 3  # wrong PINs at one client before it waits
WAIT_S_MAX: Final = 30.0
WRONG_KEPT_S: Final = 1800.0  # a wrong PIN no longer counts after so long
OPERATOR_NAME_CHARS_MAX: Final = 60


class OperatorRole(StrEnum):
    """The role of an operator; one operator may have several."""

    COOK = "cook"
    CLASS_TEACHER = "class_teacher"
    HEAD = "head"
    TECHNICIAN = "technician"


class OperatorRight(StrEnum):
    """An act that a role may allow."""

    FIND = "find"  # people and classes by name
    ENTER = "enter"
    VOID = "void"
    CARDS = "cards"  # give a new card in the place of a lost one
    CALL = "call"  # the technician
    ANSWER = "answer"  # a call of the technician
    ENROL = "enrol"  # note consents, make palms known, take both back
    CLOCKS = "clocks"  # confirm how far a terminal's clock was off
    TABLETS = "tablets"  # pair tablets, and end it
    OPERATORS = "operators"  # add and block operators, and give new PINs


_AT_THE_HATCH = frozenset({OperatorRight.FIND, OperatorRight.ENTER, OperatorRight.VOID, OperatorRight.CALL})
_RIGHTS: Final = {
    OperatorRole.COOK: _AT_THE_HATCH | {OperatorRight.CLOCKS, OperatorRight.CARDS},
    OperatorRole.CLASS_TEACHER: _AT_THE_HATCH,
    OperatorRole.HEAD: frozenset(OperatorRight),
    OperatorRole.TECHNICIAN: frozenset(
        {OperatorRight.CLOCKS, OperatorRight.ANSWER, OperatorRight.ENROL, OperatorRight.TABLETS}
    ),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """A named person who acts at the kiosk. Events carry the id alone."""

    id: str
    name: str
    roles: frozenset[OperatorRole]
    group: str = ""  # of a class teacher: the class

    def may(self, right: OperatorRight) -> bool:
        """Returns True when one of the roles allows it."""
        return any(right in _RIGHTS[role] for role in self.roles)

    @property
    def only_group(self) -> str | None:
        """The one class whose lists this operator may enter; empty: none is known; None: every class."""
        return None if self.roles & {OperatorRole.COOK, OperatorRole.HEAD} else self.group

    def rights(self) -> tuple[OperatorRight, ...]:
        """Returns everything that the roles allow, sorted."""
        return tuple(right for right in sorted(OperatorRight) if self.may(right))


class OperatorFault(StrEnum):
    """The reason why an act on operators changed nothing. The catalogues hold its words, and what to do next."""

    NAME_TAKEN = "name_taken"
    NO_NAME = "no_name"
    NO_ROLE = "no_role"
    UNKNOWN_OPERATOR = "unknown_operator"
    FIRST_IS_HEAD = "first_is_head"
    LAST_HEAD = "last_head"
    OPERATORS_UNREADABLE = "operators_unreadable"
    OPERATORS_NOT_STORED = "operators_not_stored"


class PinFault(StrEnum):
    """The reason why a new PIN is not accepted."""

    NOT_SIX_DIGITS = "pin_not_six_digits"
    EASY = "pin_easy"  # one digit six times, or digits in order
    UNCHANGED = "pin_unchanged"


def find_pin_fault(pin: str, replaced: str = "") -> PinFault | None:
    """Returns why `pin` cannot be an operator's new PIN in place of `replaced`; None: it can."""
    if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdecimal()):
        return PinFault.NOT_SIX_DIGITS
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        return PinFault.EASY
    return PinFault.UNCHANGED if pin == replaced else None


class OperatorRefused(Exception):
    """The act on operators changed nothing; `fault` says why."""

    def __init__(self, fault: OperatorFault | PinFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(slots=True)
class WrongPins:
    """The wrong PINs of the last half hour, by client and operator. Times are monotonic seconds.

    The first wrong PINs cost nothing; the next one costs a wait of two seconds, and each further one twice as much, up
    to `WAIT_S_MAX`.
    """

    _moments: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def wait_s(self, client: str, now_s: float) -> float:
        """Returns the seconds for which this client must wait before its next try; 0: it may try at once."""
        moments = sorted(moment for tries in self._forget_old(client, now_s).values() for moment in tries)
        paid = len(moments) - WRONG_FREE
        if paid <= 0:
            return 0.0
        pause_s = min(2.0 ** min(paid, 10), WAIT_S_MAX)
        return max(pause_s - (now_s - moments[-1]), 0.0)  # in this order: rounding must not make it longer

    def note_wrong(self, client: str, operator: str, now_s: float) -> None:
        """Notes a wrong PIN for this operator at this client."""
        self._forget_old(client, now_s)
        self._moments.setdefault(client, {}).setdefault(operator, []).append(now_s)

    def note_right(self, client: str, operator: str) -> None:
        """Forgets the wrong PINs for this operator at this client, and no others."""
        self._moments.get(client, {}).pop(operator, None)

    def _forget_old(self, client: str, now_s: float) -> dict[str, list[float]]:
        recent = {
            operator: kept
            for operator, moments in self._moments.pop(client, {}).items()
            if (kept := [moment for moment in moments if now_s - moment < WRONG_KEPT_S])
        }
        if recent:
            self._moments[client] = recent
        return recent
