"""The difference between two rosters, and a guard against one that empties a school."""

from collections.abc import Iterable
from dataclasses import dataclass

from sync.contract.roster import Change, DeletedRecord, Person, PersonKind, Record, record_type


@dataclass(frozen=True, slots=True)
class RosterComparison:
    """The records by which a roster differs from an older one."""

    added: tuple[Record, ...]
    changed: tuple[tuple[Record, Record], ...]  # before, after
    removed: tuple[Record, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Returns the changes that bring the old roster to the new one."""
        deleted = (DeletedRecord(deleted_type=record_type(record), id=record.id) for record in self.removed)
        return (*self.added, *(after for _, after in self.changed), *deleted)


def compare_rosters(old: Iterable[Record], new: Iterable[Record]) -> RosterComparison:
    """Returns the difference from `old` to `new`, in the order of type and id."""
    before = {(record_type(record), record.id): record for record in old}
    after = {(record_type(record), record.id): record for record in new}
    both = sorted(before.keys() & after.keys())
    return RosterComparison(
        added=tuple(after[name] for name in sorted(after.keys() - before.keys())),
        changed=tuple((before[name], after[name]) for name in both if before[name] != after[name]),
        removed=tuple(before[name] for name in sorted(before.keys() - after.keys())),
    )


class TooManyVanished(ValueError):
    """So many pupils would vanish that the file is more likely wrong than the school empty."""

    def __init__(self, vanished: int, before: int, share_max: float) -> None:
        super().__init__(
            f"{vanished} of {before} pupils would vanish, more than {share_max:.0%}: look at the export; where it is "
            "right, allow a larger share for this import"
        )
        self.vanished = vanished
        self.before = before


def refuse_vanished_pupils(comparison: RosterComparison, old: Iterable[Record], share_max: float) -> None:
    """Raises `TooManyVanished` when more than `share_max` (0 to 1) of the pupils would vanish."""
    before = sum(_is_pupil(record) for record in old)
    vanished = sum(_is_pupil(record) for record in comparison.removed)
    if vanished > before * share_max:
        raise TooManyVanished(vanished, before, share_max)


def _is_pupil(record: Record) -> bool:
    return isinstance(record, Person) and record.kind is PersonKind.PUPIL
