"""Bring sealed palms to the ledger, and those of the school's other kiosks from it.

`step` does at most one request: first what is to be sent, one by one; then a page of what is new. A page is taken only
under a roster at least as new as the ledger's own: an older one may not know yet who has agreed, and what is passed
over once does not come again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from sync.client.channel import Channel
from sync.client.policy import CAP_S, Backoff
from sync.client.ports import PalmStore
from sync.contract import wire
from sync.contract.palms import PAGE_BYTES_MAX, Kept, Palms, palms_path
from sync.errors import Deceived, Rejected, Unauthorised, Unreachable, Untrusted

ROSTER_WAIT_S: Final = 5.0
BACK_S: Final = 5.0  # a ledger was restored; one that goes back for ever is not asked without a pause


class RelayOutcome(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    TAKEN = "taken"  # a page
    CURRENT = "current"
    BEHIND = "behind"  # the roster here is older than the palms
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"  # a person must act, or this ledger relays no palms


@dataclass(frozen=True, slots=True)
class Relay:
    outcome: RelayOutcome
    due_s: float
    why: str


class PalmRelay:
    def __init__(
        self,
        store: PalmStore,
        channel: Channel,
        school: str,
        *,
        monotonic: Callable[[], float],
        dice: Random,
        interval_s: float = 120.0,
        retry_max_s: float = CAP_S,
    ) -> None:
        self._store = store
        self._channel = channel
        self._school = school
        self._monotonic = monotonic
        self._dice = dice
        self._interval_s = interval_s
        self._backoff = Backoff(dice, cap_s=retry_max_s)
        self._next_at = monotonic()

    def hurry(self) -> None:
        """A palm was made known here, or a person asks: do not wait for the interval."""
        self._next_at = self._monotonic()

    def step(self) -> Relay:
        """Do at most one request. Errors of the store pass through."""
        wait_s = self._next_at - self._monotonic()
        if wait_s > 0:
            return Relay(RelayOutcome.WAITING, wait_s, "not due yet")
        relay = self._attempt()
        self._next_at = self._monotonic() + relay.due_s
        return relay

    def _attempt(self) -> Relay:
        try:
            relay = self._send() or self._fetch()
        except Unreachable as error:
            return Relay(RelayOutcome.UNREACHABLE, self._backoff.failed(error.retry_after_s), str(error))
        except (Rejected, Unauthorised, Untrusted, Deceived) as error:
            return Relay(RelayOutcome.STOPPED, self._backoff.stopped(), str(error))
        self._backoff.succeeded()
        return relay

    def _send(self) -> Relay | None:
        parcel = self._store.pending()
        if parcel is None:
            return None
        kept = self._channel.post(Kept, palms_path(self._school), wire.to_json(parcel))
        self._store.relayed(parcel)
        return Relay(RelayOutcome.SENT, 0.0, "a palm" if kept.kept else "a palm of somebody who has not agreed")

    def _fetch(self) -> Relay:
        since = self._store.palms_version()
        page = self._channel.get(Palms, palms_path(self._school), wire.roster_query(since), PAGE_BYTES_MAX)
        if page.school != self._school or page.since != since or (page.more and page.version == since):
            raise Deceived(f"palms of {page.school} since {page.since}, asked for {self._school} since {since}")
        if page.roster > self._store.roster_version():
            return Relay(RelayOutcome.BEHIND, ROSTER_WAIT_S, f"waits for roster version {page.roster}")
        if page.palms or page.version != since:
            self._store.take_palms(page.palms, page.version)
        if page.version < since:
            return Relay(RelayOutcome.TAKEN, BACK_S, f"the ledger went back to {page.version}, and begins anew")
        if page.more:
            return Relay(RelayOutcome.TAKEN, 0.0, f"{len(page.palms)} palms, and there are more")
        outcome = RelayOutcome.TAKEN if page.palms else RelayOutcome.CURRENT
        return Relay(outcome, self._interval_s * self._dice.uniform(0.9, 1.1), f"{len(page.palms)} palms")
