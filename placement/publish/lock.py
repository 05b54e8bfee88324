"""One writer at a time, by flock(2): the lock ends with the process, however that ends, and nobody has to clean up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from placement.publish.errors import LockedError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock. Raises LockedError at once where another has it.

    Programs that are started meanwhile do not inherit it. The file stays: who would remove it could not tell whether
    another had just opened it.
    """
    handle = _held(path)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _held(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, handle):
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            os.close(handle)
            who = f"process {holder}" if holder else "another process"
            raise LockedError(f"{path.parent}: {who} is writing; try again when it has ended") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # somebody put another file there between the two


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
