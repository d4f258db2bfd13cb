"""The errors that end a command, and the exit code of each."""

from drivers.errors import DeviceError
from edge_agent.errors import AgentError, ExitCode
from sync.errors import SyncError

CommandError = AgentError | DeviceError | SyncError


def read_exit_code(error: CommandError) -> ExitCode:
    """Returns the exit code of a command that ends with this error."""
    if isinstance(error, AgentError):
        return ExitCode(error.exit_code)
    return ExitCode.DEVICE if isinstance(error, DeviceError) else ExitCode.LEDGER
