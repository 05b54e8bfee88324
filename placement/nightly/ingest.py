"""Measurement files of others, into the records that the night keeps; a file that was read is not read again."""

import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placement.nightly.config import Ingest
from placement.nightly.faults import Fault
from placement.nightly.journal import key_of
from probes.reading import BadRecord
from probes.whole_file import write_whole

INDEX = "_ingested.json"  # readers of measurements pass over the name
SHOWN = 20


@dataclass(frozen=True)
class Counted:
    """What became of a file's measurements. `lost` are packets."""

    records: int
    bad: int
    lost: int

    @property
    def bad_share(self) -> float:
        return self.bad / max(self.records + self.bad, 1)


def ingest(entries: Sequence[Ingest], records: Path) -> dict[str, Any]:
    """Add what the entries' files measured to the folder `records`.

    Files are known by path, size and times; what they hold is added once, however often it is read. The records of
    sound files are kept even where others are too bad to go on.

    Raises:
        Fault: there are no files where some are required, or files with too many bad measurements; all are named.
    """
    files = [(entry, Path(path)) for entry in entries for path in _matching(entry)]
    absent = [entry for entry in entries if entry.required and not any(_matching(entry))]
    if absent:
        told = "; ".join(f"{' '.join(entry.files)} ({entry.format})" for entry in absent)
        raise Fault("missing_file", f"no measurement file is there for {told}; see what should have put it there")
    index = _read_index(records)
    fresh: dict[str, Counted] = {}
    bad: list[BadRecord] = []
    faulty: list[str] = []
    for entry, path in files:
        stamp = _stamp(entry, path)
        if index.get(str(path)) == stamp:
            continue
        counted, wrong = _add(entry, path, records)
        bad += wrong[:SHOWN]
        if counted.bad_share > entry.max_bad_share:
            faulty.append(f"{path}: {counted.bad} of {counted.records + counted.bad} measurements are bad")
            continue
        fresh[str(path)] = counted
        index[str(path)] = stamp
    if fresh:
        write_whole(records / INDEX, json.dumps(index, sort_keys=True).encode(), durable=True)
    if faulty:
        message = "\n".join([*faulty, *(f"bad record: {record}" for record in bad[:SHOWN])])
        raise Fault("bad_records", message, files=len(faulty))
    return {
        "files": len(files),
        "new_files": len(fresh),
        "records": sum(one.records for one in fresh.values()),
        "bad": sum(one.bad for one in fresh.values()),
        "lost": sum(one.lost for one in fresh.values()),
        "first_bad": [str(record) for record in bad[:SHOWN]],
    }


def _matching(entry: Ingest) -> Iterator[str]:
    """Files by name, each once, without hidden ones."""
    found = {path for pattern in entry.files for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207  absolute
    return iter(sorted(path for path in found if Path(path).is_file()))


def _stamp(entry: Ingest, path: Path) -> list[Any]:
    """What a file is known by, and how it was read."""
    stat = path.stat()
    how = key_of(entry.model_dump(include={"format", "source", "target"}))
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, how]


def _add(entry: Ingest, path: Path, records: Path) -> tuple[Counted, Sequence[BadRecord]]:
    """Read a file; its records are added where not too many are bad."""
    from probes.importers import import_file  # noqa: PLC0415
    from probes.reading import BadRecordsError  # noqa: PLC0415
    from probes.store import write_records  # noqa: PLC0415

    try:
        read = import_file(path, entry.format, on_error="skip", source=entry.source, target=entry.target)
    except BadRecordsError as error:  # it cannot be opened
        return Counted(0, len(error.bad), 0), error.bad
    counted = Counted(read.table.num_rows, len(read.bad), read.lost)
    if counted.bad_share <= entry.max_bad_share and counted.records:
        write_records(records, read.table)
    return counted, read.bad


def _read_index(records: Path) -> dict[str, Any]:
    """What was read before. The index stands among the records, so that it goes where they go."""
    records.mkdir(parents=True, exist_ok=True)
    try:
        found = json.loads((records / INDEX).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
