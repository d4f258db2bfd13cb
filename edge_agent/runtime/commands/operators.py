"""The commands about operators, for a technician: list, add, a new PIN, block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    OPERATORS_ADD,
    OPERATORS_BLOCK,
    OPERATORS_LIST,
    OPERATORS_PIN,
    GivenPinRow,
    NoArguments,
    OperatorAddArguments,
    OperatorArguments,
    OperatorListRow,
)
from edge_agent.domain.operators import OPERATOR_NAME_CHARS_MAX, OperatorFault, OperatorRefused, PinFault
from edge_agent.errors import RequestRefused
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.operator_book import OPERATORS_NAME
from edge_agent.screen.ports import ListedOperator, OperatorDirectory

_WORDS: dict[OperatorFault | PinFault, tuple[str, str]] = {
    OperatorFault.NAME_TAKEN: ("an operator has this name", "add the second name, so that people choose the right one"),
    OperatorFault.NO_NAME: ("no usable name", f"give one of 1 to {OPERATOR_NAME_CHARS_MAX} characters"),
    OperatorFault.NO_ROLE: ("no role", "give --role at least once"),
    OperatorFault.UNKNOWN_OPERATOR: ("no such operator can sign in", "see edge-agent operators list"),
    OperatorFault.FIRST_IS_HEAD: ("the first operator of a kiosk is the head", "add --role head"),
    OperatorFault.OPERATORS_UNREADABLE: (
        f"{OPERATORS_NAME} in the state folder cannot be read",
        "move it away, restart the daemon, and add the operators again",
    ),
    OperatorFault.OPERATORS_NOT_STORED: ("the state folder cannot be written", "see edge-agent doctor"),
}


@dataclass(frozen=True, slots=True)
class OperatorCommands:
    """Carries out the technician's commands on the operators of this kiosk."""

    directory: OperatorDirectory

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict(
            [
                bind_handler(OPERATORS_LIST, self.list_all),
                bind_handler(OPERATORS_ADD, self.add),
                bind_handler(OPERATORS_PIN, self.renew_pin),
                bind_handler(OPERATORS_BLOCK, self.block),
            ]
        )

    def list_all(self, _: NoArguments, requester: Requester) -> Iterator[OperatorListRow]:
        """Yields every operator made here, by name."""
        for listed in self.directory.list_all():
            yield _row(listed)

    def add(self, arguments: OperatorAddArguments, requester: Requester) -> Iterator[GivenPinRow]:
        """Makes an operator; yields the PIN for the first sign-in."""
        require_owner(requester)
        with _explained():
            operator, pin = self.directory.add(arguments.name, arguments.roles, arguments.group)
        yield GivenPinRow(id=operator.id, name=operator.name, pin=pin)

    def renew_pin(self, arguments: OperatorArguments, requester: Requester) -> Iterator[GivenPinRow]:
        """Gives an operator a new PIN for one sign-in."""
        require_owner(requester)
        listed = self._choose(arguments.operator)
        with _explained():
            pin = self.directory.renew_pin(listed.operator.id)
        yield GivenPinRow(id=listed.operator.id, name=listed.operator.name, pin=pin)

    def block(self, arguments: OperatorArguments, requester: Requester) -> Iterator[OperatorListRow]:
        """Blocks an operator, even the last head: a technician can add another."""
        require_owner(requester)
        chosen = self._choose(arguments.operator).operator.id
        with _explained():
            self.directory.block(chosen, even_the_last_head=True)
        yield from (_row(listed) for listed in self.directory.list_all() if listed.operator.id == chosen)

    def _choose(self, wanted: str) -> ListedOperator:
        """Returns the operator with this id, or the active one with this name."""
        for listed in self.directory.list_all():
            operator = listed.operator
            if operator.id == wanted or (operator.name.casefold() == wanted.casefold() and not listed.is_blocked):
                return listed
        raise RequestRefused(*_WORDS[OperatorFault.UNKNOWN_OPERATOR])


def _row(listed: ListedOperator) -> OperatorListRow:
    operator = listed.operator
    return OperatorListRow(
        id=operator.id, name=operator.name, roles=tuple(sorted(operator.roles)), blocked=listed.is_blocked,
        has_own_pin=listed.has_own_pin,
    )  # fmt: skip


@contextmanager
def _explained() -> Iterator[None]:
    """Tells the technician in words why an act on operators changed nothing."""
    try:
        yield
    except OperatorRefused as refused:
        raise RequestRefused(*_WORDS.get(refused.fault, (refused.fault.value, ""))) from refused
