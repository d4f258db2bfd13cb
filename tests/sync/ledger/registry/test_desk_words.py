"""Consents noted at a desk: queued with the batch, part of the next roster, kept over imports."""

from datetime import UTC, datetime
from typing import TypedDict

import psycopg

from sync.contract import wire
from sync.contract.event import ClockQuality, ConsentNoted, ConsentWithdrawn, Event
from sync.contract.roster import Consent, RosterPage
from sync.ledger.registry import rosters
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogate
from tests.sync.ledger.kiosk import Kiosk, accepted
from tests.vectors import find_vector

ON = "2026-11-27"
SAMPLES = find_vector("canteen/oneroster12")


class WordOrigin(TypedDict):
    school: str
    at: str
    boot: str
    mono_ms: int
    clock: ClockQuality


def fetch(kiosk: Kiosk, school: str, since: int = 0) -> RosterPage:
    answer = kiosk.call("GET", wire.roster_path(school), query=wire.roster_query(since))
    return wire.read_json(RosterPage, answer.content)


def desk_consents(page: RosterPage) -> list[Consent]:
    return [change for change in page.changes if isinstance(change, Consent) and change.id.startswith("desk:")]


def test_the_last_word_of_any_desk_is_the_rosters(db: psycopg.Connection, school: str, kiosk: Kiosk) -> None:
    files = read_export(SAMPLES / "bulk")
    import_export(db, files, [school], date=ON, org="sch-0151")
    person = find_surrogate(db, school, "u-1")
    assert person is not None

    def send(*events: Event) -> None:
        kiosk.record(*events)
        accepted(kiosk.send(len(kiosk.payloads) - len(events) + 1, len(kiosk.payloads)))

    def where(at: str) -> WordOrigin:
        return {"school": school, "at": at, "boot": "b", "mono_ms": 1, "clock": ClockQuality.SYNCHRONISED}

    def noted(given_at: str, who: str = person) -> ConsentNoted:
        return ConsentNoted(
            **where(given_at), person=who, paper="17/2026", given_by="mother", given_at=given_at, operator="op-1"
        )

    first = fetch(kiosk, school).version
    send(noted("2026-11-02T03:00:00.000Z"), noted("2026-11-02T03:00:00.000Z", "nobody"))
    page = fetch(kiosk, school, first)
    assert page.version == first + 1
    assert desk_consents(page) == [
        Consent(id=f"desk:{person}:palm", person=person, version="17/2026", given_at="2026-11-02T03:00:00.000Z",
                given_by="mother")
    ]  # fmt: skip
    assert fetch(kiosk, school, page.version).version == page.version, "a word is taken once"

    import_export(db, files, [school], date=ON, org="sch-0151")
    assert len(desk_consents(fetch(kiosk, school))) == 1, "an export that has no such record leaves it"

    told = ConsentWithdrawn(**where("2026-11-03T03:00:00.000Z"), person=person, templates_deleted=0)
    send(told)  # the receipt of a roster is nobody's word
    assert fetch(kiosk, school, page.version).changes == ()
    ended = ConsentWithdrawn(
        **where("2026-11-03T04:00:00.000Z"), person=person, templates_deleted=0, operator="op-1",
        withdrawn_at="2026-11-03T05:00:00.000Z",
    )  # fmt: skip
    send(ended, noted("2026-11-01T03:00:00.000Z"))  # and an older word comes after it
    (record,) = desk_consents(fetch(kiosk, school, page.version))
    assert (record.given_at, record.withdrawn_at) == ("2026-11-02T03:00:00.000Z", "2026-11-03T05:00:00.000Z")

    send(noted("2199-01-01T00:00:00.000Z"))
    (record,) = desk_consents(fetch(kiosk, school))
    assert record.given_at < wire.time_text(datetime.now(UTC)), "a word of the future counts from now on"

    without = {
        name: b"".join(
            line for line in content.splitlines(keepends=True) if b"u-1," not in line and b'u-1"' not in line
        )
        for name, content in files.items()
        if name in ("users.csv", "roles.csv", "enrollments.csv")
    }
    import_export(db, files | without, [school], date=ON, org="sch-0151", vanish_share_max=1)
    assert desk_consents(fetch(kiosk, school)) == [], "it goes with the person"
    assert rosters.read_version(db, school) == fetch(kiosk, school).version
