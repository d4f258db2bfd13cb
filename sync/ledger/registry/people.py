"""The people who were ever on a school's roster: asked of the database once a person, remembered from then on.

"Ever" never ends, so what is remembered here cannot become wrong, and any process may forget it.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection

import psycopg

SCHOOLS_MAX = 512  # remembered at once; a process that serves more forgets the one not asked for longest
PEOPLE_MAX = 50_000  # of one school; no school has had more

# No row before the first roster: then nobody is unknown.
_SELECT_MEMBERS = """
    SELECT ARRAY(
        SELECT DISTINCT id FROM roster_record r
        WHERE r.school = %(school)s AND r.type = 'person' AND r.id = ANY(%(people)b::text[])
    ) FROM school WHERE school = %(school)s AND roster_version > 0
"""


class RosterMembers:
    """The people whom this process has found on a roster. Safe from any thread."""

    def __init__(self) -> None:
        self._schools: OrderedDict[str, set[str]] = OrderedDict()
        self._lock = threading.Lock()

    def find_strangers(self, connection: psycopg.Connection, school: str, people: Collection[str]) -> set[str]:
        """Returns those who were never on this school's roster."""
        uncertain = set(people) - self._remembered(school)
        if not uncertain:
            return set()
        row = connection.execute(_SELECT_MEMBERS, {"school": school, "people": list(uncertain)}).fetchone()
        if row is None:  # everybody passes, and that must not be remembered
            return set()
        members = set(row[0])
        self._remember(school, members)
        return uncertain - members

    def _remembered(self, school: str) -> set[str]:
        with self._lock:
            members = self._schools.setdefault(school, set())
            self._schools.move_to_end(school)
            if len(self._schools) > SCHOOLS_MAX:
                self._schools.popitem(last=False)
            return members

    def _remember(self, school: str, people: set[str]) -> None:
        with self._lock:
            members = self._schools.get(school)
            if members is not None and len(members) + len(people) <= PEOPLE_MAX:
                self._schools[school] = members | people
