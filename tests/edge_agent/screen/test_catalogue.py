"""The catalogues: complete in three languages, without unused texts and without a word about money."""

import re
from importlib.resources import files

import pytest

from drivers.readings import FaultCause
from edge_agent.domain.consents import ConsentFault, ConsentGiver
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.health import LedgerState
from edge_agent.domain.operators import OperatorFault, OperatorRole, PinFault
from edge_agent.domain.tablets import TabletFault
from edge_agent.domain.update_plan import UpdateCause
from edge_agent.palm.types import Hand
from edge_agent.palms.enrolment_words import EnrolmentStep
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.card_ports import CardProblem
from edge_agent.screen.enrolment_ports import EnrolmentFailure, EnrolmentMark
from edge_agent.screen.ports import ClockReason, EntryReason, FailureReason, GuestReason, PaperReason, VoidReason
from edge_agent.screen.state import Icon, Invite, Language, ScreenBoard
from edge_agent.screen.tablets.certificate_page import CERTIFICATE_STEPS
from sync.contract.event import ClockQuality, Method
from sync.contract.roster import ServiceHint
from sync.money.tariffs import PayerKind
from tests.edge_agent.screen.contact_sheets import HAND_ADVICE

PAGE = files("edge_agent.screen").joinpath("page")
LINES = {
    "recording": ("yes", "no", "held"),
    "ledger": tuple(LedgerState),
    "queue": ("empty", "waiting", "long"),
    "roster": ("fresh", "old", "stale", "missing"),
    "readers": ("present", "gone", "misset"),
    "clock": tuple(ClockQuality),
    "identity": ("doubled",),
    "terminal_clock": ("doubted",),
    "technician": ("called",),
    "update": tuple(cause for cause in UpdateCause if cause is not UpdateCause.BY_HAND),
}
CONSENT_LINES = (
    "ask", "kept", "not_kept", "card", "withdraw", "review", "sign", "sign_who",
    "child.looks", "child.kept", "child.card", "child.stop",
)  # fmt: skip
STATUS_LINES = {
    "fact": ("clock", "disk", "queue", "chain", "ledger", "roster", "versions"),
    "kind": ("entry", "exit", "repeat", "refusal"),
    "graph": ("readings", "faults", "queue", "disk"),
}
RECEIPT_LINES = ("receipt_child", "receipt_gone", "receipt_others", "receipt_again")
SCREEN_FAILURES = (
    "wrong_pin", "wait", "no_pin_set", "signed_out", "malformed", "unreachable", "pin_to_change", "not_your_role",
    "in_hall", "not_paired",
)  # fmt: skip
MONEY = (
    r"\bfree\b|\bpaid|\bpay|money|voucher|price|subsid|tenge|"
    r"бесплатн|платн|оплат|деньг|льгот|ваучер|тенге|скидк|"
    r"тегін\b|ақылы|төле|ақша|жеңілдік|теңге"
)


def used_keys() -> set[str]:
    """Returns every key that the code builds or names."""
    keys = {
        f"child.{child}.{part}"
        for child in FeedbackKind
        if child is not FeedbackKind.IDLE
        for part in ("title", "text")
    }
    keys |= {f"child.invite.{invite}" for invite in Invite}
    keys |= {f"child.advice.{advice}" for advice in Advice if advice}
    keys |= {f"child.guide.{advice}" for advice in HAND_ADVICE}
    keys |= {f"reason.{reason}" for reason in DecisionReason if reason is not DecisionReason.ORDINARY}
    keys |= {f"staff.refused.{cause}" for cause in FaultCause}
    keys |= {f"hint.{hint}" for hint in ServiceHint}
    keys |= {f"health.{subject}.{value}" for subject, values in LINES.items() for value in values}
    keys |= {f"staff.by_hand.{code}" for code in EntryReason}
    keys |= {f"staff.guests.why.{code}" for code in GuestReason}
    keys |= {f"staff.guests.pays.{payer}" for payer in PayerKind}
    keys |= {f"staff.paper.why.{code}" for code in PaperReason}
    keys |= {f"staff.paper.{blank}" for blank in ("day", "meal", "hours", "written_by")}
    keys |= {f"staff.taken_back.{code}" for code in VoidReason}
    keys |= {f"staff.clock_checked.{code}" for code in ClockReason}
    failures = (*FailureReason, *OperatorFault, *PinFault, *CardProblem, *TabletFault, *SCREEN_FAILURES)
    keys |= {f"staff.why.{code}" for code in failures}
    keys |= {f"staff.operators.role.{role}" for role in OperatorRole}
    keys |= {f"staff.today.method.{method}" for method in Method}
    keys |= {f"enrol.{step}" for step in EnrolmentStep}
    keys |= {f"staff.why.{code}" for code in (*EnrolmentFailure, *ConsentFault)}
    keys |= {f"enrol.day.giver.{giver}" for giver in ConsentGiver}
    keys |= {f"enrol.day.hand.{hand}" for hand in (Hand.LEFT, Hand.RIGHT)}
    keys |= {f"enrol.day.is_{mark}" for mark in (EnrolmentMark.ABSENT, EnrolmentMark.REFUSED)}
    keys |= {f"enrol.day.{line}" for line in RECEIPT_LINES}
    keys |= {f"consent.{line}" for line in CONSENT_LINES}
    keys |= {f"pair.certificate.{line}" for line in ("title", "link", *CERTIFICATE_STEPS)}
    keys |= {f"status.{group}.{line}" for group, lines in STATUS_LINES.items() for line in lines}
    literal = re.compile(r'"((?:child|staff|pair|consent|status|enrol\.day)\.[a-z_]+(?:\.[a-z_]+)*)"')
    for page in PAGE.iterdir():
        if page.name.endswith((".js", ".html")):
            keys |= set(literal.findall(page.read_text()))
    return keys


@pytest.mark.parametrize("language", Language)
def test_each_language_has_exactly_the_used_keys(language: Language) -> None:
    assert set(read_catalogue(language)) == used_keys()


@pytest.mark.parametrize("key", sorted(read_catalogue(Language.EN)))
def test_the_languages_fill_in_the_same(key: str) -> None:
    blanks = {language: sorted(re.findall(r"\{\w+\}", read_catalogue(language)[key])) for language in Language}
    assert blanks[Language.KK] == blanks[Language.RU] == blanks[Language.EN]
    assert all(read_catalogue(language)[key].strip() for language in Language)


@pytest.mark.parametrize("language", Language)
def test_no_text_mentions_money(language: Language) -> None:
    texts = {key for key, words in read_catalogue(language).items() if re.search(MONEY, words, re.IGNORECASE)}
    # A guest is on no roster: the staff must say who pays, and no child is told.
    assert {key for key in texts if "payer" not in key and "guests.pays" not in key} == set()


def test_kazakh_is_kazakh_and_russian_is_russian() -> None:
    assert (
        sum(bool(re.search("[әғқңөұүһі]", words, re.IGNORECASE)) for words in read_catalogue(Language.KK).values()) > 80
    )
    assert not any(re.search("[әғқңөұүһі]", words, re.IGNORECASE) for words in read_catalogue(Language.RU).values())


def test_every_icon_is_drawn_and_every_sound_composed() -> None:
    page, sounds = PAGE.joinpath("child.html").read_text(), PAGE.joinpath("sound.js").read_text()
    assert all(f'id="icon-{name}"' in page for name in (*Icon, *HAND_ADVICE, "palm_too", "card_instead", "place"))
    heard = [kind for kind in FeedbackKind if ScreenBoard().with_feedback(Feedback(kind), 0).child_view(0).big.sound]
    melodies = dict(re.findall(r"^  (\w+): (\[\[.*\]\]),$", sounds, re.MULTILINE))
    assert set(melodies) == set(heard)
    assert len(set(melodies.values())) == len(heard)


def test_the_page_offers_the_reasons_that_the_ports_name() -> None:
    script = PAGE.joinpath("reasons.js").read_text()
    for codes in (EntryReason, VoidReason, ClockReason, GuestReason, PaperReason):
        assert ", ".join(f'"{code}"' for code in codes) in script


def test_no_page_reaches_out() -> None:
    for page in PAGE.iterdir():
        outside = set(re.findall(r"https?://[^\s\"']+", page.read_text())) - {"http://www.w3.org/2000/svg"}
        assert outside == set(), page.name
