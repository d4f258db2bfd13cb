"""Who may see and do what on the ledger's pages. Pure.

| role | schools | people | programmes | lessons | contests | events and proofs | kiosks |
|---|---|---|---|---|---|---|---|
| school | its own | by name | yes | yes | with the family's words | yes | its own |
| caterer | its own | by opaque id | no | no | no | no | no |
| city | all | by opaque id | yes | yes | without the words | no | all |
| auditor | all | by opaque id | yes | yes | without the words | yes | all |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class PageRole(StrEnum):
    """The four sides that read the pages."""

    SCHOOL = "school"
    CATERER = "caterer"
    CITY = "city"
    AUDITOR = "auditor"


class PageAct(StrEnum):
    """The acts on the pages. Each is kept with the name and login of who did it."""

    CONFIRM = "confirm"  # that a sheet was read
    OBJECT = "object"  # to lines of a sheet
    SIGN = "sign"  # hand in a signature over a sheet
    CLOSE = "close"  # a sheet that both sides have signed
    COUNT = "count"  # hand in the payer's file, or compare it again
    MATCH = "match"  # confirm whom a name in the payer's file means
    MAP = "map"  # say how the payer's file is read
    LESSONS = "lessons"  # hand in who was at lessons


_SIDES = frozenset({PageRole.SCHOOL, PageRole.CATERER, PageRole.CITY})

ALLOWED_ROLES: Mapping[PageAct, frozenset[PageRole]] = {
    PageAct.CONFIRM: _SIDES,
    PageAct.OBJECT: _SIDES,
    PageAct.SIGN: _SIDES,
    PageAct.CLOSE: frozenset({PageRole.CITY}),
    PageAct.COUNT: _SIDES,
    PageAct.MATCH: frozenset({PageRole.SCHOOL}),
    PageAct.MAP: _SIDES,
    PageAct.LESSONS: frozenset({PageRole.SCHOOL, PageRole.CITY}),
}


@dataclass(frozen=True, slots=True)
class PageReader:
    """A signed-in person. `school` is '' for those of the city, who read every school's pages."""

    school: str
    login: str
    role: PageRole
    name: str

    def may_read(self, school: str) -> bool:
        """Returns True for the reader's own school, and for every school to those of the city."""
        return self.school in ("", school)

    @property
    def sees_names(self) -> bool:
        """Returns True where people are shown by name; to the others by their opaque id."""
        return self.role is PageRole.SCHOOL

    @property
    def sees_programmes(self) -> bool:
        """Returns False for a caterer: who pays for a child is none of the kitchen's business."""
        return self.role is not PageRole.CATERER

    @property
    def sees_events(self) -> bool:
        """Returns True where single events and their proofs are shown."""
        return self.role in (PageRole.SCHOOL, PageRole.AUDITOR)

    @property
    def sees_contests(self) -> bool:
        """Returns False for a caterer: what families say is between them, the school and the city."""
        return self.role is not PageRole.CATERER

    @property
    def sees_kiosks(self) -> bool:
        """Returns False for a caterer: whose reader is broken is for those who look after the kiosks."""
        return self.role is not PageRole.CATERER

    @property
    def acting_name(self) -> str:
        """Returns who acts, as histories show it: name and login."""
        return f"{self.name} ({self.login})"

    def may(self, act: PageAct) -> bool:
        """Returns True where the reader's role is allowed this act, at the schools whose pages it reads."""
        return self.role in ALLOWED_ROLES[act]

    @property
    def sees_lessons(self) -> bool:
        """Returns False for a caterer: who was at lessons is none of the kitchen's business."""
        return self.role is not PageRole.CATERER

    @property
    def sees_views(self) -> bool:
        """Returns True where the log of views is shown: to the school about its own children, and to auditors."""
        return self.role in (PageRole.SCHOOL, PageRole.AUDITOR)
