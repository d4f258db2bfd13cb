"""Another count's lines in a reader's words: who, why, by which events. Pure, but for the words that are given."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync.contract.visit import EventId
from sync.ledger.pages.overview import SchoolLabels
from sync.ledger.pages.rendering import PageWords
from sync.money.cell_faults import CellFault
from sync.money.differences import CountDifference, DifferenceKind, UnmatchedLine
from sync.money.explaining import COUNTED_TWICE
from sync.money.layout import Cell

NAME_MARK = "\x1f"  # between name, class and person in a form's field; none of them holds a control character


@dataclass(frozen=True, slots=True)
class ExplanationSum:
    """All lines of one explanation together."""

    kind: DifferenceKind
    lines: int
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class UnmatchedGroup:
    """Lines that fit nobody for the same reason, and would be settled by the same word."""

    lines: tuple[int, ...]
    meals: int
    why: str
    name: str  # folded name and class; empty where the file has none
    key: str  # for a form
    candidates: tuple[str, ...]


def sum_explanations(differences: Iterable[CountDifference]) -> list[ExplanationSum]:
    """Returns the sums of each explanation that occurs, in the order of the explanations."""
    lines: dict[DifferenceKind, list[CountDifference]] = defaultdict(list)
    for difference in differences:
        lines[difference.kind].append(difference)
    return [
        ExplanationSum(
            kind, len(lines[kind]), sum(line.ours for line in lines[kind]), sum(line.theirs for line in lines[kind])
        )
        for kind in DifferenceKind
        if kind in lines
    ]


def describe_note(words: PageWords, labels: SchoolLabels, line: CountDifference) -> str:
    """Returns what stands beside an explanation: the other session or school, the ledger's reason, a kiosk away."""
    match line.kind:
        case DifferenceKind.OTHER_SESSION:
            return labels.sessions.get(line.note, line.note)
        case DifferenceKind.OTHER_SCHOOL:
            return line.note
        case DifferenceKind.THEIRS_WITHOUT_OURS:
            if line.note == COUNTED_TWICE:
                return words("note.counted_twice")
            return words("note.kiosk_away") if line.events else ""
        case _:
            reason = words(f"reason.{line.note}") if line.note else ""
            return "" if reason == words(f"difference.{line.kind}") else reason  # nothing is said twice


def describe_cell(words: PageWords, cell: CellFault) -> str:
    """Returns what is wrong with a cell, where, and what to do."""
    text = words(f"cell.{cell.kind}", found=cell.found, month=cell.month)
    return f"{words('cell.column', column=cell.column)} {text}" if cell.column else text


def group_unmatched(words: PageWords, unmatched: Sequence[UnmatchedLine]) -> list[UnmatchedGroup]:
    """Returns the lines that cannot be matched, those of one child and reason together, in the order of the file."""
    groups: dict[tuple[object, ...], list[UnmatchedLine]] = defaultdict(list)
    for line in unmatched:
        groups[line.name, line.fault, line.cell, line.candidates].append(line)
    return [
        UnmatchedGroup(
            tuple(line.line for line in lines),
            sum(line.count for line in lines),
            _explain(words, lines[0]),
            " ".join(filter(None, lines[0].name)),
            NAME_MARK.join(lines[0].name),
            lines[0].candidates if lines[0].fault is not None and lines[0].name[0] else (),
        )
        for lines in groups.values()
    ]


def _explain(words: PageWords, line: UnmatchedLine) -> str:
    if line.cell is not None:
        return describe_cell(words, line.cell)
    return words(f"match.{line.fault}") if line.fault is not None else ""


def tabulate(
    words: PageWords, labels: SchoolLabels, differences: Sequence[CountDifference], call: Callable[[str], str]
) -> tuple[list[Cell], list[list[Cell]]]:
    """Returns titles and rows of the differences as a table. `call`: what to call a person."""
    keys = ("person", "day", "session", "explanation", "ours", "theirs", "payer_lines", "events", "note")
    rows: list[list[Cell]] = [
        [
            call(line.person), line.day.isoformat(), labels.sessions.get(line.session, line.session),
            words(f"difference.{line.kind}"), line.ours, line.theirs, " ".join(map(str, line.lines)),
            " ".join(map(format_event, line.events)), describe_note(words, labels, line),
        ]
        for line in differences
    ]  # fmt: skip
    return [words(key) for key in keys], rows


def format_event(event: EventId) -> str:
    """Returns an event's name as notices and commands have it."""
    return f"{event.device}/{event.epoch}/{event.seq}"


def read_choices(chosen: Iterable[str], unmatched: Iterable[UnmatchedLine]) -> Mapping[tuple[str, str], str]:
    """Returns the names that somebody has chosen people for; only people who may be meant by a line of the file."""
    possible = {(*line.name, person) for line in unmatched for person in line.candidates if line.name[0]}
    choices = {}
    for text in filter(None, chosen):
        name, _, rest = text.partition(NAME_MARK)
        group, _, person = rest.partition(NAME_MARK)
        if (name, group, person) in possible:
            choices[name, group] = person
    return choices


def parse_kind(text: str) -> DifferenceKind | None:
    """Returns the explanation that an address asks for; None for all."""
    return DifferenceKind(text) if text in list(DifferenceKind) else None
