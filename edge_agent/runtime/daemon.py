"""The daemon's life under systemd: signals in, READY, watchdog and status out."""

import logging
import signal

from edge_agent.domain.moment import MomentSource
from edge_agent.errors import ExitCode
from edge_agent.process.clock import KernelClock
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.process.systemd import SystemdNotifier
from edge_agent.runtime.agent import Agent
from edge_agent.runtime.compose import compose
from edge_agent.settings.reading import LoadedSettings

log = logging.getLogger(__name__)

TICK_S = 1.0


def run(
    loaded: LoadedSettings, *, now: MomentSource | None = None, notifier: SystemdNotifier | None = None
) -> ExitCode:
    """Runs the daemon until SIGTERM or SIGINT, or until it cannot go on."""
    notifier = notifier or SystemdNotifier()
    shutdown = ShutdownFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shutdown.set())
    agent = Agent(compose(loaded, now or KernelClock(), shutdown))
    agent.start()
    notifier.notify_ready(agent.status_line())
    log.info("ready: %s", agent.status_line())
    reported: list[str] = []
    try:
        while not shutdown.wait(TICK_S):
            faults = agent.tick()
            if faults != reported:
                log.log(logging.ERROR if faults else logging.INFO, "%s", "; ".join(faults) or "all parts live again")
                reported = faults
            if not faults:
                notifier.feed_watchdog()
            notifier.notify_status("; ".join([*faults, agent.status_line()]))
    finally:
        notifier.notify_stopping()
        agent.stop()
    return agent.exit_code
