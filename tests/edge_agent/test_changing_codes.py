"""Codes that change every 30 seconds, from the scanner to the journal, at one kiosk and at two."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from drivers.readings import CodeRead
from edge_agent.domain.code_seal import open_secret, seal_secret
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.runtime.code_judge import build_code_judge
from edge_agent.station.station import Station
from sync.contract.chain import DeviceId
from sync.contract.dynamic_codes import STEP_S, CodeUse, derive_digits
from sync.contract.event import Claim, ClockQuality, Entry, Refusal, Repeat
from sync.contract.roster import Credential, CredentialKind, DynamicCode, RosterPage
from tests.edge_agent.journal.samples import migrate_in_process
from tests.edge_agent.test_station import NOON, POLICY, moment, read_events, roster

KEY = bytes(range(32))
SECRETS = {"u-1": b"first secret of 20 b", "u-2": b"other secret of 20 b"}
STEP = int(NOON.timestamp()) // STEP_S
RECORDS = [
    DynamicCode(id=f"{person}.dynamic", person=person, surrogate=f"sur-{person}",
                sealed=seal_secret(secret, KEY, holder, bytes(12)))
    for (person, secret), holder in zip(SECRETS.items(), ("u-1", "sur-u-2"), strict=True)  # as formerly, and as now
] + [Credential(id="u-1.terminal", person="u-1", kind=CredentialKind.TERMINAL, value="1042")]  # fmt: skip


class Place:
    """One kiosk: its journal and its station."""

    def __init__(self, folder: Path, name: str, stack: ExitStack, key: bytes | None = KEY) -> None:
        kiosk = KioskIdentity(DeviceId(name), bytes(32), "s")
        self.journal = Journal.open(
            folder / f"{name}.db", kiosk, now=moment, ballast_bytes=0, migrate=migrate_in_process
        )
        stack.callback(self.journal.close)
        self.station = Station(self.journal, codes_roster(), POLICY)
        self.station.codes = build_code_judge(self.journal, 5_000, key.hex().encode() if key else None)

    def show(self, text: str, seconds: float = 0.0, *, keypad: bool = False, clock: Moment | None = None) -> Feedback:
        feedback = self.station.take_reading(CodeRead("qr", text, 0, keypad), clock or moment(seconds))
        assert feedback is not None
        return feedback


def codes_roster() -> Roster:
    return roster(*RECORDS)


def code(person: str = "u-1", step: int = STEP, digits: int = 8) -> str:
    return f"sur-{person}.{derive_digits(SECRETS[person], step, digits)}"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path, stack: ExitStack) -> Place:
    return Place(tmp_path, "left", stack)


def test_a_code_is_an_entry_and_names_its_step(place: Place) -> None:
    assert place.show(code()).kind is FeedbackKind.WELCOME
    [entry] = read_events(place.journal)
    assert isinstance(entry, Entry)
    assert (entry.person, entry.credential, entry.code_step, entry.claim) == (
        "u-1", "u-1.dynamic", STEP, Claim.CLAIMABLE,
    )  # fmt: skip
    text = bytes(place.journal.recent(1)[0].payload).decode()
    assert code().partition(".")[2] not in text
    assert "sur-u-1" not in text


def test_a_step_is_used_once_and_a_held_phone_is_one_gesture(place: Place) -> None:
    place.show(code())
    assert place.show(code(), 2).kind is FeedbackKind.NOTED
    used = place.show(code(), 20)
    assert used.staff is not None
    assert (used.kind, used.staff.reason) == (FeedbackKind.ASK_STAFF, DecisionReason.CODE_USED)
    before = place.show(code(step=STEP - 1), 21)
    assert before.staff is not None
    assert before.staff.reason is DecisionReason.CODE_USED, "nor is an earlier one"
    entry, repeat, refusal, _ = read_events(place.journal)
    assert isinstance(entry, Entry)
    assert isinstance(repeat, Repeat)
    assert isinstance(refusal, Refusal)
    assert (refusal.person, refusal.reason, refusal.code_step) == ("u-1", "code_used", 0)
    assert place.show(code("u-2"), 22).kind is FeedbackKind.WELCOME


@pytest.mark.parametrize("step", [STEP - 2, STEP + 2])
def test_a_code_of_another_time_is_unknown(place: Place, step: int) -> None:
    refused = place.show(code(step=step))
    assert refused.staff is not None
    assert refused.staff.reason is DecisionReason.UNKNOWN_CODE


def test_a_used_step_is_known_after_a_restart(tmp_path: Path, stack: ExitStack, place: Place) -> None:
    place.show(code())
    place.journal.close()
    again = Place(tmp_path, "left", stack).show(code(), 10)
    assert again.staff is not None
    assert again.staff.reason is DecisionReason.CODE_USED


def test_another_kiosk_refuses_once_it_has_heard_and_records_before(
    tmp_path: Path, stack: ExitStack, place: Place
) -> None:
    right, late = Place(tmp_path, "right", stack), Place(tmp_path, "late", stack)
    place.show(code())
    right.journal.code_uses.accept([CodeUse(person="u-1", step=STEP)], 1)
    refused = right.show(code(), 10)
    assert refused.staff is not None
    assert refused.staff.reason is DecisionReason.CODE_USED
    assert late.show(code(), 10).kind is FeedbackKind.WELCOME
    [second] = read_events(late.journal)
    assert isinstance(second, Entry)
    assert (second.person, second.code_step) == ("u-1", STEP), "the ledger sees the same person's second meal"


def test_under_a_wrong_clock_the_meal_is_held(place: Place) -> None:
    wrong = Moment(NOON - timedelta(hours=3), 0, "boot", ClockQuality.UNSYNCHRONISED)
    place.show(code(), clock=wrong)
    [entry] = read_events(place.journal)
    assert isinstance(entry, Entry)
    assert (entry.person, entry.claim, entry.review, entry.code_step) == ("u-1", Claim.HELD, True, STEP)
    place.show("sur-u-1.00000000", clock=wrong)
    assert isinstance(read_events(place.journal)[-1], Refusal)


def test_an_authenticators_six_digits_count_at_a_keypad_with_the_number(place: Place) -> None:
    six = derive_digits(SECRETS["u-1"], STEP, 6)
    for text, keypad in ((f"1042#{six}", False), (f"sur-u-1.{six}", False), (f"sur-u-1.{six}", True), (six, True)):
        assert place.show(text, keypad=keypad).kind is FeedbackKind.ASK_STAFF
    assert place.show(f"9999#{six}", keypad=True).kind is FeedbackKind.ASK_STAFF
    assert place.show(f"1042#{six}", keypad=True).kind is FeedbackKind.WELCOME
    assert place.show(code(), 10).kind is FeedbackKind.ASK_STAFF, "the eight digits are of the same step"


def test_without_the_schools_key_a_code_is_unknown(tmp_path: Path, stack: ExitStack) -> None:
    for number, key in enumerate((None, bytes(32), b"short")):
        refused = Place(tmp_path, f"kiosk{number}", stack, key).show(code())
        assert refused.staff is not None
        assert refused.staff.reason is DecisionReason.UNKNOWN_CODE


def test_a_secret_is_sealed_for_one_person() -> None:
    [record, *_] = RECORDS
    assert isinstance(record, DynamicCode)
    assert open_secret(record.sealed, KEY, "u-1") == SECRETS["u-1"]
    assert open_secret(record.sealed, KEY, "u-2") is None
    assert open_secret(record.sealed, bytes(32), "u-1") is None
    assert open_secret("no base64", KEY, "u-1") is None
    assert open_secret("", KEY, "u-1") is None
    assert record.sealed not in repr(record)
    assert "sur-u-1" not in repr(record)
    with pytest.raises(ValueError, match="at least 16"):
        seal_secret(b"short", KEY, "u-1", bytes(12))


def test_a_person_who_leaves_takes_secret_and_uses_along(place: Place) -> None:
    people = [person for person in codes_roster().people.values() if person.id != "u-3"]
    first = RosterPage(school="s", since=0, version=1, whole=True, changes=(*people, *RECORDS))
    place.journal.roster.apply([first], NOON)
    place.show(code())
    assert place.journal.code_uses.last_step(people[0].id) == STEP  # type: ignore[arg-type]
    stays = tuple(record for record in (*people, *RECORDS) if "u-1" not in record.id)
    place.journal.roster.apply([RosterPage(school="s", since=0, version=2, whole=True, changes=stays)], NOON)
    assert place.journal.code_uses.last_step(people[0].id) == -1  # type: ignore[arg-type]
    assert all("u-1" not in record.id for record in place.journal.roster.records())


def test_an_agent_that_learnt_more_types_fetches_the_whole_roster(place: Place) -> None:
    page = RosterPage(school="s", since=0, version=4, whole=True, changes=tuple(codes_roster().people.values()))
    place.journal.roster.apply([page], NOON)
    assert place.journal.roster.pulled_version() == 4
    place.journal.marks.write({"roster_knows": ""})
    assert (place.journal.roster.version(), place.journal.roster.pulled_version()) == (4, 0)
