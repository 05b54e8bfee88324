"""What a run has done, as lines of JSON that the disk holds before the next stage begins; and the hash of a value."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def append(path: Path, line: dict[str, Any]) -> None:
    """Add a line, on the disk when this returns."""
    text = json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if not _ends_a_line(path):
            text = "\n" + text  # what a kill left of a line stands alone and is passed over
        os.write(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines, in order; none where there is no journal."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue  # torn by a kill
        if isinstance(value, dict):
            found.append(value)
    return found


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"


def key_of(value: Any) -> str:
    """The hash of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
