"""Bytes that are no frame, as every parser here reports them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no frame. `what` never holds the bytes: a damaged frame still has most of a card's number."""

    what: str
