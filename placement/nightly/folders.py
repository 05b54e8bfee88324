"""Folders as values: their hash, and a copy of them."""

import hashlib
import shutil
from pathlib import Path

from placement.nightly.journal import key_of


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(folder: Path) -> str:
    """The hash of every file below a folder: names and bytes, in the order of the names."""
    return key_of({path.relative_to(folder).as_posix(): file_sha256(path) for path in files_of(folder)})


def files_of(folder: Path) -> list[Path]:
    """All files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def copy_tree(source: Path, target: Path) -> None:
    """The files of a folder into a new one, with nothing but their bytes. Raises OSError at the first that fails."""
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        if path.is_dir():
            (target / path.relative_to(source)).mkdir()
        else:
            shutil.copyfile(path, target / path.relative_to(source))
