"""The handshake of ZKTeco terminals in access mode (Security PUSH 3.1.2), which say `DeviceType=acc`.

    GET  /iclock/cdata?SN=…&options=all&DeviceType=acc  who am I to be?  → registry=ok, a code, the orders
    POST /iclock/registry?SN=…                          what I am        → RegistryCode=…
    GET or POST /iclock/push?SN=…                       the orders       → the orders
    GET  /iclock/rtdata?SN=…&type=time                  what time is it? → DateTime=…,ServerTZ=+0500
    POST /iclock/exchange?SN=…&type=publickey           shall we encrypt? not spoken: plain HTTP only

The first answer says that the terminal is registered already, as the maker's own server does. Code and session are the
server's to choose and prove nothing: here they come of the serial number, so that a restart gives the same.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from drivers.protocols.zk_time import pack_time

PATHS = frozenset({"/iclock/registry", "/iclock/push"})  # only terminals in access mode call them


def registry_code(serial: str) -> str:
    """Returns the code by which a terminal knows that it is registered: 16 characters, the same for ever."""
    return _digest(b"registry", serial)[:16]


def start_reply(serial: str) -> str:
    """Returns the answer to a terminal that begins."""
    return f"registry=ok\nRegistryCode={registry_code(serial)}\n" + orders(serial)


def registry_reply(serial: str) -> str:
    """Returns the answer to a terminal that registers."""
    return f"RegistryCode={registry_code(serial)}\n"


def orders(serial: str) -> str:
    """Returns a terminal's orders: tell each event at once, and send no people, pictures or templates.

    The version has two names; which of them a terminal reads depends on its kind, and the other is passed over.
    """
    lines = (
        "ServerVersion=3.1.2",
        "ServerName=ADMS",
        "PushProtVer=3.1.2",
        "PushVersion=3.1.2",
        "ErrorDelay=30",
        "RequestDelay=10",
        "TransTimes=00:00;14:05",
        "TransInterval=1",
        "TransTables=Transaction",
        "Realtime=1",
        f"SessionID={_digest(b'session', serial)[:32].upper()}",
        "TimeoutSec=60",
    )
    return "\n".join(lines) + "\n"


def time_reply(now: datetime, offset: timedelta) -> str:
    """Returns the answer to a terminal that asks for the time: packed, in UTC, and the offset of its own clock."""
    minutes = int(offset.total_seconds()) // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    return f"DateTime={pack_time(now.astimezone(UTC))},ServerTZ={zone}"


def _digest(purpose: bytes, serial: str) -> str:
    return hashlib.sha256(purpose + b"\0" + serial.encode("ascii")).hexdigest()
