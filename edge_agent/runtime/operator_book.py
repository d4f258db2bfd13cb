"""The operators of this kiosk: those made here and those of the roster, with hashes of their PINs in one file.

A roster's operator has no PIN until the head or a technician gives one here. Who is off the roster signs in no more;
the name stays in the file, since events carry the id.

Until the first head is made, the names in the setting `screen.operators` sign in as cooks with the common PIN of the
credential `staff-pin`. From then on neither opens anything.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.domain.operators import (
    OPERATOR_NAME_CHARS_MAX,
    PIN_DIGITS,
    Operator,
    OperatorFault,
    OperatorRefused,
    OperatorRole,
    find_pin_fault,
)
from edge_agent.runtime.pin_hashes import PinHash, PinHashes, write_secret_file
from edge_agent.screen.ports import ListedOperator, PinVerdict

log = logging.getLogger(__name__)

OPERATORS_NAME: Final = "operators.json"
COMMON_PIN_CHARS_MIN: Final = 4


class _StoredOperator(msgspec.Struct, frozen=True):
    id: str
    name: str
    roles: tuple[OperatorRole, ...]
    pin: PinHash
    blocked: bool = False
    group: str = ""
    of_roster: bool = False  # name, roles and class are the roster's, as long as it has the id

    def operator(self) -> Operator:
        return Operator(self.id, self.name, frozenset(self.roles), self.group)


@dataclass(frozen=True, slots=True)
class CommonPin:
    """The PIN of the credential and the names of the settings, which sign in until the first head is made."""

    pin: str | None
    names: tuple[str, ...] = ()


class OperatorBook:
    """Implements `screen.ports.OperatorDirectory` over a file.

    `of_roster` returns the roster's operators; None while there is no roster, and then they stay as they were.

    A file that cannot be read lets nobody in, and stops nothing else.
    """

    def __init__(
        self, state_dir: Path, common: CommonPin, of_roster: Callable[[], Sequence[Operator] | None] = tuple
    ) -> None:
        self._path = state_dir / OPERATORS_NAME
        self._hashes = PinHashes(state_dir)
        self._common_pin = common.pin if common.pin and len(common.pin) >= COMMON_PIN_CHARS_MIN else None
        names = (" ".join(name.split()) for name in common.names)
        self._cooks = tuple(Operator(name, name, frozenset({OperatorRole.COOK})) for name in names if name)
        self._of_roster = of_roster
        self._lock = threading.Lock()
        self._stored = self._read()

    @property
    def is_first_awaited(self) -> bool:
        """True while the common PIN may make the first head."""
        return self._common_pin is not None and self._stored == ()

    def choices(self) -> Sequence[Operator]:
        """Returns the operators who can sign in, by name."""
        if self.is_first_awaited:
            return self._cooks
        active = (stored.operator() for stored in self._present() if not stored.blocked)
        return sorted(active, key=lambda operator: operator.name)

    def find(self, operator: str) -> Operator | None:
        """Returns the operator with this id, or None for one who cannot sign in."""
        return next((choice for choice in self.choices() if choice.id == operator), None)

    def list_all(self) -> Sequence[ListedOperator]:
        """Returns every operator made here or on the roster, those who can sign in no more too, by name."""
        present = self._present()
        stored = [ListedOperator(row.operator(), row.blocked, not row.pin.once) for row in present]
        without_pin = [ListedOperator(operator, False, False) for operator in self._without_pin(present)]
        return sorted((*stored, *without_pin), key=lambda listed: listed.operator.name)

    def check_pin(self, operator: str, pin: str) -> PinVerdict:
        """Returns what this PIN is worth for this operator."""
        if self.find(operator) is None:
            return PinVerdict.WRONG
        if self.is_first_awaited:
            return PinVerdict.RIGHT if self.check_common_pin(pin) else PinVerdict.WRONG
        stored = self._get(operator)
        if not self._hashes.fits(stored.pin, pin):
            return PinVerdict.WRONG
        return PinVerdict.TO_CHANGE if stored.pin.once else PinVerdict.RIGHT

    def check_common_pin(self, pin: str) -> bool:
        """Returns True when the first head is awaited and this is the common PIN."""
        common = self._common_pin
        return self.is_first_awaited and common is not None and compare_digest(pin.encode(), common.encode())

    def add_first(self, name: str, pin: str) -> Operator:
        """Makes the first head, with this own PIN. Raises OperatorRefused."""
        fault = find_pin_fault(pin, self._common_pin or "")
        if fault is not None:
            raise OperatorRefused(fault)
        with self._lock:
            if self._readable():
                raise OperatorRefused(OperatorFault.UNKNOWN_OPERATOR)
            return self._add(name, (OperatorRole.HEAD,), pin, once=False)

    def add(self, name: str, roles: Sequence[OperatorRole], group: str = "") -> tuple[Operator, str]:
        """Makes an operator, with the class of a class teacher; returns also the PIN for the first sign-in.

        Raises OperatorRefused.
        """
        pin = draw_pin()
        with self._lock:
            if not self._readable() and OperatorRole.HEAD not in roles:
                raise OperatorRefused(OperatorFault.FIRST_IS_HEAD)
            return self._add(name, roles, pin, group=group, once=True), pin

    def renew_pin(self, operator: str) -> str:
        """Returns a new PIN for one sign-in, in place of the old one. Raises OperatorRefused."""
        pin = draw_pin()
        with self._lock:
            present = self._readable()
            new = next((one for one in self._without_pin(present) if one.id == operator), None)
            if new is None:
                self._set_pin(operator, pin, once=True)
                return pin
            if not present and OperatorRole.HEAD not in new.roles:
                raise OperatorRefused(OperatorFault.FIRST_IS_HEAD)
            self._write((*present, self._admit(new, pin)))
            return pin

    def change_pin(self, operator: str, old_pin: str, pin: str) -> None:
        """Sets the operator's own new PIN in place of the old one. Raises OperatorRefused."""
        fault = find_pin_fault(pin, old_pin)
        if fault is not None:
            raise OperatorRefused(fault)
        with self._lock:
            self._set_pin(operator, pin, once=False)

    def block(self, operator: str, *, even_the_last_head: bool = False) -> None:
        """Lets the operator sign in no more; the name stays. Raises OperatorRefused."""
        with self._lock:
            new = next((one for one in self._without_pin(self._readable()) if one.id == operator), None)
            row = self._get(operator) if new is None else self._admit(new, draw_pin())
            blocked = msgspec.structs.replace(row, blocked=True)
            others = [stored for stored in self._readable() if stored.id != operator]
            heads = [stored for stored in self._present() if OperatorRole.HEAD in stored.roles and not stored.blocked]
            is_headed = any(stored.id != operator for stored in heads)
            if OperatorRole.HEAD in blocked.roles and not is_headed and not even_the_last_head:
                raise OperatorRefused(OperatorFault.LAST_HEAD)
            self._write((*others, blocked))

    def _set_pin(self, operator: str, pin: str, *, once: bool) -> None:
        stored = self._get(operator)
        if self.find(operator) is None:
            raise OperatorRefused(OperatorFault.UNKNOWN_OPERATOR)
        renewed = msgspec.structs.replace(stored, pin=self._hash(pin, once=once))
        self._write((*(other for other in self._readable() if other.id != operator), renewed))

    def _present(self) -> tuple[_StoredOperator, ...]:
        """Returns the file's operators as the roster has them now: whoever is off it is blocked."""
        listed = self._of_roster()
        if listed is None:
            return self._stored or ()
        of_roster = {operator.id: operator for operator in listed}
        return tuple(_as_on_roster(row, of_roster.get(row.id)) if row.of_roster else row for row in self._stored or ())

    def _without_pin(self, present: Sequence[_StoredOperator]) -> list[Operator]:
        known = {stored.id for stored in present}
        return [operator for operator in self._of_roster() or () if operator.id not in known and operator.roles]

    def _admit(self, operator: Operator, pin: str) -> _StoredOperator:
        """Returns a roster's operator with the first PIN at this kiosk."""
        roles = tuple(sorted(operator.roles))
        pin_hash = self._hash(pin, once=True)
        return _StoredOperator(operator.id, operator.name, roles, pin_hash, group=operator.group, of_roster=True)

    def _add(self, name: str, roles: Sequence[OperatorRole], pin: str, *, once: bool, group: str = "") -> Operator:
        plain = " ".join(name.split())
        if not plain or len(plain) > OPERATOR_NAME_CHARS_MAX:
            raise OperatorRefused(OperatorFault.NO_NAME)
        if not roles:
            raise OperatorRefused(OperatorFault.NO_ROLE)
        present = self._readable()
        taken = [listed.operator.name.casefold() for listed in self.list_all() if not listed.is_blocked]
        if plain.casefold() in taken:
            raise OperatorRefused(OperatorFault.NAME_TAKEN)
        added = _StoredOperator(
            "op-" + secrets.token_hex(4),
            plain,
            tuple(sorted(set(roles))),
            self._hash(pin, once=once),
            group=" ".join(group.split()),
        )
        self._write((*present, added))
        return added.operator()

    def _hash(self, pin: str, *, once: bool) -> PinHash:
        try:
            return self._hashes.make(pin, once=once)
        except OSError as error:
            log.warning("no secret for the operators' PINs: %s", error)
            raise OperatorRefused(OperatorFault.OPERATORS_NOT_STORED) from error

    def _get(self, operator: str) -> _StoredOperator:
        for stored in self._readable():
            if stored.id == operator:
                return stored
        raise OperatorRefused(OperatorFault.UNKNOWN_OPERATOR)

    def _readable(self) -> tuple[_StoredOperator, ...]:
        if self._stored is None:
            raise OperatorRefused(OperatorFault.OPERATORS_UNREADABLE)
        return self._stored

    def _read(self) -> tuple[_StoredOperator, ...] | None:
        """Returns the file's operators; None when it cannot be read: then nobody signs in, not even by old rules."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[_StoredOperator, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("%s: nobody can sign in on the staff's page until it is moved away: %s", self._path, error)  # noqa: TRY400  # its message says all
            return None

    def _write(self, stored: tuple[_StoredOperator, ...]) -> None:
        try:
            write_secret_file(self._path, msgspec.json.encode(stored))
        except OSError as error:
            log.warning("%s: %s", self._path, error)
            raise OperatorRefused(OperatorFault.OPERATORS_NOT_STORED) from error
        self._stored = stored


def _as_on_roster(row: _StoredOperator, operator: Operator | None) -> _StoredOperator:
    if operator is None or not operator.roles:
        return msgspec.structs.replace(row, blocked=True)
    roles = tuple(sorted(operator.roles))
    return msgspec.structs.replace(row, name=operator.name, roles=roles, group=operator.group)


def draw_pin() -> str:
    """Returns a random PIN that an operator might have chosen."""
    while True:
        pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
        if find_pin_fault(pin) is None:
            return pin
