"""The folder of a night: a lock, and one folder a run with a folder for each stage and a journal.

    state/lock                 held while a night runs
    state/last.json            the last success
    state/measurements/        records that nights ingested
    state/runs/<time>/journal.jsonl
    state/runs/<time>/<stage>/ what the stage gave; facts.json says it in short

A stage's folder appears whole. It is taken again, and not made again, while what it was made from has the same hash and
what it holds has the hash that the journal says. So a run that is killed anywhere goes on where it stood.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import structlog

from placement.nightly import journal
from placement.nightly.faults import Fault
from placement.nightly.folders import tree_sha256
from placement.publish.durable import sync_tree

FACTS = "facts.json"
JOURNAL = "journal.jsonl"
NAME = "%Y%m%dT%H%M%S.%fZ"

_LOG = structlog.get_logger("nearserve.nightly")


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """The state's folder for one night at a time; the lock ends with the process, however that ends.

    Raises:
        Fault: another night holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise Fault("locked", f"{state} is in use by another night (process {holder}); wait for its end") from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@dataclass(frozen=True)
class Result:
    """What a stage gave: its folder, its facts, the hash of all of it, and how long it took when it was made."""

    stage: str
    folder: Path
    facts: dict[str, Any]
    sha256: str
    seconds: float
    again: bool  # taken from before, and not made now


class Run:
    """One night's work, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results: dict[str, Result] = {}
        self.lines = journal.read(folder / JOURNAL)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def began(self) -> datetime:
        """When it first began: it sees what had come in by then."""
        return datetime.strptime(self.name, NAME).replace(tzinfo=UTC)

    @property
    def ended(self) -> dict[str, Any] | None:
        """The last line, where that is an end."""
        return self.lines[-1] if self.lines and self.lines[-1]["event"] == "end" else None

    @property
    def is_open(self) -> bool:
        """Whether it was broken off, or ended in a way that a later run may mend."""
        return self.ended is None or bool(self.ended.get("open"))

    def tell(self, event: str, **facts: Any) -> None:
        """Add a line to the journal, for ever."""
        line = {"event": event, **facts}
        journal.append(self.folder / JOURNAL, line)
        self.lines.append(line)

    def stage(
        self, name: str, made_from: Mapping[str, Any], make: Callable[[Path], dict[str, Any]], *, keep: bool = True
    ) -> Result:
        """What a stage gives. `make` fills a folder and returns the facts; it is not called where what stands will do.

        `keep` false: whatever stands is made again.
        """
        key = journal.key_of(made_from)
        found = self._standing(name, key) if keep else None
        if found is None:
            found = self._made(name, key, make)
        _LOG.info(
            "stage",
            run=self.name,
            stage=name,
            seconds=round(found.seconds, 3),
            again=found.again,
            facts=brief(found.facts),
        )
        self.results[name] = found
        return found

    def did(self, name: str, seconds: float) -> None:
        """A stage whose outcome stands elsewhere was done."""
        self.tell("stage", stage=name, key="", sha256="", seconds=seconds)
        self.results[name] = Result(name, self.folder, {}, "", seconds, False)

    def _standing(self, name: str, key: str) -> Result | None:
        lines = [line for line in self.lines if line["event"] == "stage" and line["stage"] == name]
        folder = self.folder / name
        if not lines or lines[-1]["key"] != key or not folder.is_dir():
            return None
        if tree_sha256(folder) != lines[-1]["sha256"]:
            message = f"{folder} is not what this run wrote; look who changed it, then run again"
            self.tell("stage", stage=name, key="", sha256="", seconds=0.0)  # made anew by the next run
            raise Fault("tampered", message, stage=name)
        facts = json.loads((folder / FACTS).read_bytes())
        return Result(name, folder, facts, lines[-1]["sha256"], lines[-1]["seconds"], True)

    def _made(self, name: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Result:
        folder, scratch = self.folder / name, self.folder / f".{name}"
        _LOG.info("stage_begins", run=self.name, stage=name)
        began = monotonic()
        for left in (scratch, folder):
            shutil.rmtree(left, ignore_errors=True)
        scratch.mkdir(parents=True)
        facts = make(scratch)
        (scratch / FACTS).write_bytes(json_bytes(facts))
        sync_tree(scratch)
        scratch.rename(folder)
        seconds = monotonic() - began
        sha256 = tree_sha256(folder)
        self.tell("stage", stage=name, key=key, sha256=sha256, seconds=seconds)
        # as it is read again, so that a run that went on sees what one at a stretch sees
        return Result(name, folder, json.loads((folder / FACTS).read_bytes()), sha256, seconds, False)


def json_bytes(value: Any) -> bytes:
    """Canonical JSON for files."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def brief(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of the facts fits a line of log: figures and words."""
    return {name: value for name, value in facts.items() if isinstance(value, int | float | str) or value is None}


def runs(state: Path) -> list[Run]:
    """All runs, the oldest first."""
    place = state / "runs"
    return [Run(path) for path in sorted(place.iterdir()) if _is_run(path)] if place.is_dir() else []


def _is_run(path: Path) -> bool:
    try:
        datetime.strptime(path.name, NAME)
    except ValueError:
        return False
    return path.is_dir()


def open_run(state: Path, as_of: datetime, open_hours: float, *, fresh: bool = False) -> Run:
    """The last run, where it is open and young; a new one otherwise."""
    before = runs(state)
    if before and not fresh and before[-1].is_open:
        age = as_of - before[-1].began
        if timedelta(0) <= age <= timedelta(hours=open_hours):
            return before[-1]
    name = as_of.astimezone(UTC).strftime(NAME)
    if before:  # a clock that went back does not reorder them, and two within a microsecond are two
        last = before[-1].began
        if as_of <= last:
            name = (last + timedelta(microseconds=1)).strftime(NAME)
    folder = state / "runs" / name
    folder.mkdir(parents=True)
    return Run(folder)


def forget(state: Path, keep: int, needed: frozenset[str]) -> None:
    """Remove the oldest runs beyond `keep`, but none that is `needed`; first their name goes, then their files."""
    for run in runs(state)[:-keep]:
        if run.name not in needed:
            gone = run.folder.with_name(f".{run.name}")
            run.folder.rename(gone)
    for left in (state / "runs").glob(".*"):
        shutil.rmtree(left, ignore_errors=True)


def usual_s(state: Path, stages: tuple[str, ...], nights: int = 5) -> float | None:
    """The most that these stages took together in one of the last nights that got to the last one; None: none did."""
    sums = []
    for run in runs(state)[::-1]:
        took = {line["stage"]: line["seconds"] for line in run.lines if line["event"] == "stage"}
        if stages[-1] in took:
            sums.append(sum(took.get(name, 0.0) for name in stages))
        if len(sums) == nights:
            break
    return max(sums) if sums else None
