"""What one roster has that another has not."""

from collections.abc import Iterable
from dataclasses import dataclass

from sync.contract.roster import Change, Deleted, Person, PersonKind, Record, record_type


@dataclass(frozen=True, slots=True)
class Difference:
    added: tuple[Record, ...]
    changed: tuple[tuple[Record, Record], ...]  # before, after
    removed: tuple[Record, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What brings the old roster to the new one."""
        gone = (Deleted(of=record_type(record), id=record.id) for record in self.removed)
        return (*self.added, *(after for _, after in self.changed), *gone)


def difference(old: Iterable[Record], new: Iterable[Record]) -> Difference:
    """From `old` to `new`, each in the order of type and id."""
    before = {(record_type(record), record.id): record for record in old}
    after = {(record_type(record), record.id): record for record in new}
    both = sorted(before.keys() & after.keys())
    return Difference(
        added=tuple(after[name] for name in sorted(after.keys() - before.keys())),
        changed=tuple((before[name], after[name]) for name in both if before[name] != after[name]),
        removed=tuple(before[name] for name in sorted(before.keys() - after.keys())),
    )


class TooManyGone(ValueError):
    """So many pupils would vanish that the file is more likely wrong than the school empty."""

    def __init__(self, gone: int, before: int, share_max: float) -> None:
        super().__init__(
            f"{gone} of {before} pupils would vanish, more than {share_max:.0%}: look at the export; where it is "
            "right, allow a larger share for this import"
        )
        self.gone = gone
        self.before = before


def guard(difference: Difference, old: Iterable[Record], share_max: float) -> None:
    """Raises `TooManyGone` when more than `share_max` (0 to 1) of the pupils would vanish."""
    before = sum(_is_pupil(record) for record in old)
    gone = sum(_is_pupil(record) for record in difference.removed)
    if gone > before * share_max:
        raise TooManyGone(gone, before, share_max)


def _is_pupil(record: Record) -> bool:
    return isinstance(record, Person) and record.kind is PersonKind.PUPIL
