"""Agents deliver at least once: a record that has a key and comes again, the same in every column, counts once.

Keys are looked at first, eight bytes each; the records of keys that come more than once are then set apart, and counted
without their repetitions.
"""

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placement.topology.summaries.reading import Codes, column, with_all_columns

_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Marks = NDArray[np.uint64]


class Once:
    """Sets apart what came more than once among some records.

    First `note` the keys of all and `compare` them, then `pass_on` the records, and take the rest from `apart`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._boots = Codes()
        self._again = np.empty(0, np.uint64)
        self._kept = False
        connection.execute("CREATE OR REPLACE TABLE marks (mark UBIGINT)")

    def note(self, records: pa.Table) -> None:
        """Some records, of which agent, boot_id and seq are looked at."""
        mark, keyed = self._marks(records)
        if keyed.any():
            self._run("INSERT INTO marks FROM given", pa.table({"mark": mark[keyed]}))

    def compare(self) -> None:
        """Once all are noted."""
        query = "SELECT mark FROM marks GROUP BY mark HAVING count(*) > 1"
        self._again = np.asarray(self._connection.execute(query).fetchnumpy()["mark"], np.uint64)
        self._connection.execute("DROP TABLE marks")

    def pass_on(self, records: pa.Table) -> pa.Table:
        """Those whose key came but once."""
        if not len(self._again):
            return records
        mark, keyed = self._marks(records)
        again = keyed & np.isin(mark, self._again)
        if again.any():
            self._run(
                "INSERT INTO apart FROM given" if self._kept else "CREATE OR REPLACE TABLE apart AS FROM given",
                _plain(with_all_columns(records.filter(pa.array(again)))),
            )
            self._kept = True
        return records.filter(pa.array(~again))

    def apart(self, rows: int) -> Iterator[pa.Table]:
        """The others, each once."""
        if not self._kept:
            return
        # Another cursor: whoever takes a batch may use the connection before the next.
        reader = self._connection.cursor().sql("SELECT DISTINCT * FROM apart").to_arrow_reader(rows)
        for batch in reader:
            yield pa.Table.from_batches([batch])
        self._connection.execute("DROP TABLE apart")

    def _run(self, query: str, given: pa.Table) -> None:
        self._connection.register("given", given)
        self._connection.execute(query)
        self._connection.unregister("given")

    def _marks(self, records: pa.Table) -> tuple[Marks, NDArray[np.bool_]]:
        """A number for the key of each record (chance may give two keys one number), and whether it has a key."""
        if "boot_id" not in records.column_names or "seq" not in records.column_names:
            return np.zeros(records.num_rows, np.uint64), np.zeros(records.num_rows, np.bool_)
        agent = records["agent"] if "agent" in records.column_names else pa.nulls(records.num_rows, pa.string())
        keys = pa.table({"agent": agent, "boot_id": records["boot_id"], "seq": records["seq"]})
        keys = keys.unify_dictionaries().combine_chunks()
        boot, seq = column(keys, "boot_id"), column(keys, "seq")
        given = boot.is_valid().to_numpy(zero_copy_only=False) & seq.is_valid().to_numpy(zero_copy_only=False)
        code = self._boots.of(column(keys, "agent"), boot).astype(np.uint64)
        return code * _FACTOR + seq.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64), given


def _plain(records: pa.Table) -> pa.Table:
    """Without dictionary codes, which differ from table to table."""
    for i, field in enumerate(records.schema):
        if pa.types.is_dictionary(field.type):
            records = records.set_column(i, field.name, records.column(i).cast(field.type.value_type))
    return records


def each_once(
    connection: duckdb.DuckDBPyConnection, keys: Iterable[pa.Table], records: Iterable[pa.Table], rows: int
) -> Iterator[pa.Table]:
    """The `records` without those delivered again, in Tables of about `rows` rows; `keys` has agent, boot_id and seq
    of them all, and is read first."""
    once = Once(connection)
    for table in keys:
        once.note(table)
    once.compare()
    for table in records:
        yield once.pass_on(table)
    yield from once.apart(rows)
