"""The palms that this kiosk knows: sealed in the journal's file, and in memory for the search.

Whoever searches takes the snapshot that is in force; a change makes a new one beside it and puts it in its place.
Nobody waits for a change, and a change waits only for the one before.
"""

import logging
import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, assert_never

from edge_agent.domain.moment import Moment
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.domain.roster import Roster
from edge_agent.journal.journal import Journal
from edge_agent.journal.sealed_palms import RevokedPalm, SealedPalm
from edge_agent.palm.matching import gallery, operating_point
from edge_agent.palm.matching.enrolment import adapted
from edge_agent.palm.matching.gallery import Palm, Snapshot
from edge_agent.palm.matching.operating_point import OperatingPoint
from edge_agent.palm.matching.permutation import Scrambles
from edge_agent.palm.matching.responses import Responses
from edge_agent.palm.protection.school_key import Dice, SchoolKey
from edge_agent.palm.protection.seal import Purpose, Unsealable, seal, unseal
from edge_agent.palm.types import Hand
from sync.contract.event import PalmEnrolled, PersonId
from sync.contract.palms import HandSide, SealedPalmMessage, SealedTemplates
from sync.contract.wire import read_time, time_text

log = logging.getLogger(__name__)

_HANDS: Final[Mapping[str, HandSide]] = {"left": "left", "right": "right", "unknown": "unknown"}
ADAPT_EVERY = timedelta(days=7)  # a palm changes over a school year, not within a week


@dataclass(frozen=True, slots=True)
class ErrorTarget:
    """The error rates that the settings want."""

    fpir: float
    margin: float


@dataclass(frozen=True, slots=True)
class ImportedPalms:
    """The numbers of a stick's palms that were taken and not taken."""

    taken: int
    passed_over: int  # known here at least as new, or of somebody who has not agreed
    unreadable: int  # sealed with another school's key, or changed


class PalmGallery:
    """The palms of this kiosk, safe from any thread. Without a key, or before `load`, there is nobody in it."""

    def __init__(
        self, journal: Journal, school: str, key: SchoolKey, target: ErrorTarget, dice: Dice = os.urandom
    ) -> None:
        self._journal = journal
        self._school = school
        self._key = key
        self._target = target
        self._dice = dice
        self._changing = threading.Lock()
        self._discarded: list[Palm] = []
        self._rows: dict[tuple[str, str], SealedPalm] = {}  # by person and hand; the palms themselves are not in them
        self.scrambles: Scrambles = key.scrambles()
        self.snapshot: Snapshot = gallery.empty(self.scrambles)
        self.loaded = False
        self.unreadable = 0  # sealed with another key, or changed since

    @property
    def fingerprint(self) -> str:
        return self._key.fingerprint

    def has_template(self, person: str) -> bool:
        """Returns True where this person can be recognised by the palm here."""
        return person in self.snapshot.places

    def point(self, snapshot: Snapshot) -> OperatingPoint:
        """Returns the threshold that is enough among so many templates."""
        return operating_point.operating_point(snapshot.templates, self._target.fpir, self._target.margin)

    def point_of(self, snapshot: Snapshot, person: str) -> OperatingPoint:
        """Returns the threshold that is enough 1:1, for a palm shown with this person's card: that of a gallery of this
        one.
        """
        templates = sum(len(snapshot.palms[index].fine) for index in snapshot.places.get(person, ()))
        return operating_point.operating_point(templates, self._target.fpir, self._target.margin)

    def load(self, roster: Roster) -> None:
        """Loads everybody who is kept here and still agrees. Palms of others are deleted, with a receipt."""
        with self._changing:
            rows = self._journal.palms.read_all()
            refused = {sealed.person for sealed in rows if not _agrees(sealed.person, roster)}
            if refused:
                self._journal.palms.delete(refused)
            opened = [self._open(sealed) for sealed in rows if sealed.person not in refused]
            palms = [palm for palm in opened if palm is not None]
            self.unreadable = len(opened) - len(palms)
            self._rows = {(row.person, row.hand): replace(row, sealed=b"") for row in rows}
            self.snapshot = self.snapshot.changed(palms)
            self.loaded = True
        log.info("%d palms of %d people are known", len(palms), self.snapshot.persons)
        if self.unreadable:
            log.error(
                "%d palms cannot be opened with this kiosk's key; restore the right key from its printout "
                "(`edge-agent palm key restore`), or enrol them again",
                self.unreadable,
            )

    def enrol(self, palm: Palm, sealed_as: SealedPalm, event: PalmEnrolled) -> None:
        """Keeps a palm on disk with its event, and then uses it. Raises `NoConsent`, `JournalUnwritable`."""
        with self._changing:
            self._keep(palm, sealed_as, event)

    def adapt(self, person: str, hand: Hand, responses: Responses, now: Moment, roster: Roster) -> bool:
        """Learns from a very sure recognition. Returns True when it added a sample. Raises as `enrol` does.

        At most once in `ADAPT_EVERY` for each palm, by a clock that can be trusted.
        """
        with self._changing:
            row = self._rows.get((person, hand.value))
            if row is None or not now.is_trusted or now.utc - row.made_at < ADAPT_EVERY:
                return False
            palms = (self.snapshot.palms[index] for index in self.snapshot.places.get(person, ()))
            palm = next((palm for palm in palms if palm.hand is hand), None)
            fresh = None if palm is None else adapted(palm, responses, self.scrambles)
            if fresh is None:
                return False
            event = PalmEnrolled(
                **build_origin(EventContext(now, roster)),
                person=person,
                hand=hand.value,
                templates=len(fresh.fine),
                operator="",
                adapted=fresh.adapted,
            )
            row = replace(row, samples=len(fresh.fine), sealed=self.sealed(fresh), made_at=now.utc, relayed=False)
            self._keep(fresh, row, event)
        return True

    def _keep(self, palm: Palm, row: SealedPalm, event: PalmEnrolled) -> None:
        self._journal.palms.add(row, event)
        self._rows[row.person, row.hand] = replace(row, sealed=b"")
        self._replace([palm], ())

    def sealed(self, palm: Palm) -> bytes:
        return seal(palm, self._key, self._school, Purpose.AT_REST, self._dice)

    def forget(self, people: Collection[str]) -> None:
        """Takes people out of use at once. Their palms on disk were deleted with the roster that says so."""
        if people:
            with self._changing:
                self._replace((), people)

    def delete(self, person: PersonId) -> int:
        """Deletes one person's palms from disk and memory, with a receipt, and returns how many samples there were.
        Raises `JournalUnwritable`.

        The school's other kiosks hear of it through the ledger.
        """
        with self._changing:
            deleted = self._journal.palms.revoke(person)
            self._replace((), [person])
        return deleted

    # To and from the school's other kiosks: `sync.client.ports.PalmStore`, and by a stick.

    def next_unsent_palm(self) -> SealedPalmMessage | None:
        while True:
            palm = self._journal.palms.next_unrelayed()
            match palm:
                case None:
                    return None
                case RevokedPalm(person, hand, revoked_at):
                    return SealedPalmMessage(person=person, hand=_HANDS[hand], made_at=revoked_at)
                case SealedPalm():
                    sealed = self._sealed_for_others(palm)
                    if sealed is not None:
                        return SealedPalmMessage(
                            person=palm.person,
                            hand=_HANDS[palm.hand],
                            made_at=sealed.made_at,
                            quality=sealed.quality,
                            sealed=sealed.sealed,
                        )
                    self._journal.palms.mark_relayed(palm)  # nobody could open it; it was told when it was loaded
                case _:
                    assert_never(palm)

    def mark_relayed(self, parcel: SealedPalmMessage) -> None:
        person = PersonId(parcel.person)
        if parcel.sealed:
            row = SealedPalm(person, parcel.hand, 1, b"", 0, read_time(parcel.made_at))
            self._journal.palms.mark_relayed(row)
        else:
            self._journal.palms.mark_relayed(RevokedPalm(person, parcel.hand, parcel.made_at))

    def palms_version(self) -> int:
        return self._journal.palms.merged_palm_version(self.fingerprint)

    def roster_version(self) -> int:
        return self._journal.roster.version()

    def accept_palms(self, palms: Sequence[SealedPalmMessage], version: int) -> None:
        """Takes a page of palms from the ledger."""
        revoked = [
            (PersonId(palm_on_wire.person), palm_on_wire.hand) for palm_on_wire in palms if not palm_on_wire.sealed
        ]
        opened = [(palm_on_wire, self._opened(palm_on_wire)) for palm_on_wire in palms if palm_on_wire.sealed]
        # The seal vouches for whose palm it is; a ledger that says otherwise was tampered with.
        mine = [
            palm
            for palm_on_wire, palm in opened
            if palm and (palm[0].person, palm[1].hand) == (palm_on_wire.person, palm_on_wire.hand)
        ]
        if len(mine) < len(opened):
            log.warning(
                "%d palms from the ledger cannot be opened with this kiosk's key; is it this school's?",
                len(opened) - len(mine),
            )
        self._take([(palm, replace(row, relayed=True)) for palm, row in mine], revoked, version, self.fingerprint)

    def exported(self) -> Iterator[SealedTemplates]:
        """Yields everything that can be opened here, sealed for the school's other kiosks."""
        for row in self._journal.palms.read_all():
            sealed = self._sealed_for_others(row)
            if sealed is not None:
                yield sealed

    def import_(self, palms: Sequence[SealedTemplates]) -> ImportedPalms:
        """Takes palms from a stick. Palms of people who have not agreed are left out."""
        opened = [palm for sealed in palms if (palm := self._opened(sealed)) is not None]
        accepted = self._take(opened)
        return ImportedPalms(accepted, len(opened) - accepted, len(palms) - len(opened))

    def _take(
        self,
        palms: Sequence[tuple[Palm, SealedPalm]],
        revoked: Sequence[tuple[PersonId, str]] = (),
        version: int = 0,
        fingerprint: str = "",
    ) -> int:
        with self._changing:
            accepted, deleted = self._journal.palms.accept([row for _, row in palms], revoked, version, fingerprint)
            fresh = {(row.person, row.hand) for row in accepted}
            self._rows |= {(row.person, row.hand): replace(row, sealed=b"") for row in accepted}
            back = set(revoked)
            others = [
                palm for palm in self.snapshot.palms if palm.person in deleted and (palm.person, palm.hand) not in back
            ]
            self._replace([*others, *(palm for palm, row in palms if (row.person, row.hand) in fresh)], deleted)
        return len(accepted)

    def _sealed_for_others(self, row: SealedPalm) -> SealedTemplates | None:
        palm = self._open(row)
        if palm is None:
            return None
        made_at = time_text(row.made_at)
        sealed = seal(palm, self._key, self._school, Purpose.EXPORT, self._dice, made_at)
        return SealedTemplates(made_at=made_at, quality=row.quality, sealed=sealed)

    def _opened(self, sealed: SealedTemplates) -> tuple[Palm, SealedPalm] | None:
        try:
            palm = unseal(sealed.sealed, self._key, self._school, Purpose.EXPORT, sealed.made_at)
        except Unsealable as error:
            log.debug("a palm of another kiosk: %s", error)
            return None
        row = SealedPalm(
            person=PersonId(palm.person),
            hand=palm.hand.value,
            samples=len(palm.fine),
            sealed=self.sealed(palm),
            quality=sealed.quality,
            made_at=read_time(sealed.made_at),
        )
        return palm, row

    def sweep(self) -> None:
        """Overwrites palms that went out of use. The thread that searches calls it between two searches."""
        while self._discarded:
            self._discarded.pop().erase()

    def _replace(self, added: Collection[Palm], removed: Collection[str]) -> None:
        before = self.snapshot
        self.snapshot = before.changed(added, removed)
        stay = {id(palm) for palm in self.snapshot.palms}
        self._discarded += [palm for palm in before.palms if id(palm) not in stay]

    def _open(self, sealed: SealedPalm) -> Palm | None:
        try:
            palm = unseal(sealed.sealed, self._key, self._school, Purpose.AT_REST)
        except Unsealable as error:
            log.debug("a palm of %s: %s", sealed.person, error)
            return None
        # The seal vouches for the person; a row whose column says another was tampered with.
        return palm if (palm.person, palm.hand.value) == (sealed.person, sealed.hand) else None


def _agrees(person: PersonId, roster: Roster) -> bool:
    return person in roster.people and roster.has_consent(person)
