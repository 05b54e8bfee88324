"""Memory that was freed goes back to the system, instead of staying with the process in pieces."""

import ctypes


def give_back() -> None:
    """Return what the allocator holds and nothing uses; where it is not that of glibc, nothing happens.

    Arrays of some megabytes come from its heap, and what is freed in the middle of that stays there: half a gigabyte
    after a topology of four million pairs.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
