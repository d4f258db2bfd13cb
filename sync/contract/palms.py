"""Palms on their way between the kiosks of one school, sealed with the school's key: neither ledger nor stick can read
them, and without that key they are noise.

    POST /v1/schools/{school}/palms          SealedPalmMessage → 200 SealedPalmReply   a palm, or that it was taken back
    GET  /v1/schools/{school}/palms?since=                     → 200 SealedPalmPage    the palms behind that number

The ledger knows whose palm a message holds, since it deletes it with the consent; of the palm it knows nothing. Its
order decides between two messages about one hand: clocks have no part in it.

On a stick (`edge-agent palm export`) the same travels as lines of JSON, and says of nobody whose palm it is:

    line 1     {"format":"canteen-palms","key":"…","palms":2,"school":"…","version":1}    a PalmStickHeader
    line 2-    {"made_at":"2026-09-01T04:40:00.000Z","quality":81,"sealed":"UFNM…"}       SealedTemplates, in base64
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from sync.contract.wire import Count, check_canonical

SEALED_BYTES_MAX: Final = 64 * 1024
PALM_MESSAGE_BYTES_MAX: Final = SEALED_BYTES_MAX * 4 // 3 + 4 * 1024
PAGE_PALMS: Final = 32
PALM_PAGE_BYTES_MAX: Final = PAGE_PALMS * PALM_MESSAGE_BYTES_MAX
STICK_VERSION: Final = 1
PERSON_CHARS_MAX: Final = 256

HandSide = Literal["left", "right", "unknown"]


class SealedTemplates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One hand's templates, sealed. `made_at` names this enrolment among others of the hand, and is sealed with it."""

    made_at: str
    quality: Annotated[int, Meta(ge=0, le=100)] = 0  # of the worst sample
    sealed: bytes = b""  # empty in a message: the palm was taken back

    def __post_init__(self) -> None:
        if len(self.sealed) > SEALED_BYTES_MAX:
            raise ValueError(f"a sealed palm of {len(self.sealed)} bytes; at most {SEALED_BYTES_MAX} are taken")
        check_canonical(self.made_at)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(made_at={self.made_at!r}, {len(self.sealed)} sealed bytes)"


class SealedPalmMessage(SealedTemplates, frozen=True, kw_only=True, omit_defaults=True):
    """The sealed templates of one hand of one person, or the news that they were taken back."""

    person: Annotated[str, Meta(min_length=1, max_length=PERSON_CHARS_MAX)]
    hand: HandSide

    def __post_init__(self) -> None:
        super().__post_init__()
        if "\0" in self.person:
            raise ValueError("a person's id with a zero byte")


class SealedPalmReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a palm. With `stored` False this person has not agreed, and nothing was kept."""

    version: Count
    stored: bool = msgspec.field(name="kept")


class SealedPalmPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of palms. `roster`: the version in force at the ledger; an older one may not say yet who has agreed."""

    school: str
    since: Count
    version: Count  # of the last one in it; the next page begins behind it
    roster: Count
    palms: tuple[SealedPalmMessage, ...] = ()
    more: bool = False


class PalmStickHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a file of palms on a stick."""

    format: Literal["canteen-palms"]
    version: int
    school: str
    key: str  # the public fingerprint of the key that they are sealed with
    palms: Count


def palms_path(school: str) -> str:
    return f"/v1/schools/{school}/palms"
