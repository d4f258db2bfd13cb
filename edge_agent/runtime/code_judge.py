"""The judge of changing codes over this kiosk's journal, with the school's code key from the credentials folder."""

import logging
from typing import Final

from edge_agent.domain.dynamic_codes import DynamicCodes
from edge_agent.journal.journal import Journal
from sync.contract.roster import DynamicCode

log = logging.getLogger(__name__)

CODE_KEY_NAME: Final = "code-key"
_KEY_BYTES: Final = 32


def build_code_judge(journal: Journal, echo_ms: int, credential: bytes | None) -> DynamicCodes | None:
    """Returns the judge; None without a code key, and then changing codes are unknown codes."""
    key = _read_key(credential)
    if key is None:
        return None

    def open_secret(record: DynamicCode) -> bytes | None:
        from edge_agent.domain.code_seal import open_secret  # most kiosks have no such code

        # Sealed for the code's own name; formerly for the source's id, which is the person's id only in old rosters.
        return open_secret(record.sealed, key, record.surrogate) or open_secret(record.sealed, key, record.person)

    return DynamicCodes(open_secret, journal.code_uses.last_step, echo_ms)


def _read_key(credential: bytes | None) -> bytes | None:
    if credential is None:
        return None
    try:
        key = bytes.fromhex(credential.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        log.error("the credential %s is not 64 hex digits: changing codes are not taken", CODE_KEY_NAME)
        return None
    return key
