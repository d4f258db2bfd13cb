"""An invented school: pupils, cards, programmes and one lunch, in the files that a real school would send.

The roster takes the real way: OneRoster 1.2 CSV with the canteen's own files beside it, imported into the ledger.
Names are common given and family names, combined at random. Any likeness to a living child is chance.
"""

import csv
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SCHOOL = "sch-demo"
SESSION = "lunch"
EARLY_MINUTES = 5  # the session starts before the first child comes, so that no child comes in the minute of its start
LATE_MINUTES = 120  # a slow machine falls behind; at speed 20 these are six minutes to catch up

GIVEN_NAMES = (
    "Әлия",
    "Нұрлан",
    "Іңкәр",
    "Ерасыл",
    "Аяжан",
    "Санжар",
    "Томирис",
    "Әли",
    "Мадина",
    "Диас",
    "Анна",
    "Иван",
    "Дина",
    "Максим",
    "Жібек",
    "Арман",
    "Ұлпан",
    "Бекзат",
    "Сабина",
    "Тимур",
    "Еркежан",
    "Данияр",
    "Камила",
    "Ғани",
    "Айша",
    "Олжас",
    "Вера",
    "Руслан",
    "Күнсұлу",
    "Алихан",
)
FAMILY_NAMES = (
    "Қасымова",
    "Әбенов",
    "Жүнісова",
    "Төлеген",
    "Өмірбек",
    "Сейітова",
    "Ким",
    "Ли",
    "Петрова",
    "Иванов",
    "Сапаров",
    "Ахметова",
    "Тұрсын",
    "Бейсен",
    "Омарова",
    "Нұрғали",
    "Серік",
    "Юсупова",
    "Раисов",
    "Мұрат",
    "Қайрат",
    "Үсенова",
    "Цой",
    "Шайхы",
)


@dataclass(frozen=True, slots=True)
class DemoPupil:
    """A pupil of the demo, with a card and a terminal number."""

    id: str
    given_name: str
    family_name: str
    grade: int
    card_hex: str  # of an EM4100 card, 40 bits
    terminal: str  # the number under which the palm terminal knows the child
    entitled: bool  # a programme pays for the meals
    consent: bool  # the parent agreed to the palm


def make_pupils(count: int, dice: random.Random) -> list[DemoPupil]:
    """Returns `count` pupils. One in ten has no programme, one in six no consent. Equal dice give equal schools."""
    cards = dice.sample(range(0x01_0000_0000, 0xFF_FFFF_FFFF), count)
    return [
        DemoPupil(
            id=f"u-{number + 1}",
            given_name=dice.choice(GIVEN_NAMES),
            family_name=dice.choice(FAMILY_NAMES),
            grade=1 + number * 11 // count,
            card_hex=f"{cards[number]:010X}",
            terminal=str(1001 + number),
            entitled=dice.random() >= 0.1,
            consent=dice.random() >= 1 / 6,
        )
        for number in range(count)
    ]


def roster_files(pupils: Sequence[DemoPupil], opens: datetime, minutes: float) -> dict[str, bytes]:
    """Returns all files of the import, by name. `opens` is the local time at which the first child may come."""
    start = opens - timedelta(minutes=EARLY_MINUTES)
    end = opens + timedelta(minutes=minutes + LATE_MINUTES)
    files = {"academicSessions": "absent", "orgs": "bulk", "courses": "absent", "classes": "absent", "users": "bulk"}
    files |= {"roles": "bulk", "enrollments": "absent", "demographics": "absent"}
    manifest = [("manifest.version", "1.0"), ("oneroster.version", "1.2")]
    manifest += [(f"file.{name}", mode) for name, mode in files.items()]
    return {
        "manifest.csv": _csv("propertyName value", ({"propertyName": name, "value": mode} for name, mode in manifest)),
        "orgs.csv": _csv(
            "sourcedId status dateLastModified name type identifier parentSourcedId",
            [{"sourcedId": SCHOOL, "name": "Школа «Демо»", "type": "school", "identifier": "1"}],
        ),
        "users.csv": _csv(
            "sourcedId status dateLastModified enabledUser username userIds givenName familyName middleName identifier "
            "email sms phone agentSourcedIds grades password userMasterIdentifier resourceSourcedIds "
            "preferredGivenName preferredMiddleName preferredFamilyName primaryOrgSourcedId pronouns",
            (
                {
                    "sourcedId": p.id,
                    "enabledUser": "true",
                    "username": p.id,
                    "givenName": p.given_name,
                    "familyName": p.family_name,
                    "identifier": p.terminal,
                    "grades": f"{p.grade:02}",
                    "primaryOrgSourcedId": SCHOOL,
                }
                for p in pupils
            ),
        ),
        "roles.csv": _csv(
            "sourcedId status dateLastModified userSourcedId roleType role beginDate endDate orgSourcedId "
            "userProfileSourcedId",
            (
                {
                    "sourcedId": f"r-{p.id}",
                    "userSourcedId": p.id,
                    "roleType": "primary",
                    "role": "student",
                    "orgSourcedId": SCHOOL,
                }
                for p in pupils
            ),
        ),
        "cards.csv": _csv(
            "userSourcedId number notation technology status",
            ({"userSourcedId": p.id, "number": p.card_hex, "notation": "full", "technology": "em4100"} for p in pupils),
        ),
        "terminals.csv": _csv(
            "userSourcedId number", ({"userSourcedId": p.id, "number": p.terminal} for p in pupils if p.consent)
        ),
        "consents.csv": _csv(
            "userSourcedId scope version givenAt givenBy withdrawnAt",
            (
                {"userSourcedId": p.id, "scope": "palm", "version": "1", "givenAt": "2026-09-01T04:00:00Z"}
                for p in pupils
                if p.consent
            ),
        ),
        "programmes.csv": _csv(
            "sourcedId name",
            [{"sourcedId": "state", "name": "State meals"}, {"sourcedId": "paid", "name": "Paid meals"}],
        ),
        "entitlements.csv": _csv(
            "userSourcedId programme sessions first last priority",
            (
                {"userSourcedId": p.id, "programme": "state" if p.grade <= 4 else "paid", "sessions": SESSION}
                for p in pupils
                if p.entitled
            ),
        ),
        "sessions.csv": _csv(
            "sourcedId name nameKk nameRu start end weekdays",
            [
                {
                    "sourcedId": SESSION,
                    "name": "Lunch",
                    "nameKk": "Түскі ас",
                    "nameRu": "Обед",
                    "start": f"{start:%H:%M}",
                    "end": f"{end:%H:%M}",
                    "weekdays": "1234567",
                }
            ],
        ),
    }


def _csv(header: str, rows: Iterable[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, header.split(), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
