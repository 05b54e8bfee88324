"""Keep a solver's own printing off standard output, where the caller's data goes."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.Lock()
_kept: list[int] = []
"""The standard output that is kept aside meanwhile."""


@contextmanager
def solver_chatter_to_stderr() -> Iterator[None]:
    """Send what C code prints to standard output to standard error meanwhile.

    HiGHS 1.12 prints a line of its own for some incumbents whatever its log options say. The redirection holds for
    the whole process, so output that another thread writes meanwhile goes to standard error, too: late, not lost.
    A second caller at the same time goes without.
    """
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        yield
        return
    try:
        try:
            kept = os.dup(1)
        except OSError:  # no standard output to protect
            yield
            return
        try:
            _flush()
            _kept.append(kept)
            os.dup2(2, 1)
            yield
        finally:
            _kept.clear()
            _flush()
            os.dup2(kept, 1)
            os.close(kept)
    finally:
        _ONE_AT_A_TIME.release()


def speak_past_chatter() -> None:
    """Give Python its standard output back while a solver that nobody waits for any more goes on to print."""
    if _kept:
        sys.stdout = os.fdopen(os.dup(_kept[0]), "w", encoding="utf-8")


def _flush() -> None:
    """Empty Python's and C's buffers into whatever standard output is now."""
    if sys.stdout is not None:
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
