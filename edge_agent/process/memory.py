"""Gives memory back to the system that was needed only for a moment, such as at the start."""

import ctypes


def return_free_memory() -> None:
    """Has the C library return what it holds for later. Takes milliseconds; other threads go on meanwhile.

    glibc returns only the end of its heap by itself. Other C libraries have no such call, and then nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
