"""When to try again, for one kiosk and for a whole city."""

import heapq
import threading
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.client.policy import BASE_S, CAP_S, RETRY_AFTER_MAX_S, Backoff, DecorrelatedJitter
from sync.errors import Unauthorised, Unreachable
from tests.vectors import load_scenarios

DOWN = Unreachable("connection refused")
BUSY = Unreachable("too many at once", retry_after_s=5)


@given(st.integers(), st.integers(1, 60))
def test_waits_stay_between_base_and_cap(seed: int, failures: int) -> None:
    backoff, before = Backoff(Random(seed)), BASE_S
    for _ in range(failures):
        wait = backoff.wait_s_after(DOWN)
        assert BASE_S <= wait <= min(CAP_S, 3 * before)
        before = wait
    assert backoff.failures == failures


def test_success_forgets() -> None:
    backoff = Backoff(Random(1))
    for _ in range(30):
        backoff.wait_s_after(DOWN)
    backoff.succeeded()
    assert backoff.failures == 0
    assert backoff.wait_s_after(DOWN) <= 3 * BASE_S


@given(st.integers(), st.floats(0, 10 * RETRY_AFTER_MAX_S))
def test_retry_after_is_never_undercut_and_always_spread(seed: int, requested_s: float) -> None:
    wait = Backoff(Random(seed)).wait_s_after(Unreachable("busy", retry_after_s=requested_s))
    assert min(requested_s, RETRY_AFTER_MAX_S) <= wait <= 1.25 * min(requested_s, RETRY_AFTER_MAX_S) + BASE_S


def test_the_same_random_source_gives_the_same_waits() -> None:
    first, second = Backoff(Random(7)), Backoff(Random(7))
    assert [first.wait_s_after(DOWN) for _ in range(20)] == [second.wait_s_after(DOWN) for _ in range(20)]


def test_another_thread_may_step_than_the_one_that_made_it() -> None:
    backoff = Backoff(Random(1))
    waits: list[float] = []
    stepping = threading.Thread(target=lambda: waits.extend(backoff.wait_s_after(DOWN) for _ in range(3)))
    stepping.start()
    stepping.join()
    assert len(waits) == backoff.failures == 3


def test_a_small_cap_is_kept() -> None:
    assert all(Backoff(Random(seed), cap_s=0.5).wait_s_after(DOWN) <= 0.5 for seed in range(20))


def test_what_only_a_person_can_mend_is_tried_rarely_and_does_not_lengthen_the_waits_of_a_bad_line() -> None:
    for seed in range(20):
        backoff = Backoff(Random(seed))
        assert CAP_S / 2 <= backoff.wait_s_after(Unauthorised("suspended")) <= CAP_S
        assert backoff.wait_s_after(DOWN) <= 3 * BASE_S


AGENTS, ROWS, ROWS_A_BATCH = 151, 12_600, 1_000
OUTAGE_S = 9 * 86_400.0
CAPACITY = 12  # batches a second; what a two-core ledger does with room to spare


class City:
    """151 kiosks as their waits alone: who asks when, and what an overloaded ledger does to it."""

    def __init__(self, seed: int) -> None:
        sources = [Random(f"{seed} {agent}") for agent in range(AGENTS)]
        # Through the outage the jitter is drawn alone: 300,000 failures are many for tenacity's loop.
        self.jitters = [DecorrelatedJitter(source) for source in sources]
        self.backoffs = [Backoff(source) for source in sources]
        self.rows = [ROWS] * AGENTS
        self.requests: Counter[int] = Counter()
        self.refused = 0
        # All lose the network in the same second, the worst start there is.
        self.due = [(0.0, agent) for agent in range(AGENTS)]

    def run(self) -> float:
        """Seconds from the network's return until the last row is there."""
        served: Counter[int] = Counter()
        now_s = 0.0
        while self.due:
            now_s, agent = heapq.heappop(self.due)
            if now_s < OUTAGE_S:
                heapq.heappush(self.due, (now_s + self.jitters[agent].draw_s(), agent))
                continue
            backoff = self.backoffs[agent]
            self.requests[int(now_s)] += 1
            if served[int(now_s)] >= CAPACITY:
                self.refused += 1
                heapq.heappush(self.due, (now_s + backoff.wait_s_after(BUSY), agent))
                continue
            served[int(now_s)] += 1
            backoff.succeeded()
            self.rows[agent] -= min(ROWS_A_BATCH, self.rows[agent])
            if self.rows[agent]:
                heapq.heappush(self.due, (now_s + 0.2, agent))  # the time that one batch takes
        return now_s - OUTAGE_S


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_s34_the_whole_city_returns_at_once(seed: int) -> None:
    scenario = load_scenarios()["S34"]
    assert scenario["events"] == [f"{AGENTS} agents x {ROWS:,} rows"]
    assert scenario["expect"] == {"jitter": True, "no_loss": True}
    city = City(seed)
    took_s = city.run()
    assert not any(city.rows), "no loss"
    assert took_s <= 1.25 * CAP_S, "everybody is done soon after the longest wait there is"
    assert max(city.requests.values()) <= 3 * CAPACITY, "no herd: never more than the ledger can turn away politely"
    assert city.refused <= AGENTS
