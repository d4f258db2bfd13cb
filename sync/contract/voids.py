"""The entries that operators took back, and the voids that say so."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sync.contract.event import Void
from sync.contract.visit import EventId


def find_voided(
    voids: Iterable[tuple[str, Void]], people: Mapping[EventId, str], names: Iterable[EventId]
) -> set[EventId]:
    """Returns the entries that these voids, each with its kiosk, take back.

    `people`: the person of each entry. `names`: all events at hand. A void that names no kiosk is about an entry of its
    own one, or of any one of the school if no other event has this epoch and number.
    """
    by_number: dict[tuple[str, int], list[EventId]] = defaultdict(list)
    for name in names:
        by_number[name.epoch, name.seq].append(name)
    voided: set[EventId] = set()
    for device, void in voids:
        own = EventId(void.void_device or device, void.void_epoch, void.void_seq)
        namesakes = by_number.get((void.void_epoch, void.void_seq), [])
        if people.get(own) == void.person and own in people:
            voided.add(own)
        elif not void.void_device and len(namesakes) == 1 and people.get(namesakes[0]) == void.person:
            voided.add(namesakes[0])
    return voided
