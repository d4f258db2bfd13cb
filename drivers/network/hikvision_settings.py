"""The keys of a Hikvision reader's table."""

from typing import Annotated

import msgspec
from msgspec import Meta

from drivers.base import DriverSettings
from drivers.credential_file import credential_path, read_credential
from drivers.errors import NotSupported
from drivers.network.http_callers import LISTEN_PATTERN


class HikvisionTerminal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One terminal of a reader's table. Without `address` it is listened to and never asked."""

    serial: Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{4,64}$")]
    address: Annotated[str, Meta(pattern="^[0-9A-Za-z.:-]{0,64}$")] = ""


class HikvisionSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    listen: Annotated[str, Meta(pattern=LISTEN_PATTERN)]
    terminals: Annotated[tuple[HikvisionTerminal, ...], Meta(min_length=1, max_length=16)]
    user: str = "admin"
    password_file: str = ""  # a plain name stands in the credentials folder
    tls: bool = False  # the terminal is asked by HTTPS; its own certificate is believed
    host_id: Annotated[int, Meta(ge=1, le=8)] = 1  # the line of the terminal's list of servers that is ours
    utc_offset: str = "+05:00"  # of times that come without one
    passes: tuple[int, ...] = ()  # more codes of events in which a person was recognised
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "face"  # of those codes
    heartbeat_s: Annotated[int, Meta(ge=1, le=30)] = 30  # how often a terminal shows that it lives
    silence_s: Annotated[float, Meta(ge=10, le=86_400)] = 90.0  # of a terminal, before it counts as gone
    check_s: Annotated[float, Meta(ge=30, le=86_400)] = 300.0  # how often a terminal is asked if it still posts to us
    catch_up_h: Annotated[float, Meta(ge=0, le=168)] = 12.0  # how far back the first search goes; 0: no search
    requests_per_minute: Annotated[int, Meta(ge=10, le=10_000)] = 600  # from one address
    body_bytes_max: Annotated[int, Meta(ge=1024, le=1024 * 1024)] = 64 * 1024  # of JSON; pictures do not count


def read_password(settings: HikvisionSettings) -> str:
    """Returns the password of terminals that are asked. Raises NotSupported where they cannot be asked so."""
    if not settings.password_file:
        raise NotSupported(
            "password_file: a terminal with an address is asked, and wants a password",
            "name the file, or leave `address` out and enter our address in the terminal's page",
        )
    if settings.listen.startswith(("0.0.0.0:", "localhost:")):
        raise NotSupported(
            "listen: a terminal is told where to post, so the address itself must stand here",
            "write our address in the terminals' network",
        )
    path = credential_path("password_file", settings.password_file)
    return read_credential("password_file", path, "write the terminal's password into it").decode("utf-8", "replace")
