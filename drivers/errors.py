"""Errors of devices, named by what the caller can do.

DeviceError
├── DeviceGone     not there, or went away: reopen later, with backoff
├── DeviceBusy     somebody else holds it: tell the technician who, try again later
├── ProtocolError  the device breaks its own protocol: log it, carry on
└── NotSupported   the settings ask for what this device cannot do: fix the settings
"""


class DeviceError(Exception):
    """Base of all device errors. The message is `reason: next_step`, and says what to do next.

    `next_step` is empty where the reason names it already.
    """

    def __init__(self, reason: str = "", next_step: str = "") -> None:
        super().__init__(f"{reason}: {next_step}" if next_step else reason)
        self.reason = reason
        self.next_step = next_step


class DeviceGone(DeviceError):
    """The device is unplugged, switched off, or was never there."""


class DeviceBusy(DeviceError):
    """The device is locked by another process."""


class ProtocolError(DeviceError):
    """An answer that its own protocol forbids."""


class NotSupported(DeviceError):
    """The settings ask for something that this device or this build cannot do."""
