"""The operator whom a technician names on the command line: one of those who can sign in, and never a typed name."""

from edge_agent.domain.operators import Operator, OperatorRight
from edge_agent.errors import RequestRefused
from edge_agent.screen.ports import OperatorDirectory


def choose_operator(directory: OperatorDirectory, wanted: str, right: OperatorRight) -> Operator:
    """Returns the operator with this id or name whose roles allow `right`. Raises RequestRefused, which lists them."""
    named = " ".join(wanted.split())
    able = [operator for operator in directory.choices() if operator.may(right)]
    for operator in able:
        if named and (operator.id == named or operator.name.casefold() == named.casefold()):
            return operator
    if not able:
        raise RequestRefused(
            "no operator of this kiosk may do this", "add one: edge-agent operators add NAME --role head"
        )
    raise RequestRefused(
        f"no operator {named!r} may do this here",
        f"--operator names one of: {', '.join(operator.name for operator in able)}; or edge-agent operators add",
    )
