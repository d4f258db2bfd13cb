"""Consents noted at the desk from a signed paper: from when the word counts, and when it comes too late. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from enum import StrEnum

from sync.contract.consents import desk_record_id
from sync.contract.roster import Consent
from sync.contract.wire import time_text


class ConsentGiver(StrEnum):
    """The one who signed. The name stands on the paper alone."""

    MOTHER = "mother"
    FATHER = "father"
    GUARDIAN = "guardian"
    SELF = "self"  # a grown-up pupil, or one of the staff


class ConsentFault(StrEnum):
    """The reason why a paper was not noted."""

    OLDER_THAN_WITHDRAWAL = "consent_older"  # somebody took the consent back after this paper
    SIGNED_LATER = "consent_later"  # its date is still to come


class ConsentRefused(Exception):
    """The paper was not noted; `fault` says why."""

    def __init__(self, fault: ConsentFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ConsentPaper:
    """A signed paper, as the operator reads it."""

    number: str
    given_by: ConsentGiver
    signed_on: date


def note_consent(
    person: str, scope: str, paper: ConsentPaper, before: Iterable[Consent], utc: datetime, tz: tzinfo
) -> Consent:
    """Returns the record of this paper, after the words that are known `before`. Raises `ConsentRefused`.

    A paper of today counts from now on, an older one from the beginning of its day.
    """
    today = utc.astimezone(tz).date()
    if paper.signed_on > today:
        raise ConsentRefused(ConsentFault.SIGNED_LATER)
    begins = datetime.combine(paper.signed_on, time.min, tz).astimezone(UTC)
    given_at = time_text(utc if paper.signed_on == today else begins)
    if given_at <= max((consent.withdrawn_at for consent in before), default=""):
        raise ConsentRefused(ConsentFault.OLDER_THAN_WITHDRAWAL)
    return Consent(
        id=desk_record_id(person, scope),
        person=person,
        scope=scope,
        version=paper.number,
        given_at=given_at,
        given_by=paper.given_by.value,
    )


def withdraw_consent(person: str, scope: str, before: Iterable[Consent], utc: datetime) -> Consent:
    """Returns the record of a withdrawal at this moment, after the words that are known `before`.

    It holds also where the clock stands before the consent.
    """
    words = list(before)
    given_at = max((consent.given_at for consent in words), default="")
    return Consent(
        id=desk_record_id(person, scope),
        person=person,
        scope=scope,
        given_at=given_at,
        withdrawn_at=max(time_text(utc), given_at),
    )
