"""The gate for the staff: a PIN that cannot be guessed quickly, and short sessions in memory.

The PIN comes from a credential file that only the service can read. Four wrong PINs are free. Every further wrong PIN
locks the gate for everybody: for a minute at first, then twice as long each time, up to a quarter of an hour. So it
takes months to try the 10,000 PINs of four digits. Sessions end with the process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

PIN_CHARS_MIN = 4
WRONG_FREE = 4
LOCK_S = 60.0
LOCK_S_MAX = 900.0
SESSION_IDLE_S = 4 * 3600.0
SESSIONS_MAX = 8
OPERATOR_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The PIN was right; the token names the session."""

    token: str


@dataclass(frozen=True, slots=True)
class WrongPin:
    """The PIN was wrong, or none is set."""


@dataclass(frozen=True, slots=True)
class GateLocked:
    """Too many wrong PINs: the gate is locked for some seconds."""

    seconds: int


@dataclass(slots=True)
class _StaffSession:
    operator: str
    used_s: float


class StaffGate:
    """The PIN and the sessions. Use it from one thread; times are monotonic seconds.

    `token` draws a text that nobody can guess. Without a PIN, or with a PIN that is too short, nobody gets in: a
    mistake in the secret's file must not stop the kiosk.
    """

    def __init__(self, pin: str | None, token: Callable[[], str]) -> None:
        self._pin = pin if pin is not None and len(pin) >= PIN_CHARS_MIN else None
        self._token = token
        self._wrong = 0
        self._locked_until_s = 0.0
        self._sessions: dict[str, _StaffSession] = {}

    @property
    def is_enabled(self) -> bool:
        """True when a PIN is set."""
        return self._pin is not None

    def sign_in(self, pin: str, operator: str, now_s: float) -> SignedIn | WrongPin | GateLocked:
        """Checks the PIN, and opens a session for `operator` if it is right. Too many sessions end the oldest one."""
        if self._pin is None:
            return WrongPin()
        if now_s < self._locked_until_s:
            return GateLocked(int(self._locked_until_s - now_s) + 1)
        if not compare_digest(pin.encode(), self._pin.encode()):
            self._wrong += 1
            if self._wrong > WRONG_FREE:
                lock_s = min(LOCK_S * 2 ** min(self._wrong - WRONG_FREE - 1, 8), LOCK_S_MAX)
                self._locked_until_s = now_s + lock_s
            return WrongPin()
        self._wrong = 0
        self._forget_idle(now_s)
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda token: self._sessions[token].used_s)]
        token = self._token()
        self._sessions[token] = _StaffSession(operator, now_s)
        return SignedIn(token)

    def operator(self, token: str, now_s: float, *, used: bool = True) -> str | None:
        """Returns the operator of this session, or None if it has ended. `used` keeps the session alive."""
        self._forget_idle(now_s)
        session = self._sessions.get(token)
        if session is None:
            return None
        if used:
            session.used_s = now_s
        return session.operator

    def sign_out(self, token: str) -> None:
        """Ends this session, if there is one."""
        self._sessions.pop(token, None)

    def _forget_idle(self, now_s: float) -> None:
        self._sessions = {
            token: session for token, session in self._sessions.items() if now_s - session.used_s < SESSION_IDLE_S
        }
