"""Bytes that are no frame, as every parser here reports them."""

from dataclasses import dataclass

from drivers.readings import FaultCause

TEXT_MIN = 4  # characters of readable text that noise hardly ever makes


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no frame. `what` never holds the bytes: a damaged frame still has most of a card's number."""

    what: str
    cause: FaultCause = FaultCause.LINE


def judge_line(content: bytes) -> FaultCause:
    """Returns the cause of a line that nobody understands: readable text was sent by a reader that saw a card."""
    shown = content.strip(b" \t\r\n\x00")
    return FaultCause.CARD if len(shown) >= TEXT_MIN and all(32 <= byte < 127 for byte in shown) else FaultCause.LINE
