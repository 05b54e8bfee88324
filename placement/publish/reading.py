"""How a reader reads one generation and no other: it follows `current` once, and reads below where that led.

with reading(Path("/srv/nearserve")) as generation:
    shares = (generation.folder / "feeds" / "csv" / "all" / "routes.csv").read_bytes()
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from placement.publish.errors import TamperedError, UnknownGenerationError
from placement.publish.generation import Generation, open_generation
from placement.publish.layout import Layout

_LOOKS = 100


@contextmanager
def reading(root: Path) -> Iterator[Generation]:
    """The current generation, which is not taken away before the block ends, however long that takes.

    Raises:
        UnknownGenerationError: nothing was published yet.
        TamperedError: the link leads nowhere, or to what is no generation.
    """
    layout = Layout(root)
    for _ in range(_LOOKS):
        name = layout.pointed()
        if name is None:
            raise UnknownGenerationError(f"{root}: nothing was published yet")
        handle = shared(layout.folder(name))
        if handle is None:
            continue  # taken away between the two: `current` has long moved on
        try:
            yield open_generation(layout.folder(name))
        finally:
            os.close(handle)
        return
    raise TamperedError([f"{layout.link}: leads to {name}, which is not there"])


def shared(folder: Path) -> int | None:
    """A handle that keeps writers from taking `folder` away; None where it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except FileNotFoundError:
        pass
    os.close(handle)
    return None


@contextmanager
def unread(folder: Path) -> Iterator[bool]:
    """Whether nobody is `reading` the folder; while the block lasts nobody begins to."""
    if not folder.is_dir():
        yield True
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
