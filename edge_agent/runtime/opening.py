"""Opens the journal, also when the one on the disk cannot go on.

A damaged journal is set aside and kept. A new one takes its place, and its first event names the old one. The meals of
the last days come over before the first scan, so that no child eats twice; the upkeep brings the rest. Damage that
shows in the middle of the day condemns the journal: a file says why, the process ends, and the next start comes here.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge_agent.domain.moment import MomentSource
from edge_agent.journal.desk_consents import rescue_desk_consents
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.errors import JournalDamaged, JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.roster_table import rescue_roster
from edge_agent.journal.sealed_palms import rescue_palms
from edge_agent.journal.setting_aside import JournalSetAside, list_unsalvaged, set_journal_aside

log = logging.getLogger(__name__)

JOURNAL_NAME = "journal.db"
CONDEMNED_NAME = "journal.condemned"


@dataclass(frozen=True, slots=True)
class JournalOpener:
    """Opens this kiosk's journal in `state_dir`."""

    state_dir: Path
    kiosk: KioskIdentity
    now: MomentSource
    ballast_bytes: int

    def open_journal(self) -> Journal:
        """Returns the open journal; a damaged one is set aside first.

        Raises `JournalBusy`, `JournalNewer`, `JournalUnwritable`.
        """
        journal = self._open_or_replace()
        for aside in list_unsalvaged(journal.path):
            self._carry_recent(journal, aside)
        return journal

    def _open_or_replace(self) -> Journal:
        condemned = self.state_dir / CONDEMNED_NAME
        if not condemned.exists():
            try:
                return self._open(None)
            except JournalDamaged as error:
                log.critical("%s", error)
                return self._replace_damaged()
        log.error("the journal was condemned: %s", condemned.read_text("utf-8"))
        journal = self._replace_damaged()
        condemned.unlink()
        return journal

    def _carry_recent(self, journal: Journal, aside: Path) -> None:
        """Brings the last days' sightings of a journal that was set aside into this one."""
        moment = self.now()
        from edge_agent.journal.damage.salvage import read_recent  # a kiosk seldom needs it, and runs for months

        found = read_recent(aside, moment.utc if moment.is_trusted else None)
        if found.epoch is None:
            return
        try:
            carried = journal.carry(found.epoch.id, found.rows)
        except JournalUnwritable as error:
            log.warning("the meals in %s are not brought over yet: %s", aside, error)
        else:
            log.info("%d sightings of the last days brought over from %s", carried, aside)

    def condemn(self, reason: str) -> None:
        """Makes the next `open_journal` set this journal aside."""
        (self.state_dir / CONDEMNED_NAME).write_text(reason, "utf-8")

    def _replace_damaged(self) -> Journal:
        """Returns a new journal with roster and palms of the old one where they can be read: children still eat."""
        aside = set_journal_aside(self.state_dir / JOURNAL_NAME, self.now().utc)
        log.error("the damaged journal is kept as %s; a new epoch begins", aside.path)
        journal = self._open(aside)
        rescued = rescue_roster(aside.path, self.kiosk.school)
        if rescued is not None:
            journal.roster.apply((rescued[0],), rescued[1])
            journal.desk_consents.restore(rescue_desk_consents(aside.path))
            journal.palms.restore(rescue_palms(aside.path))
        return journal

    def _open(self, predecessor: JournalSetAside | None) -> Journal:
        path = self.state_dir / JOURNAL_NAME
        return Journal.open(path, self.kiosk, now=self.now, ballast_bytes=self.ballast_bytes, after=predecessor)
