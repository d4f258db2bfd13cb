"""Errors of the agent, named by what the caller can do, and the exit codes of the command line.

AgentError            the message says what to do next
├── SettingsWrong     mend the settings file                       exit 3
├── AgentNotRunning   start the daemon, or use the offline way     exit 4
├── AgentRunning      stop the daemon first, or ask it instead     exit 4
├── AnswerNotUnderstood  restart the daemon: it is of another version
├── NotRegistered     register this kiosk with the ledger first    exit 5
└── RequestRefused    the request was understood and not carried out; the message says why
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line's exit status means."""

    OK = 0
    FAILED = 1  # the thing asked for was tried and did not hold: a broken chain, a failed check
    USAGE = 2  # the command line itself is wrong
    SETTINGS = 3
    DAEMON = 4  # the daemon is running where it must not be, or the other way round
    UNREGISTERED = 5
    DEVICE = 6  # a device is gone or busy
    LEDGER = 7  # the ledger cannot be reached, or refuses


class AgentError(Exception):
    """Base of the agent's errors."""

    exit_code = ExitCode.FAILED


class SettingsWrong(AgentError):
    """The settings file cannot be taken as it is; every fault found is named."""

    exit_code = ExitCode.SETTINGS


class AgentNotRunning(AgentError):
    """No daemon answers on the control socket."""

    exit_code = ExitCode.DAEMON


class AgentRunning(AgentError):
    """The daemon holds what this command needs for itself."""

    exit_code = ExitCode.DAEMON


class AnswerNotUnderstood(AgentError):
    """The daemon answered on the control socket, and the answer does not have the shape that this version knows."""


class NotRegistered(AgentError):
    """This kiosk has no identity yet."""

    exit_code = ExitCode.UNREGISTERED


class RequestRefused(AgentError):
    """Understood, and not done."""
