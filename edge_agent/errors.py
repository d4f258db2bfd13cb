"""Errors of the agent, named by what the caller can do, and the exit codes of the command line.

AgentError                the message says what to do next
├── SettingsWrong         mend the settings file                       exit 3
├── AgentNotRunning       start the daemon, or use the offline way     exit 4
├── AgentRunning          stop the daemon first, or ask it instead     exit 4
├── DaemonVersionDiffers  restart the daemon: it is of another version
├── KioskNotRegistered    register this kiosk with the ledger first    exit 5
└── RequestRefused        the request was understood and not carried out; the message says why
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit status of the command line."""

    OK = 0
    FAILED = 1  # the thing asked for was tried and did not hold: a broken chain, a failed check
    USAGE = 2  # the command line itself is wrong
    SETTINGS = 3
    DAEMON = 4  # the daemon is running where it must not be, or the other way round
    UNREGISTERED = 5
    DEVICE = 6  # a device is gone or busy
    LEDGER = 7  # the ledger cannot be reached, or refuses


class AgentError(Exception):
    """The base of the agent's errors. The message is `reason; next_step`, and says what to do next.

    `next_step` is empty where the reason names it already.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, reason: str = "", next_step: str = "") -> None:
        super().__init__(f"{reason}; {next_step}" if next_step else reason)
        self.reason = reason
        self.next_step = next_step


class SettingsWrong(AgentError):
    """The settings file cannot be taken as it is; every fault found is named."""

    exit_code = ExitCode.SETTINGS


class AgentNotRunning(AgentError):
    """No daemon answers on the control socket."""

    exit_code = ExitCode.DAEMON


class AgentRunning(AgentError):
    """The daemon holds what this command needs for itself."""

    exit_code = ExitCode.DAEMON


class DaemonVersionDiffers(AgentError):
    """The daemon answered on the control socket, and the answer does not have the shape that this version knows."""


class KioskNotRegistered(AgentError):
    """This kiosk is not registered with a ledger, or its registration cannot be read."""

    exit_code = ExitCode.UNREGISTERED


class RequestRefused(AgentError):
    """A request was understood and not carried out. `exit_code` may be set to the daemon's own."""
