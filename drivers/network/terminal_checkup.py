"""A check-up of one Hikvision terminal: is it the one we mean, does it post to us, and what has it kept meanwhile?

It runs in a thread of its own, since a terminal may take its time: `TerminalCheckup.outcome` is None until it is over.
One that is cancelled ends at its next question and is given up until then.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from drivers.errors import DeviceError
from drivers.protocols import hikvision, isapi
from drivers.protocols.hikvision import Meaning, Notice
from drivers.protocols.isapi import EventListener

SEARCH_PAGES_MAX = 100  # of a search: three thousand events


class TerminalServer(Protocol):
    """The terminal as a server; `drivers.transports.digest_http` is the real one."""

    def ask(self, method: str, target: str, body: bytes = b"", content_type: str = "application/xml") -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CheckupPlan:
    """The questions of one check-up."""

    serial: str
    listener: EventListener
    meaning: Meaning
    since: datetime | None  # aware; None: events that it has kept are not asked for
    until: datetime | None = None


@dataclass(slots=True)
class CheckupOutcome:
    """The result of a check-up. `failure` names the step that could not be done, in words for the technician."""

    was_set: bool = False  # the terminal had lost our address, and has it again
    notices: list[Notice] = field(default_factory=list)
    failure: DeviceError | ValueError | None = None
    has_no_history: bool = False


class TerminalCheckup:
    """One check-up, begun by `start`."""

    def __init__(self, plan: CheckupPlan, connect: Callable[[], TerminalServer]) -> None:
        self.plan = plan
        self._connect = connect
        self._outcome = CheckupOutcome()
        self._cancelled = threading.Event()
        self._over = threading.Event()

    def start(self) -> None:
        """Begins in a thread that ends with the process."""
        threading.Thread(target=self._run, name=f"check-up {self.plan.serial}", daemon=True).start()

    def cancel(self) -> None:
        """Makes the check-up end at its next question; nobody waits for it."""
        self._cancelled.set()

    @property
    def outcome(self) -> CheckupOutcome | None:
        """The result; None while the check-up lasts."""
        return self._outcome if self._over.is_set() else None

    def _run(self) -> None:
        try:
            server = self._connect()
            try:
                run_checkup(server, self.plan, self._outcome, self._cancelled.is_set)
            finally:
                server.close()
        except (DeviceError, ValueError) as failure:
            self._outcome.failure = failure
        finally:
            self._over.set()


def run_checkup(
    server: TerminalServer, plan: CheckupPlan, outcome: CheckupOutcome, is_cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Asks everything in turn and writes down what came of it. Raises DeviceError or ValueError where a step fails."""
    serial = isapi.serial_number(server.ask("GET", isapi.DEVICE_INFO))
    if serial != plan.serial:
        raise ValueError(
            f"another terminal ({serial[-9:]}) answers at the address of {plan.serial[-9:]}: correct `terminals`"
        )
    _look_after_listener(server, plan.listener, outcome)
    if plan.since is not None and plan.until is not None:
        _fetch(server, plan, plan.since, plan.until, outcome, is_cancelled)


def _look_after_listener(server: TerminalServer, listener: EventListener, outcome: CheckupOutcome) -> None:
    hosts = server.ask("GET", isapi.HTTP_HOSTS) or isapi.empty_hosts()
    if listener.is_set_in(hosts):
        return
    server.ask("PUT", isapi.HTTP_HOSTS, listener.put_into(hosts))
    if not listener.is_set_in(server.ask("GET", isapi.HTTP_HOSTS)):
        raise ValueError(
            "the terminal took our address and does not keep it: enter it in its page, under HTTP listening, by hand"
        )
    outcome.was_set = True


def _fetch(
    server: TerminalServer,
    plan: CheckupPlan,
    since: datetime,
    until: datetime,
    outcome: CheckupOutcome,
    is_cancelled: Callable[[], bool],
) -> None:
    from drivers.transports.digest_http import NotOffered  # the library is imported where a terminal is asked

    search_id, position = secrets.token_hex(8), 0
    for _ in range(SEARCH_PAGES_MAX):
        if is_cancelled():
            return
        try:
            page = server.ask(
                "POST", isapi.EVENT_SEARCH, isapi.search(search_id, position, since, until), "application/json"
            )
        except NotOffered:
            outcome.has_no_history = True
            return
        notices, has_more = hikvision.read_search(page, plan.meaning)
        outcome.notices += notices
        position += len(notices)
        if not has_more:
            return
