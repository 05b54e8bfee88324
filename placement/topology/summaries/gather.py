"""Records to states: files whose days touch go together, and those of many records come from the cache.

Whoever compacts meanwhile may take a file away before it is read: then the folder is looked at again, and what is the
same as before is not read again.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from placement.topology.summaries.cache import Cache
from placement.topology.summaries.once import each_once
from placement.topology.summaries.state import State
from probes.folder import StandingFile, key_tables, standing_files, tables
from probes.reading import BadRecord, BadRecordsError

ROWS_AT_ONCE = 1 << 16
CACHED_ROWS = 20_000
"""Files of fewer records together are read each time."""
MOST_BAD = 100_000
"""So many bad records end the reading."""
_LOOKS = 100

Unit = tuple[StandingFile, ...]


class _MovedError(Exception):
    """A file went, or changed, since the folder was looked at."""


class Gather:
    """Makes states on a connection, in folders below `scratch`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self._connection, self._scratch = connection, scratch
        self._made = 0

    def of_table(self, records: Any) -> list[Path]:
        """The states of records in memory."""
        parts = [records.slice(first, ROWS_AT_ONCE) for first in range(0, records.num_rows, ROWS_AT_ONCE)]
        return self._states(each_once(self._connection, lambda: parts, parts, records.num_rows, ROWS_AT_ONCE))

    def of_folder(self, folder: Path, cache: Cache) -> list[Path]:
        """The states of the files below a folder.

        Raises what `standing_files` does, and BadRecordsError with every bad file and record.
        """
        done: dict[str, list[Path]] = {}
        for _ in range(_LOOKS):
            files, foreign = standing_files(folder)
            bad = list(foreign)
            try:
                states = self._of_units(_units(files), cache, done, bad)
            except _MovedError:
                continue
            if bad:
                raise BadRecordsError(sorted(bad, key=lambda one: (Path(one.file).parts, one.row)))
            cache.sweep()
            return states
        raise TimeoutError(f"{folder}: files came and went at every one of {_LOOKS} looks; read it again later")

    def _of_units(
        self, units: list[Unit], cache: Cache, done: dict[str, list[Path]], bad: list[BadRecord]
    ) -> list[Path]:
        """The states of all units; `done` has those of units seen before, by name, and `bad` gains what is wrong."""
        small: list[Unit] = []
        states: list[Path] = []
        for unit in units:
            if sum(file.rows or 0 for file in unit) < CACHED_ROWS:
                small.append(unit)
                continue
            name = cache.name(unit)
            if name not in done:
                done[name] = cache.find(name) or self._new(unit, name, cache, bad)
            states += done[name]
        return states + self._states(table for unit in small for table in self._records(unit, bad))

    def _new(self, unit: Unit, name: str, cache: Cache, bad: list[BadRecord]) -> list[Path]:
        before = len(bad)
        states = self._states(self._records(unit, bad))
        return cache.keep(name, states) if len(bad) == before else states

    def _states(self, records: Iterable[Any]) -> list[Path]:
        """The states of some records, none of more than MOST_VALUES by much."""
        state, states = State(), list[Path]()

        def write() -> None:
            nonlocal state
            folder = self._scratch / f"{self._made:06}"
            folder.mkdir()
            state.write(folder)
            states.append(folder)
            state = State()
            self._made += 1

        for table in records:
            if state.full(table.num_rows) and not state.empty:
                write()
            state.add(table)
        if not state.empty:
            write()
        return states

    def _records(self, unit: Unit, bad: list[BadRecord]) -> Iterator[Any]:
        """The records of some files, each once."""

        def keys() -> Iterator[Any]:
            for file in unit:
                if file.keyed:
                    yield from _followed(file, key_tables(file, ROWS_AT_ONCE), [])

        expected = sum(file.rows or 0 for file in unit if file.keyed)
        records = (table for file in unit for table in _followed(file, tables(file, ROWS_AT_ONCE), bad))
        return each_once(self._connection, keys, records, expected, ROWS_AT_ONCE)


def _followed(file: StandingFile, given: Iterator[Any], bad: list[BadRecord]) -> Iterator[Any]:
    """The Tables of a file to its end; what is bad in it goes to `bad`. Raises _MovedError where it changed."""
    try:
        yield from given
    except FileNotFoundError as error:
        raise _MovedError from error
    except BadRecordsError as failure:
        bad += failure.bad
    if not file.stands():
        raise _MovedError
    if len(bad) > MOST_BAD:
        raise BadRecordsError(bad)


def _units(files: tuple[StandingFile, ...]) -> list[Unit]:
    """Files whose days touch, together: a record that was delivered twice is within one unit."""
    if any(file.days is None for file in files):
        return [files]
    units: list[list[StandingFile]] = []
    last = None
    for file in sorted(files, key=lambda one: (one.days, one.path)):
        first_day, last_day = file.days or (0, 0)
        if last is None or first_day > last:
            units.append([])
        units[-1].append(file)
        last = last_day if last is None else max(last, last_day)
    return [tuple(unit) for unit in units]
