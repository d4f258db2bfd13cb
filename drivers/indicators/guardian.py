"""A process of its own that switches one board's outputs, so that a pulse ends even when a process is killed.

The agent opens the board, starts this program with the descriptor, and has it do every pulse:

    python -I -S guardian.py DESCRIPTOR REQUEST OFF      REQUEST 0: bytes are written; else the number of an ioctl
    agent → guardian   2 bytes pulse (ms) | what switches on       at once, at most ORDER_BYTES_MAX
    guardian → agent   READY, when it listens; OVER, when a pulse is over and its outputs are off

When the agent dies, however, the kernel closes its end of the pipe: that is the end of a pulse under way and of this
process. When this process dies the agent sees it by the other pipe and switches off. Nothing is imported that takes
time or memory, nothing of ours either: it must start and run where the agent cannot.
"""

import fcntl
import os
import select
import signal
import sys
import time
from contextlib import suppress

READY, OVER = b"R", b"."
ORDER_BYTES_MAX = 64  # less than a pipe takes at once, so that an order is never cut
SWITCH_S = 1.0  # to take bytes; a board that takes none for so long is stuck
INSIST_S = 10.0  # the same when nobody else is left to switch off

_ORDERS, _ANSWERS = 0, 1
# Sent to the whole group or control group by a terminal, by `systemctl stop` or by systemd's watchdog: the agent needs
# this process until it has gone, and its going ends this process.
_NOT_FOR_US = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGPIPE)


def main(board: int, request: int, off: bytes) -> int:
    for number in _NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    try:
        _serve(board, request, off)
    except OSError:
        return 1  # the board is away; the agent finds out why when it tries
    return 0


def _serve(board: int, request: int, off: bytes) -> None:
    _say(READY)
    while order := os.read(_ORDERS, ORDER_BYTES_MAX):
        try:
            _switch(board, request, order[2:], SWITCH_S)
            # Ready means that the agent has closed its end or died: there are no orders during a pulse.
            select.select([_ORDERS], [], [], int.from_bytes(order[:2], "big") / 1000)
        finally:
            _switch(board, request, off, INSIST_S)
        _say(OVER)
    _switch(board, request, off, INSIST_S)


def _switch(board: int, request: int, data: bytes, within_s: float) -> None:
    if request:
        fcntl.ioctl(board, request, data)
        return
    until = time.monotonic() + within_s
    while data:
        try:
            data = data[os.write(board, data) :]
        except BlockingIOError:
            remaining_s = until - time.monotonic()
            if remaining_s <= 0:
                raise
            select.select([], [board], [], remaining_s)


def _say(word: bytes) -> None:
    with suppress(BrokenPipeError):  # the agent is gone: the next read ends
        os.write(_ANSWERS, word)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])))
