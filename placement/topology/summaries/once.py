"""Agents deliver at least once: a record that has a key and comes again, the same in every column, counts once.

Keys are looked at first, eight bytes each, of millions of records a share at a time; the records of keys that come more
than once are then set apart, on disk, and counted without their repetitions.
"""

from collections.abc import Callable, Iterable, Iterator

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placement.topology.summaries.reading import Codes, column, with_all_columns

MARKS_AT_ONCE = 8_000_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Marks = NDArray[np.uint64]


def each_once(
    connection: duckdb.DuckDBPyConnection,
    keys: Callable[[], Iterable[pa.Table]],
    records: Iterable[pa.Table],
    expected: int,
    rows: int,
) -> Iterator[pa.Table]:
    """The `records` without those delivered again, in Tables of about `rows` rows.

    `keys` gives agent, boot_id and seq of all of them, about `expected`; it is called as often as they are looked at.
    """
    boots = Codes()
    shares = 1 + expected // MARKS_AT_ONCE
    again = np.concatenate([_repeated(boots, keys(), share, shares) for share in range(shares)])
    if not len(again):
        yield from records
        return
    apart = False
    for table in records:
        mark, keyed = _marks(boots, table)
        repeated = keyed & np.isin(mark, again)
        if repeated.any():
            connection.register("given", _plain(with_all_columns(table.filter(pa.array(repeated)))))
            connection.execute(
                "INSERT INTO apart FROM given" if apart else "CREATE OR REPLACE TABLE apart AS FROM given"
            )
            connection.unregister("given")
            apart = True
        yield table.filter(pa.array(~repeated))
    if apart:
        for batch in connection.sql("SELECT DISTINCT * FROM apart").to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])
        connection.execute("DROP TABLE apart")


def _repeated(boots: Codes, keys: Iterable[pa.Table], share: int, shares: int) -> Marks:
    """Marks that come more than once, of one share of all marks."""
    found = [np.empty(0, np.uint64)]
    for table in keys:
        mark, keyed = _marks(boots, table)
        if shares > 1:
            keyed &= mark % np.uint64(shares) == share
        found.append(mark[keyed])
    marks = np.concatenate(found)
    del found
    marks.sort()
    return np.unique(marks[1:][marks[1:] == marks[:-1]])


def _marks(boots: Codes, records: pa.Table) -> tuple[Marks, NDArray[np.bool_]]:
    """A number for the key of each record (two keys may by chance have one number), and whether it has a key."""
    if "boot_id" not in records.column_names or "seq" not in records.column_names:
        return np.zeros(records.num_rows, np.uint64), np.zeros(records.num_rows, np.bool_)
    agent = records["agent"] if "agent" in records.column_names else pa.nulls(records.num_rows, pa.string())
    keys = pa.table({"agent": agent, "boot_id": records["boot_id"], "seq": records["seq"]})
    keys = keys.unify_dictionaries().combine_chunks()
    boot, seq = column(keys, "boot_id"), column(keys, "seq")
    given = boot.is_valid().to_numpy(zero_copy_only=False) & seq.is_valid().to_numpy(zero_copy_only=False)
    code = boots.of(column(keys, "agent"), boot).astype(np.uint64)
    return code * _FACTOR + seq.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64), given


def _plain(records: pa.Table) -> pa.Table:
    """Without dictionary codes, which differ from table to table."""
    for i, field in enumerate(records.schema):
        if pa.types.is_dictionary(field.type):
            records = records.set_column(i, field.name, records.column(i).cast(field.type.value_type))
    return records
