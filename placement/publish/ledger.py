"""ledger.jsonl: what was ever switched, a line each, each holding the hash of the one before.

    intent      the next generation, or the one to go back to, stands whole on the disk and is about to become current
    committed   it is current; that is on the disk
    abandoned   the writer ended before it became current, and nobody can have seen it
    pruned      it is taken away

A line is only ever added. One that the end of a process or of the machine left half-written is the last, and no JSON:
the next writer cuts it off. Anything else that does not fit is somebody's doing, and is refused.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from placement.publish.durable import append
from placement.publish.errors import TamperedError
from placement.publish.manifest import HASH, Value

LEDGER = "ledger.jsonl"
FIRST = "0" * 64
"""What the first line holds in place of a hash."""

Event = Literal["intent", "committed", "abandoned", "pruned"]


class Intent(Value):
    """What a switch is for. `asked` is the pointer in etcd that it replaces, by its revision; None without etcd."""

    kind: Literal["publish", "rollback"]
    content_key: str
    by: str = ""
    reason: str = ""
    asked: int | None = None


class Entry(Value):
    """A line. `sha256` is of the line's canonical JSON without it."""

    entry: int = Field(ge=1)
    event: Event
    at: str
    number: int = Field(ge=1)
    name: str
    manifest_sha256: str = Field(pattern=HASH)
    intent: Intent | None = None
    previous: str = Field(pattern=HASH)
    sha256: str = Field(pattern=HASH)


@dataclass(frozen=True)
class Ledger:
    """What the file says. `length` is the bytes of its whole lines, `torn` the bytes after them."""

    path: Path
    entries: tuple[Entry, ...]
    length: int
    torn: int

    def appended(
        self, event: Event, at: str, number: int, name: str, manifest_sha256: str, intent: Intent | None = None
    ) -> "Ledger":
        """The ledger with one line more, which is on the disk by now."""
        values: dict[str, object] = {
            "entry": len(self.entries) + 1,
            "event": event,
            "at": at,
            "number": number,
            "name": name,
            "manifest_sha256": manifest_sha256,
            "intent": None if intent is None else intent.model_dump(),
            "previous": self.entries[-1].sha256 if self.entries else FIRST,
        }
        entry = Entry.model_validate({**values, "sha256": _hash(values)})
        line = _line(entry.model_dump())
        append(self.path, line)
        return Ledger(self.path, (*self.entries, entry), self.length + len(line), 0)


def read_ledger(path: Path) -> Ledger:
    """The ledger at `path`, nothing where there is none.

    Raises:
        TamperedError: a line is not as it was written, or one is missing.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    entries: list[Entry] = []
    length = 0
    for line in data.splitlines(keepends=True):
        last = length + len(line) == len(data)
        if last and _torn(line):
            break
        entry = _entry(path, line, len(entries) + 1)
        _check(path, entry, entries)
        entries.append(entry)
        length += len(line)
    return Ledger(path, tuple(entries), length, len(data) - length)


def _torn(line: bytes) -> bool:
    """Whether the last line is one that was never written to its end."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return not line.endswith(b"\n")


def _entry(path: Path, line: bytes, number: int) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        raise TamperedError([f"{path}: line {number} is no entry of a ledger that this version knows"]) from error


def _check(path: Path, entry: Entry, before: list[Entry]) -> None:
    values = entry.model_dump()
    said = values.pop("sha256")
    previous = before[-1].sha256 if before else FIRST
    where = f"{path}: line {len(before) + 1}"
    if _hash(values) != said:
        raise TamperedError([f"{where} was changed: its hash is not the one that it holds"])
    if entry.previous != previous or entry.entry != len(before) + 1:
        raise TamperedError([f"{where} does not follow the line before it: a line was taken away, added or moved"])


def _hash(values: dict[str, object]) -> str:
    return hashlib.sha256(_line(values)).hexdigest()


def _line(values: dict[str, object]) -> bytes:
    return (json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
