"""A second process for one half of the audit, where there is a second core and enough to do.

The child is a fork: it has everything that the parent has read, copies what it changes, and ends with its call.
Whatever becomes of it, the result is the same: where none comes from it, the parent makes the call itself.
"""

import gc
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

Found = TypeVar("Found")


@contextmanager
def beside(call: Callable[[], Found], *, pays: bool) -> Iterator[Callable[[], Found]]:
    """Within the block `call` runs in a process of its own, if that `pays`; what is yielded waits for its result.

    A process that nobody has waited for is ended with the block. What `call` raises is raised where the result is asked
    for.
    """
    if not (pays and sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1):
        yield cache(call)
        return
    child, pipe = _begun(call)
    try:
        yield cache(lambda: _told(pipe, call))
    finally:
        os.close(pipe)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _begun(call: Callable[[], Any]) -> tuple[int, int]:
    """The child, and where it will tell its result."""
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        # threads of others are not in the child, which asks nothing of them
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writes)
        return child, reads
    try:
        os.close(reads)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal both hear; the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gc.freeze()  # or going through what is the parent's would copy it
        with os.fdopen(writes, "wb") as told:
            pickle.dump(call(), told)
    finally:
        os._exit(0)  # nothing of the parent's is flushed or tidied up


def _told(pipe: int, call: Callable[[], Found]) -> Found:
    """What the child has found, or else this process."""
    with os.fdopen(os.dup(pipe), "rb") as told:
        said = told.read()
    try:
        found: Found = pickle.loads(said)
    except (EOFError, pickle.UnpicklingError):
        return call()
    return found
