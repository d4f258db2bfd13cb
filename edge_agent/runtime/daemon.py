"""The daemon's life under systemd: signals in, READY, watchdog and status out."""

import logging
import signal
import sys

from edge_agent.domain.moment import Now
from edge_agent.errors import ExitCode
from edge_agent.process.clock import KernelClock
from edge_agent.process.systemd import Notifier
from edge_agent.runtime.agent import Agent
from edge_agent.runtime.commands import Commands
from edge_agent.settings import Loaded

log = logging.getLogger(__name__)

TICK_S = 1.0
# How long a thread that computes may keep the interpreter from the others. By default 5 ms, which a scan would wait at
# each of its hand-overs while a batch is being made or a page read.
SWITCH_S = 0.0005


def run(loaded: Loaded, *, now: Now | None = None, notifier: Notifier | None = None) -> ExitCode:
    """The daemon's life: until SIGTERM or SIGINT, or until it cannot go on."""
    sys.setswitchinterval(SWITCH_S)
    notifier = notifier or Notifier()
    clock = KernelClock()
    agent = Agent(loaded, now=now or clock)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.ending.set())
    agent.start(Commands(agent).table())
    notifier.ready(agent.status_line())
    log.info("ready: %s", agent.status_line())
    told: list[str] = []
    try:
        while not agent.ending.wait(TICK_S):
            clock.look()
            faults = agent.tick()
            if faults != told:
                log.log(logging.ERROR if faults else logging.INFO, "%s", "; ".join(faults) or "all parts live again")
                told = faults
            if not faults:
                notifier.watchdog()
            notifier.status("; ".join([*faults, agent.status_line()]))
    finally:
        notifier.stopping()
        agent.stop()
    return agent.exit_code
