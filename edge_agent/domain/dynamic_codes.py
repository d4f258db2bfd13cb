"""Whom a changing code shows: by its digits, the time, and the last step that this person has used.

    the clock is right     the step must be this one or a neighbour, and later than the last one used
    the clock is not       any step within half a day counts, since nobody knows the time: the entry's claim is held, as
                           with every entry of such a clock

A code that stays before the scanner is read again and again: for `echo_ms` after its use it is the same gesture.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.readings import CodeRead
from edge_agent.domain.identify import (
    USED_CODE,
    BlockedCredential,
    Identity,
    RecognisedPerson,
    UnknownPerson,
    digest_number,
)
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from sync.contract.dynamic_codes import DRIFT_STEPS, KEYPAD_DIGITS, STEP_S, ShownCode, find_step, parse_code
from sync.contract.event import Method, PersonId
from sync.contract.roster import DynamicCode

_UNSURE_STEPS = 12 * 60 * 60 // STEP_S
_UNSURE_STEPS_KEYPAD = 10 * 60 // STEP_S  # six digits meet by chance a hundred times as often as eight

OpenSecret = Callable[[DynamicCode], bytes | None]
LastStep = Callable[[PersonId], int]


@dataclass(slots=True)
class DynamicCodes:
    """Judges changing codes. `last_step` is the last step a person has used at any kiosk that this one knows of."""

    open_secret: OpenSecret
    last_step: LastStep
    echo_ms: int
    _used_here: dict[str, tuple[int, str, int]] = field(default_factory=dict, repr=False)  # step, boot, mono_ms

    def identify(self, reading: CodeRead, roster: Roster, moment: Moment) -> Identity | None:
        """Returns whom the code shows; None for a text that is no changing code."""
        shown = parse_code(reading.text, keypad=reading.keypad)
        if shown is None:
            return None
        records = roster.find_dynamic_codes(shown.holder, keypad=reading.keypad)
        if not records:
            return None
        for record in records:
            identity = self._judge(record, shown, roster, moment)
            if identity is not None:
                return identity
        return UnknownPerson(Method.CODE, digest_number(roster.school, f"code:{shown.holder}"))

    def _judge(self, record: DynamicCode, shown: ShownCode, roster: Roster, moment: Moment) -> Identity | None:
        secret = self.open_secret(record)
        if secret is None:
            return None
        about = int(moment.utc.timestamp()) // STEP_S
        drift = DRIFT_STEPS
        if not moment.is_trusted:
            drift = _UNSURE_STEPS_KEYPAD if len(shown.digits) == KEYPAD_DIGITS else _UNSURE_STEPS
        step = find_step(secret, shown.digits, about, drift)
        if step is None:
            return None
        person = roster.people[record.person]
        if step <= self.last_step(PersonId(record.person)) and not self._is_echo(record.person, step, moment):
            return BlockedCredential(person, record.id, Method.CODE, USED_CODE)
        if self._used_here.get(record.person, (-1,))[0] != step:
            self._used_here[record.person] = (step, moment.boot, moment.mono_ms)
        return RecognisedPerson(person, record.id, Method.CODE, code_step=step)

    def _is_echo(self, person: str, step: int, moment: Moment) -> bool:
        used_step, boot, mono_ms = self._used_here.get(person, (-1, "", 0))
        return (used_step, boot) == (step, moment.boot) and moment.mono_ms - mono_ms <= self.echo_ms
