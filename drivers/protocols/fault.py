"""What every parser here reports for bytes that are no frame."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no frame. `what` never holds the bytes: a damaged frame still has most of a card's number."""

    what: str
