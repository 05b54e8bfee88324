"""Records as numbers: names become codes, lists of samples become figures of their record."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placement.topology.summaries.sketch import Float, Ints

NS_PER_DAY = 86_400 * 10**9
MOST_COUNTED = 10**12
"""No record holds more packets; what claims to counts as this many, so that no sum overflows."""
MOST_WEIGHT = 10**9
"""No window weighs more."""

COLUMNS = {
    "observed_at": pa.int64(),  # nanoseconds since 1970 UTC
    "source": pa.string(),
    "target": pa.string(),
    "source_alias": pa.string(),
    "target_alias": pa.string(),
    "method": pa.string(),
    "family": pa.int8(),
    "sent": pa.int64(),
    "received": pa.int64(),
    "rtt_ms": pa.list_(pa.float64()),
    "rtt_min_ms": pa.float64(),
    "rtt_p50_ms": pa.float64(),
    "rtt_p95_ms": pa.float64(),
    "rtt_avg_ms": pa.float64(),
    "rtt_std_ms": pa.float64(),
    "mbps": pa.float64(),
    "direction": pa.string(),
    "loaded": pa.bool_(),
    "clock_ok": pa.bool_(),
    "agent": pa.string(),
    "boot_id": pa.string(),
    "seq": pa.int64(),
}
"""What is read of a record; a column that the records do not have counts as absent throughout."""


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


class Codes(dict[tuple[Any, ...], int]):
    """Numbers for combinations of values, given out as they appear."""

    def of(self, *columns: pa.DictionaryArray | pa.Array) -> NDArray[np.int32]:
        """The number of each row's combination."""
        parts = [column if pa.types.is_dictionary(column.type) else column.dictionary_encode() for column in columns]
        whole = np.zeros(len(parts[0]), np.int64)
        for part in parts:
            index = pc.fill_null(part.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
            whole = whole * (len(part.dictionary) + 1) + index + 1
        code, found = pd.factorize(whole)
        combinations = []
        for part in reversed(parts):
            found, index = np.divmod(found, len(part.dictionary) + 1)
            words = [*part.dictionary.to_pylist(), None]
            combinations.append([words[i - 1] for i in index])
        numbers = [self.setdefault(one, len(self)) for one in zip(*reversed(combinations), strict=True)]
        return np.array(numbers, np.int32)[code]


def with_all_columns(records: pa.Table) -> pa.Table:
    """The records with exactly COLUMNS, a single chunk; text may be dictionary-coded. A column they lack is null."""
    arrays = []
    for name, kind in COLUMNS.items():
        if name not in records.column_names:
            arrays.append(pa.nulls(records.num_rows, kind))
            continue
        column = records.column(name)
        arrays.append(column if pa.types.is_dictionary(column.type) else column.cast(kind))
    return pa.table(arrays, names=list(COLUMNS)).unify_dictionaries().combine_chunks()


def column(records: pa.Table, name: str) -> pa.Array:
    """The one chunk of a column."""
    whole = records.column(name)
    return whole.chunk(0) if whole.num_chunks else pa.array([], whole.type)


def numbers(records: pa.Table, name: str) -> Float:
    """A column as floats, NaN where it is empty."""
    return np.asarray(column(records, name).cast(pa.float64()).to_numpy(zero_copy_only=False))


def counts(records: pa.Table, name: str) -> tuple[Ints, NDArray[np.bool_]]:
    """A column of counts (0 where it is empty), and where it is given."""
    found = column(records, name)
    given = found.is_valid().to_numpy(zero_copy_only=False)
    return np.clip(found.fill_null(0).to_numpy(zero_copy_only=False), 0, MOST_COUNTED), given


def truth(records: pa.Table, name: str, empty: bool) -> NDArray[np.bool_]:
    """A column of truth values, with what an empty cell means."""
    return np.asarray(column(records, name).fill_null(empty).to_numpy(zero_copy_only=False))


def usable(value: Float, zero: bool = False) -> Float:
    """The values that are finite and above zero (or `zero`, if that may be), NaN for the others."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(value) & ((value >= 0) if zero else (value > 0)), value, np.nan)
