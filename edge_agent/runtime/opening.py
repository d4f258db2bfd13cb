"""Opening the journal, also when the one that is there cannot go on.

A damaged journal is set aside and kept; a new one takes its place and its first event names it. Damage that shows in
the middle of the day condemns the journal: a file says why, the process ends, and the next start comes by here.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge_agent.domain.moment import MomentSource
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.journal import Journal
from edge_agent.journal.roster_table import rescue_roster
from edge_agent.journal.sealed_palms import rescue_palms
from edge_agent.journal.setting_aside import JournalSetAside, set_journal_aside

log = logging.getLogger(__name__)

JOURNAL_NAME = "journal.db"
CONDEMNED_NAME = "journal.condemned"


@dataclass(frozen=True, slots=True)
class Opening:
    """How this kiosk opens its journal."""

    state_dir: Path
    kiosk: KioskIdentity
    now: MomentSource
    ballast_bytes: int

    def open(self) -> Journal:
        """Raises `JournalBusy`, `JournalNewer`, `JournalUnwritable`; damage is dealt with."""
        condemned = self.state_dir / CONDEMNED_NAME
        if not condemned.exists():
            try:
                return self._journal(None)
            except JournalDamaged as error:
                log.critical("%s", error)
                return self._after_damage()
        log.error("the journal was condemned: %s", condemned.read_text("utf-8"))
        journal = self._after_damage()
        condemned.unlink()
        return journal

    def condemn(self, why: str) -> None:
        """Have the next `open` set this journal aside."""
        (self.state_dir / CONDEMNED_NAME).write_text(why, "utf-8")

    def _after_damage(self) -> Journal:
        """A new journal, with roster and palms of the old one where they can be read, so that children still eat."""
        aside = set_journal_aside(self.state_dir / JOURNAL_NAME, self.now().utc)
        log.error("the damaged journal is kept as %s; a new epoch begins", aside.path)
        journal = self._journal(aside)
        rescued = rescue_roster(aside.path, self.kiosk.school)
        if rescued is not None:
            journal.roster.apply((rescued[0],), rescued[1])
            journal.palms.restore(rescue_palms(aside.path))
        return journal

    def _journal(self, after: JournalSetAside | None) -> Journal:
        path = self.state_dir / JOURNAL_NAME
        return Journal.open(path, self.kiosk, now=self.now, ballast_bytes=self.ballast_bytes, after=after)
