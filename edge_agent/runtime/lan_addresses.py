"""The kiosk's addresses in its networks, asked of the kernel without any right.

netlink would say all of it at once, but the unit allows no such socket.
"""

import ctypes
import fcntl
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from edge_agent.domain.tablets import LanAddress

SIOCGIFCONF = 0x8912  # linux/sockios.h
REQUEST_BYTES = struct.calcsize("16s24s" if struct.calcsize("P") == 8 else "16s16s")  # struct ifreq
REQUESTS_MAX = 256
IF_INET6 = Path("/proc/net/if_inet6")
SCOPE_LINK = "20"  # a link-local address means nothing without its interface, and stands in no URL


def read_lan_addresses() -> list[LanAddress]:
    """Returns every address of every interface that is up, without link-local ones. Raises OSError."""
    return [*_read_ipv4(), *_read_ipv6()]


def _read_ipv4() -> list[IPv4Address]:
    buffer = ctypes.create_string_buffer(REQUEST_BYTES * REQUESTS_MAX)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, SIOCGIFCONF, struct.pack("iP", len(buffer), ctypes.addressof(buffer)))
    (length, _) = struct.unpack("iP", answer)
    # An ifreq holds the interface's name, then a sockaddr_in: family, port, address.
    return [IPv4Address(buffer.raw[start + 20 : start + 24]) for start in range(0, length, REQUEST_BYTES)]


def _read_ipv6() -> list[IPv6Address]:
    try:
        lines = IF_INET6.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []  # a kernel without IPv6
    fields = (line.split() for line in lines)
    return [IPv6Address(bytes.fromhex(address)) for address, _, _, scope, *_ in fields if scope != SCOPE_LINK]
