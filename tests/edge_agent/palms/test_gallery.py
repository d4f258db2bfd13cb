"""Who is known by the palm: only who has agreed, only under this school's key, and always while somebody searches."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from msgspec.structs import replace

from edge_agent.domain.moment import Moment
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.domain.roster import Roster, build_roster
from edge_agent.journal.errors import NoConsent
from edge_agent.journal.journal import Journal
from edge_agent.journal.sealed_palms import SealedPalm
from edge_agent.palm.matching.code import COARSE_CELLS, FINE_CELLS, VALID
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.types import Hand
from edge_agent.palms.gallery import ErrorTarget, ImportedPalms, PalmGallery
from sync.contract.event import ClockQuality, ConsentWithdrawn, PalmEnrolled, PersonId, decode
from sync.contract.palms import SealedPalmMessage
from sync.contract.roster import Consent, Person, Record, RosterPage
from tests.edge_agent.journal.samples import NOON, open_journal
from tests.edge_agent.palm.made import responses

SCHOOL = "school-1"
KEY = SchoolKey(bytes(range(32)))
TARGET = ErrorTarget(fpir=0.001, margin=0.04)


def records(*people: str, agreed: frozenset[str] | None = None) -> list[Record]:
    yes = frozenset(people) if agreed is None else agreed
    consents = [Consent(id=f"k-{p}", person=p, given_at="2026-09-01T00:00:00Z") for p in people if p in yes]
    return [*(Person(id=p, given_name=p, family_name="F") for p in people), *consents]


def roster(*people: str, agreed: frozenset[str] | None = None) -> Roster:
    made = records(*people, agreed=agreed)
    return build_roster(made, school=SCHOOL, version=1, confirmed_at=NOON, tz=ZoneInfo("Asia/Almaty"))


def palm(person: str, seed: int, samples: int = 3) -> Palm:
    dice = np.random.default_rng(seed)
    fine = (dice.integers(0, 64, (samples, FINE_CELLS), np.uint8) | VALID).astype(np.uint8)
    coarse = (dice.integers(0, 64, (samples, COARSE_CELLS), np.uint8) | VALID).astype(np.uint8)
    return Palm(person, Hand.LEFT, fine, coarse)


def enrol(gallery: PalmGallery, person: str, seed: int = 1) -> bytes:
    made = palm(person, seed)
    sealed = gallery.sealed(made)
    event = PalmEnrolled(
        school=SCHOOL, at="2026-11-23T04:40:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        person=person, hand="left", templates=3, operator="Nurse",
    )  # fmt: skip
    gallery.enrol(made, SealedPalm(PersonId(person), "left", 3, sealed, 80, NOON), event)
    return sealed


def page(*people: str, version: int = 1, agreed: frozenset[str] | None = None) -> RosterPage:
    return RosterPage(
        school=SCHOOL, since=0, version=version, changes=tuple(records(*people, agreed=agreed)), whole=True
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply([page("u1", "u2", "u3", agreed=frozenset({"u1", "u2"}))], NOON)
        yield journal


def gallery(journal: Journal, key: SchoolKey = KEY) -> PalmGallery:
    return PalmGallery(journal, SCHOOL, key, TARGET)


def people(known: PalmGallery) -> set[str]:
    return set(known.snapshot.places)


def test_what_is_enrolled_is_in_force_at_once_and_after_a_restart(journal: Journal) -> None:
    known = gallery(journal)
    sealed = enrol(known, "u1")
    assert people(known) == {"u1"}
    again = gallery(journal)
    again.load(roster("u1", "u2"))
    assert people(again) == {"u1"}
    assert np.array_equal(again.snapshot.palms[0].fine, palm("u1", 1).fine)
    assert palm("u1", 1).fine[0, 10:40].tobytes() not in sealed


def test_nobody_without_consent_gets_in(journal: Journal) -> None:
    known = gallery(journal)
    for person in ("u3", "u9"):
        with pytest.raises(NoConsent):
            enrol(known, person)
    assert (people(known), journal.palms.read_all()) == (set(), [])


def test_a_consent_that_has_gone_by_the_start_deletes_before_anything_is_opened(journal: Journal) -> None:
    enrol(gallery(journal), "u1")
    enrol(gallery(journal), "u2", seed=2)
    again = gallery(journal)
    again.load(roster("u1", "u2", agreed=frozenset({"u2"})))
    assert people(again) == {"u2"}
    assert [kept.person for kept in journal.palms.read_all()] == ["u2"]
    last = decode(journal.recent(1)[0].payload)
    assert isinstance(last, ConsentWithdrawn)
    assert (last.person, last.templates_deleted) == ("u1", 3)


def test_palms_of_another_key_are_kept_and_not_used(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    enrol(gallery(journal), "u1")
    other = gallery(journal, SchoolKey(bytes(32)))
    other.load(roster("u1", "u2"))
    assert (people(other), other.unreadable) == (set(), 1)
    assert len(journal.palms.read_all()) == 1
    assert "palm key restore" in caplog.text


def test_a_seal_moved_to_another_person_is_not_used(journal: Journal) -> None:
    known = gallery(journal)
    sealed = enrol(known, "u1")
    journal.palms.restore([SealedPalm(PersonId("u2"), "left", 3, sealed, 80, NOON)])
    again = gallery(journal)
    again.load(roster("u1", "u2"))
    assert (people(again), again.unreadable) == ({"u1"}, 1)


def test_who_is_forgotten_is_out_at_once_and_overwritten_between_two_searches(journal: Journal) -> None:
    known = gallery(journal)
    enrol(known, "u1")
    held = known.snapshot.palms[0]
    known.forget(["u1", "nobody"])
    assert people(known) == set()
    assert held.fine.any()
    known.sweep()
    assert not held.fine.any()
    assert not held.coarse.any()


def test_a_wrong_enrolment_is_taken_back_from_disk_and_memory(journal: Journal) -> None:
    known = gallery(journal)
    enrol(known, "u1")
    enrol(known, "u2", seed=2)
    assert known.delete(PersonId("u1")) == 3
    assert known.delete(PersonId("u1")) == 0
    assert (people(known), [kept.person for kept in journal.palms.read_all()]) == ({"u2"}, ["u2"])


def test_a_change_of_500_templates_comes_into_force_whole_and_stops_no_search(journal: Journal) -> None:
    """36,000 templates: 3,000 children, two hands, six samples; the search goes on in what is in force."""
    known = gallery(journal)
    crowd = [palm(f"p{number}", number, samples=6) for number in range(6_000)]
    known._replace(crowd, ())
    seen: list[int] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            snapshot = known.snapshot
            seen.append(len(snapshot.palms))
            assert snapshot.palms[0].fine.shape == (6, FINE_CELLS)

    thread = threading.Thread(target=search)
    thread.start()
    fresh = [palm(f"new{number}", 10_000 + number, samples=6) for number in range(84)]
    with known._changing:
        known._replace(fresh, [f"p{number}" for number in range(84)])
    done.set()
    thread.join()
    assert set(seen) <= {6_000}
    assert len(known.snapshot.palms) == 6_000


def test_no_repr_shows_a_palm_or_a_key(journal: Journal) -> None:
    known = gallery(journal)
    sealed = enrol(known, "u1")
    for thing in (known.snapshot, known.snapshot.palms[0], known.scrambles, KEY, journal.palms.read_all()[0]):
        assert "array" not in repr(thing)
        assert repr(sealed[20:24])[2:-1] not in repr(thing)
        assert KEY.secret.hex() not in repr(thing)


def moment(days: float, clock: ClockQuality = ClockQuality.SYNCHRONISED) -> Moment:
    return Moment(NOON + timedelta(days=days), int(days * 86_400_000), "boot", clock)


def drawn(known: PalmGallery, person: str) -> None:
    """A palm that is drawn, enrolled at NOON."""
    made = Palm.of(
        person, Hand.LEFT, align([responses(person, seed) for seed in (1, 2, 3)], Hand.LEFT, KEY.scrambles())
    )
    event = PalmEnrolled(
        **build_origin(EventContext(moment(0), roster("u1"))), person=person, hand="left", templates=3, operator="N"
    )
    known.enrol(made, SealedPalm(PersonId(person), "left", 3, known.sealed(made), 80, NOON), event)


def test_a_palm_is_learned_anew_once_a_week_and_it_is_told(journal: Journal) -> None:
    journal.roster.apply([page("u1")], NOON)
    known, people_ = gallery(journal), roster("u1")
    known.load(people_)
    drawn(known, "u1")

    def learn(days: float, seed: int, clock: ClockQuality = ClockQuality.SYNCHRONISED) -> bool:
        return known.adapt("u1", Hand.LEFT, responses("u1", seed), moment(days, clock), people_)

    assert not learn(6.9, 11)
    assert not learn(8, 11, ClockQuality.UNSYNCHRONISED), "by a clock that nobody set, a week is soon over"
    assert not known.adapt("u1", Hand.RIGHT, responses("u1", 11), moment(8), people_)
    assert not known.adapt("u1", Hand.LEFT, responses("u2", 11), moment(8), people_)
    assert learn(8, 11)
    assert not learn(8.1, 12)
    assert learn(15, 12)
    assert learn(22, 13)
    (kept,) = journal.palms.read_all()
    assert (kept.samples, kept.made_at) == (5, NOON + timedelta(days=22))
    told = [fact for row in journal.recent(9) if isinstance(fact := decode(row.payload), PalmEnrolled)]
    assert [(fact.templates, fact.adapted, fact.operator) for fact in reversed(told)] == [
        (3, 0, "N"),
        (4, 1, ""),
        (5, 2, ""),
        (5, 2, ""),
    ]
    again = gallery(journal)
    again.load(people_)
    assert again.snapshot.palms[0].adapted == 2
    assert not again.adapt("u1", Hand.LEFT, responses("u1", 14), moment(23), people_), "a restart begins no new week"


def test_who_has_withdrawn_is_not_learned_anew(journal: Journal) -> None:
    journal.roster.apply([page("u1")], NOON)
    known = gallery(journal)
    known.load(roster("u1"))
    drawn(known, "u1")
    journal.roster.apply([page("u1", version=2, agreed=frozenset())], NOON)
    with pytest.raises(NoConsent):
        known.adapt("u1", Hand.LEFT, responses("u1", 11), moment(8), roster("u1"))
    assert journal.palms.read_all() == []


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[tuple[Journal, Journal]]:
    """Of two kiosks of one school, with one roster."""
    with open_journal(tmp_path / "one.db") as one, open_journal(tmp_path / "two.db") as two:
        for journal in (one, two):
            journal.roster.apply([page("u1", "u2")], NOON)
        yield one, two


def brought(known: PalmGallery) -> list[SealedPalmMessage]:
    """All that this kiosk has to send; the ledger takes each."""
    parcels = []
    while (parcel := known.next_unsent_palm()) is not None:
        parcels.append(parcel)
        known.mark_relayed(parcel)
    return parcels


def test_a_palm_made_known_at_one_kiosk_is_known_at_the_other(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    sealed = enrol(here, "u1")
    (parcel,) = brought(here)
    assert (parcel.person, parcel.hand, parcel.made_at) == ("u1", "left", "2026-11-23T07:00:00.000Z")
    assert sealed not in parcel.sealed
    assert palm("u1", 1).fine[0, 10:40].tobytes() not in parcel.sealed
    there.accept_palms([parcel], 7)
    assert (people(there), there.palms_version(), brought(there)) == ({"u1"}, 7, [])
    assert np.array_equal(there.snapshot.palms[0].fine, palm("u1", 1).fine)
    here.accept_palms([parcel], 7)
    assert len(journals[0].recent(9)) == 1, "its own palm comes back, and nothing happens"
    again = gallery(journals[1])
    again.load(roster("u1", "u2"))
    assert people(again) == {"u1"}
    other_key = PalmGallery(journals[1], SCHOOL, SchoolKey(bytes(32)), TARGET)
    assert other_key.palms_version() == 0, "what could not be opened with another key is asked for again"


def test_the_ledgers_order_decides_but_what_was_made_here_since_comes_after_it(
    journals: tuple[Journal, Journal],
) -> None:
    here, there = (gallery(journal) for journal in journals)
    enrol(here, "u1", 1)
    (first,) = brought(here)
    enrol_at(there, "u1", 2, minutes=5)
    there.accept_palms([first], 1)
    assert np.array_equal(there.snapshot.palms[0].fine, palm("u1", 2).fine), "not sent yet: newer than the order"
    (second,) = brought(there)
    here.accept_palms([second], 2)
    there.accept_palms([second], 2)
    for known in (here, there):
        assert np.array_equal(known.snapshot.palms[0].fine, palm("u1", 2).fine)
        assert len(known.snapshot.palms) == 1


def test_what_is_taken_back_goes_from_the_other_kiosk_and_stays_away(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    for person in ("u1", "u2"):
        enrol(here, person)
    there.accept_palms(brought(here), 2)
    assert there.delete(PersonId("u1")) == 3
    (back,) = brought(there)
    assert (back.person, back.sealed) == ("u1", b"")
    here.accept_palms([back], 3)
    assert (people(here), people(there)) == ({"u2"}, {"u2"})
    receipt = decode(journals[0].recent(1)[0].payload)
    assert isinstance(receipt, ConsentWithdrawn)
    assert (receipt.person, receipt.templates_deleted) == ("u1", 3)
    enrol(here, "u1", 4)
    here.accept_palms([back], 3)
    assert people(here) == {"u1", "u2"}, "made known anew"


def test_without_a_consent_nothing_comes_in_whoever_brings_it(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    for person in ("u1", "u2"):
        enrol(here, person)
    stick, parcels = list(here.exported()), brought(here)
    journals[1].roster.apply([page("u1", "u2", version=2, agreed=frozenset({"u1"}))], NOON)
    there.accept_palms(parcels, 2)
    assert people(there) == {"u1"}
    assert {row.person for row in journals[1].palms.read_all()} == {"u1"}
    assert there.import_(stick) == ImportedPalms(0, 2, 0)


def test_a_stick_brings_what_is_not_here_and_leaves_what_is_younger(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    for person in ("u1", "u2"):
        enrol(here, person)
    stick = list(here.exported())
    enrol_at(there, "u2", 9, minutes=1)
    assert there.import_(stick) == ImportedPalms(1, 1, 0)
    assert there.import_(stick) == ImportedPalms(0, 2, 0)
    assert {parcel.person for parcel in brought(there)} == {"u1", "u2"}, "the ledger is told, too"
    stranger = PalmGallery(journals[1], SCHOOL, SchoolKey(bytes(32)), TARGET)
    assert stranger.import_(stick) == ImportedPalms(0, 0, 2)
    moved = [replace(each, made_at="2027-01-01T00:00:00.000Z") for each in stick]
    assert there.import_(moved) == ImportedPalms(0, 0, 2), "nobody makes an old one younger"


def test_a_ledger_that_names_another_person_is_not_believed(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    enrol(here, "u1")
    (parcel,) = brought(here)
    there.accept_palms([replace(parcel, person="u2"), replace(parcel, hand="right")], 1)
    assert (people(there), journals[1].palms.read_all()) == (set(), [])


def test_a_ledger_that_was_restored_is_sent_everything_again(journals: tuple[Journal, Journal]) -> None:
    here, there = (gallery(journal) for journal in journals)
    enrol(here, "u1")
    there.accept_palms(brought(here), 40)
    assert brought(there) == []
    there.accept_palms([], 12)
    assert [parcel.person for parcel in brought(there)] == ["u1"]
    assert there.palms_version() == 12


def enrol_at(known: PalmGallery, person: str, seed: int, *, minutes: int) -> None:
    made = palm(person, seed)
    at = moment(minutes / 1440)
    event = PalmEnrolled(
        **build_origin(EventContext(at, roster("u1"))), person=person, hand="left", templates=3, operator="N"
    )
    known.enrol(made, SealedPalm(PersonId(person), "left", 3, known.sealed(made), 80, at.utc), event)
