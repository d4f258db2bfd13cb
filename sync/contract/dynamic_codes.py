"""Codes that change every 30 seconds (RFC 6238, HMAC-SHA-1): what a phone shows, and how a kiosk reads it.

    q7Kf2mXw.61930275     a QR code: the surrogate id of a person, a point, eight digits
    1042#930275           at a keypad: the child's number and the six digits of an authenticator, which are the last six
                          of the same eight

The surrogate is drawn for this purpose and says nothing of the person. A step is the number of 30 seconds since 1970.
Each step of a person is used once in a school: by then a photograph of the screen is of no use to anybody.

    GET /v1/schools/{school}/code-uses?since=     → 200 CodeUsePage     the last step used by each person
"""

import hmac
import re
from typing import Final
from urllib.parse import quote

import msgspec

from sync.contract.wire import Count

STEP_S: Final = 30
DRIFT_STEPS: Final = 1  # a phone's clock may be one step off, and typing takes a while
QR_DIGITS: Final = 8
KEYPAD_DIGITS: Final = 6
SECRET_BYTES_MIN: Final = 16
CODE_USES_PAGE: Final = 2_000
CODE_USES_PAGE_BYTES_MAX: Final = 1024 * 1024
_QR = re.compile(r"([0-9A-Za-z_-]{4,64})[.:]([0-9]{8})", re.ASCII)
_KEYPAD = re.compile(r"([0-9]{1,20})#([0-9]{6})", re.ASCII)


class ShownCode(msgspec.Struct, frozen=True):
    """A code as it was shown: `holder` is a surrogate id, or at a keypad the child's number."""

    holder: str
    digits: str

    def __repr__(self) -> str:
        return f"ShownCode({len(self.digits)} digits)"


class CodeUse(msgspec.Struct, frozen=True, kw_only=True):
    """The last step that a person has used in the school."""

    person: str
    step: Count


class CodeUsePage(msgspec.Struct, frozen=True, kw_only=True):
    """The uses behind the number `since`, in the ledger's order."""

    school: str
    since: Count
    version: Count
    uses: tuple[CodeUse, ...] = ()
    more: bool = False


def code_uses_path(school: str) -> str:
    """Returns the path at which a kiosk asks for the uses of codes at the school's other kiosks."""
    return f"/v1/schools/{quote(school, safe='')}/code-uses"


def parse_code(text: str, *, keypad: bool) -> ShownCode | None:
    """Returns the changing code in a text; None for any other text. Six digits count at a keypad alone."""
    match = (_KEYPAD if keypad else _QR).fullmatch(text.strip())
    return ShownCode(match[1], match[2]) if match else None


def derive_digits(secret: bytes, step: int, digits: int) -> str:
    """Returns the code of a step, as RFC 6238 and RFC 4226 have it."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def find_step(secret: bytes, digits: str, about: int, drift: int = DRIFT_STEPS) -> int | None:
    """Returns the step nearest to `about`, at most `drift` away, whose code these digits are; None where it is none."""
    for distance in range(drift + 1):
        for step in {about - distance, about + distance}:
            if step >= 0 and hmac.compare_digest(derive_digits(secret, step, len(digits)), digits):
                return step
    return None
