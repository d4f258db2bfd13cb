"""The gate for the staff: wrong PINs slow the client that sends them, and sessions are short and in memory.

Sessions end with the process. `edge_agent.domain.operators` says how long a client waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.domain.operators import Operator, WrongPins
from edge_agent.screen.ports import OperatorDirectory, PinVerdict

SESSION_IDLE_S = 4 * 3600.0
SESSIONS_MAX = 24


@dataclass(slots=True)
class _StaffSession:
    operator: str
    client: str
    used_s: float


@dataclass(slots=True)
class StaffGate:
    """The sessions, and the wrong PINs of each client. Use it from one thread; times are monotonic seconds.

    `token` draws a text that nobody can guess.
    """

    _directory: OperatorDirectory
    _token: Callable[[], str]
    _wrong: WrongPins = field(default_factory=WrongPins)
    _sessions: dict[str, _StaffSession] = field(default_factory=dict)

    def wait_s(self, client: str, now_s: float) -> int:
        """Returns the whole seconds for which this client must wait before its next PIN; 0: it may try at once."""
        wait_s = self._wrong.wait_s(client, now_s)
        return int(wait_s) + 1 if wait_s > 0 else 0

    def admit(self, operator: str, client: str, verdict: PinVerdict, now_s: float) -> str | None:
        """Notes what the PIN was worth. Returns the token of a new session for the right one, else None.

        Too many sessions end the one that was unused for longest.
        """
        if verdict is PinVerdict.WRONG:
            self._wrong.note_wrong(client, operator, now_s)
            return None
        self._wrong.note_right(client, operator)
        if verdict is PinVerdict.TO_CHANGE:
            return None
        self._forget_idle(now_s)
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda token: self._sessions[token].used_s)]
        token = self._token()
        self._sessions[token] = _StaffSession(operator, client, now_s)
        return token

    def operator(self, token: str, client: str, now_s: float, *, used: bool = True) -> Operator | None:
        """Returns the operator of this client's session, or None if it has ended. `used` keeps the session alive.

        A token that was copied to another client opens nothing there.
        """
        self._forget_idle(now_s)
        session = self._sessions.get(token)
        if session is None or session.client != client:
            return None
        if used:
            session.used_s = now_s
        return self._directory.find(session.operator)

    def sign_out(self, token: str) -> None:
        """Ends this session, if there is one."""
        self._sessions.pop(token, None)

    def end_sessions(self, operator: str) -> None:
        """Ends every session of this operator."""
        self._sessions = {token: session for token, session in self._sessions.items() if session.operator != operator}

    def end_client(self, client: str) -> None:
        """Ends every session of this client."""
        self._sessions = {token: session for token, session in self._sessions.items() if session.client != client}

    def _forget_idle(self, now_s: float) -> None:
        self._sessions = {
            token: session for token, session in self._sessions.items() if now_s - session.used_s < SESSION_IDLE_S
        }
