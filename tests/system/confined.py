"""Run a command as the unit would confine it: its system-call filter, its socket families, no capability.

    python confined.py UNIT COMMAND [ARGUMENT…]

systemd does this between fork and exec, with the same library; here no systemd is needed. What a filter does not
hold (mounts, devices) is not imitated.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

ALLOW = 0x7FFF_0000
DENY = 0x0005_0000 | errno.EPERM
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 38, 65
SCMP_CMP_EQ = 4
LIBRARY = "libseccomp.so.2"


class ArgumentIs(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def directives(unit: Path, name: str) -> list[str]:
    """The values of every line of this name, in order, words of one line together."""
    lines = (line.strip() for line in unit.read_text().splitlines())
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def allowed(unit: Path) -> set[str]:
    """The system calls that the unit's filter lets through, groups taken apart by systemd-analyze itself."""
    names = expand("@default")  # systemd lets these through always
    for line in directives(unit, "SystemCallFilter"):
        wanted = set().union(*(expand(word) for word in line.removeprefix("~").split()))
        names = names - wanted if line.startswith("~") else names | wanted
    return names


def expand(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    analyzed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = [line.strip() for line in analyzed.stdout.splitlines() if line.startswith("    ")]
    return set().union(*(expand(word) for word in words if not word.startswith("#")))


def confine(names: set[str], families: list[str]) -> None:
    """Confines this process and all that it starts, for ever."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # since Linux 6.3; older ones refuse, and the test is that much weaker
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(DENY)))
    for name in sorted(names - {"socket"}):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are not of this architecture
            _held(library.seccomp_rule_add(state, ctypes.c_uint32(ALLOW), number, 0), name)
    for family in families:
        rule = ArgumentIs(0, SCMP_CMP_EQ, int(getattr(socket, family)), 0)
        number = library.seccomp_syscall_resolve_name(b"socket")
        _held(library.seccomp_rule_add_array(state, ctypes.c_uint32(ALLOW), number, 1, ctypes.byref(rule)), family)
    _held(library.seccomp_load(state), "the filter")


def _held(code: int, what: str) -> None:
    if code:
        raise OSError(-code, f"seccomp took not {what}: {os.strerror(-code)}")


def main() -> None:
    unit, command = Path(sys.argv[1]), sys.argv[2:]
    families = " ".join(directives(unit, "RestrictAddressFamilies")).split()
    confine(allowed(unit), families)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
