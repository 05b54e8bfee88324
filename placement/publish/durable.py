"""Steps that a power cut cannot take back, and the few changes to a disk that a store is made of.

Everything that a writer does to the disk goes through here, so that a test can end the process before each of them.
"""

import ctypes
import os
import shutil
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

READ_ONLY_FILE = 0o444
READ_ONLY_FOLDER = 0o555


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Have the disk hold everything below `folder`.

    One syncfs(2) writes the whole file system, which for some hundred small files is hundreds of times quicker than
    an fsync each; since Linux 5.8 it tells of failed writes as fsync does. Where there is none, every file is synced.
    """
    call = _syncfs()
    if call is None:
        for path, folders, files in os.walk(folder):
            for name in (*files, *folders):
                sync(Path(path) / name)
        sync(folder)
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if call(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
        os.fsync(handle)
    finally:
        os.close(handle)


@cache
def _syncfs() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None


def write(path: Path, data: bytes) -> None:
    """A new file."""
    path.write_bytes(data)


def append(path: Path, data: bytes) -> None:
    """Bytes at a file's end, on the disk before this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if os.write(handle, data) != len(data):
            raise OSError(28, "No space left on device", str(path))  # the rest is cut when the next writer opens
        os.fsync(handle)
    finally:
        os.close(handle)


def cut(path: Path, length: int) -> None:
    """The file ends there, on the disk before this returns."""
    os.truncate(path, length)
    sync(path)


def point(link: Path, target: str, spare: Path) -> None:
    """Have the link point at `target`, from one moment to the next, on the disk before this returns."""
    spare.unlink(missing_ok=True)
    spare.symlink_to(target)
    spare.replace(link)
    sync(link.parent)


def move(source: Path, target: Path) -> None:
    """Another name in the same folder, on the disk before this returns."""
    source.rename(target)
    sync(target.parent)


def freeze(folder: Path) -> None:
    """Everything below and `folder` itself can only be read, so that nobody edits it by mistake."""
    for path, folders, files in os.walk(folder):
        for name in files:
            os.chmod(os.path.join(path, name), READ_ONLY_FILE)  # noqa: PTH101, PTH118
        for name in folders:
            os.chmod(os.path.join(path, name), READ_ONLY_FOLDER)  # noqa: PTH101, PTH118
    folder.chmod(READ_ONLY_FOLDER)


def remove(folder: Path) -> None:
    """Takes away a folder, frozen or not, and whatever is below."""
    for path, _, _ in os.walk(folder):
        if not stat.S_IMODE(os.stat(path).st_mode) & stat.S_IWUSR:  # noqa: PTH116
            os.chmod(path, 0o755)  # noqa: PTH101
    shutil.rmtree(folder)
