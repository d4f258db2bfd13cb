"""Who was ever on a school's roster: asked of the database once a person, remembered from then on.

Nobody is ever taken off "ever", so what is remembered here cannot become wrong, and any process may forget it.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection

import psycopg

SCHOOLS_MAX = 512  # remembered at once; a process that serves more forgets the one not asked for longest
PEOPLE_MAX = 50_000  # of one school; more than that no school has had

# Without a roster nobody is unknown.
_KNOWN = """
    SELECT id FROM unnest(%(people)b::text[]) AS asked (id)
    WHERE NOT EXISTS (SELECT 1 FROM school WHERE school = %(school)s AND roster_version > 0)
       OR EXISTS (SELECT 1 FROM roster_record r WHERE r.school = %(school)s AND r.type = 'person' AND r.id = asked.id)
"""


class People:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._schools: OrderedDict[str, set[str]] = OrderedDict()
        self._lock = threading.Lock()

    def unknown(self, connection: psycopg.Connection, school: str, people: Collection[str]) -> set[str]:
        """Those who were never on this school's roster."""
        asked = set(people) - self._remembered(school)
        if not asked:
            return set()
        rows = connection.execute(_KNOWN, {"school": school, "people": list(asked)})
        known = {row[0] for row in rows}
        if self._has_roster(connection, school):
            self._remember(school, known)
        return asked - known

    def _has_roster(self, connection: psycopg.Connection, school: str) -> bool:
        """Before the first roster everybody passes, and that must not be remembered."""
        row = connection.execute("SELECT roster_version > 0 FROM school WHERE school = %s", (school,)).fetchone()
        return bool(row and row[0])

    def _remembered(self, school: str) -> set[str]:
        with self._lock:
            known = self._schools.setdefault(school, set())
            self._schools.move_to_end(school)
            if len(self._schools) > SCHOOLS_MAX:
                self._schools.popitem(last=False)
            return known

    def _remember(self, school: str, people: set[str]) -> None:
        with self._lock:
            known = self._schools.get(school)
            if known is not None and len(known) + len(people) <= PEOPLE_MAX:
                self._schools[school] = known | people
