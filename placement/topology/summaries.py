"""Measurement records to robust summaries, one per (source, target, method, family): exact, and whatever the row order.

A figure over several records is never an average of percentiles. Samples are pooled; where a record has only
percentiles, the p50 is the weighted median of the windows' p50s and the p95 the weighted 95 % quantile of the windows'
p95s (of fewer than twenty equal windows the largest), weighted by what was received. Sums run over integers
(nanoseconds), so that no order of addition shows in the last bit.
"""

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MEMORY = "1GB"  # what DuckDB may hold before it spills to disk
VALUES_AT_ONCE = 2_000_000  # records and samples
KEYS = ("source", "target", "method", "family")

COLUMNS = {
    "observed_at": pa.int64(),  # nanoseconds since 1970 UTC
    "source": pa.string(),
    "target": pa.string(),
    "source_alias": pa.string(),
    "target_alias": pa.string(),
    "method": pa.string(),
    "family": pa.int64(),
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

# Agents deliver at least once: a record that has a key and comes again, the same in every column, counts once.
_REPEATED = """
SELECT 1 FROM records WHERE boot_id IS NOT NULL AND seq IS NOT NULL
GROUP BY agent, boot_id, seq HAVING count(*) > 1 LIMIT 1
"""
_ONCE = """
SELECT * FROM records WHERE boot_id IS NULL OR seq IS NULL
UNION ALL SELECT DISTINCT * FROM records WHERE boot_id IS NOT NULL AND seq IS NOT NULL
"""

_NAMED = """
CREATE TEMP VIEW named AS SELECT * REPLACE (
    CASE WHEN source NOT IN (FROM known) AND source_alias IN (FROM known) THEN source_alias ELSE source END AS source,
    CASE WHEN target NOT IN (FROM known) AND target_alias IN (FROM known) THEN target_alias ELSE target END AS target
) FROM ({once})
"""

# Quantiles hold all values of a group in memory, so the pairs are taken a part at a time.
_CLEAN = """
CREATE OR REPLACE TEMP TABLE cleaned AS
WITH kept AS (
    SELECT *, coalesce(clock_ok, true) AND NOT coalesce(loaded, false) AS timed
    FROM named WHERE {window} AND hash(source, target) % {parts} = {part}
), valid AS (
    SELECT * REPLACE (
        list_transform(rtt_ms, lambda v: CASE WHEN v > 0 AND isfinite(v) THEN v END) AS rtt_ms,
        CASE WHEN timed AND rtt_min_ms > 0 AND isfinite(rtt_min_ms) THEN rtt_min_ms END AS rtt_min_ms,
        CASE WHEN timed AND rtt_p50_ms > 0 AND isfinite(rtt_p50_ms) THEN rtt_p50_ms END AS rtt_p50_ms,
        CASE WHEN timed AND rtt_p95_ms > 0 AND isfinite(rtt_p95_ms) THEN rtt_p95_ms END AS rtt_p95_ms,
        CASE WHEN timed AND rtt_avg_ms > 0 AND isfinite(rtt_avg_ms) THEN rtt_avg_ms END AS rtt_avg_ms,
        CASE WHEN timed AND rtt_std_ms >= 0 AND isfinite(rtt_std_ms) THEN rtt_std_ms END AS rtt_std_ms,
        CASE WHEN mbps > 0 AND isfinite(mbps) THEN mbps END AS mbps
    ) FROM kept
), counted AS (
    SELECT *, CASE WHEN len(rtt_ms) > 0 THEN list_count(rtt_ms) END AS listed FROM valid
)
SELECT source, target, method, family, observed_at, rtt_min_ms, rtt_p50_ms, rtt_p95_ms, rtt_avg_ms, rtt_std_ms,
       CASE WHEN timed THEN rtt_ms END AS rtt_ms,
       sent, coalesce(received, listed) AS received, NOT coalesce(loaded, false) AS quiet,
       CASE WHEN timed THEN coalesce(listed, received, 0) ELSE 0 END AS samples,
       timed AND listed > 0 AS pooled,
       greatest(coalesce(received, 1), 1) AS windows_weight,
       CASE WHEN direction IS NULL OR direction = '' OR direction = 'up' THEN mbps END AS mbps_up,
       CASE WHEN direction = 'down' THEN mbps END AS mbps_down
FROM counted
"""

_BASE = """
CREATE OR REPLACE TEMP TABLE base AS SELECT {keys},
    count(*) AS records,
    sum(sent)::BIGINT AS sent,
    sum(received)::BIGINT AS received,
    sum(sent) FILTER (quiet)::BIGINT AS sent_quiet,
    sum(received) FILTER (quiet AND sent IS NOT NULL)::BIGINT AS received_of_sent,
    sum(samples)::BIGINT AS samples,
    min(coalesce(list_min(rtt_ms), rtt_min_ms)) AS rtt_base_ms,
    sum((rtt_avg_ms * 1e6)::HUGEINT * windows_weight)::DOUBLE / 1e6
        / sum(windows_weight) FILTER (rtt_avg_ms IS NOT NULL) AS rtt_avg_ms,
    sqrt(sum((rtt_std_ms * rtt_std_ms * 1e6)::HUGEINT * windows_weight)::DOUBLE / 1e6
        / sum(windows_weight) FILTER (rtt_std_ms IS NOT NULL)) AS rtt_std_ms,
    sum(list_sum(list_transform(range(1, len(rtt_ms)),
        lambda i: (abs(rtt_ms[i + 1] - rtt_ms[i]) * 1e6)::BIGINT)))::HUGEINT AS steps_ns,
    sum(list_count(list_transform(range(1, len(rtt_ms)),
        lambda i: rtt_ms[i + 1] - rtt_ms[i])))::BIGINT AS steps,
    quantile_cont(mbps_up, 0.5) AS mbps_up,
    quantile_cont(mbps_down, 0.5) AS mbps_down,
    max(observed_at) / 1e9 AS observed_at_s
FROM cleaned GROUP BY {keys}
"""

_POOLED = """
CREATE OR REPLACE TEMP TABLE pooled AS
SELECT {keys}, quantile_cont(v, 0.5) AS p50, quantile_cont(v, 0.95) AS p95, count(v) AS n
FROM (SELECT {keys}, unnest(rtt_ms) AS v FROM cleaned WHERE pooled) GROUP BY {keys}
"""

_WINDOWED = """
CREATE OR REPLACE TEMP TABLE windowed_{name} AS
WITH ranked AS (
    SELECT {keys}, {column} AS v, windows_weight AS w,
           sum(windows_weight) OVER (PARTITION BY {keys} ORDER BY {column}) AS below,
           sum(windows_weight) OVER (PARTITION BY {keys}) AS total
    FROM cleaned WHERE NOT coalesce(pooled, false) AND {column} IS NOT NULL
)
SELECT {keys}, min(v) AS v, any_value(total) AS n FROM ranked WHERE below * 100 >= total * {percent} GROUP BY {keys}
"""

_JOIN = """
SELECT base.source, base.target, base.method, base.family, records,
    coalesce(sent, 0) AS sent, coalesce(received, 0) AS received, samples,
    CASE WHEN sent_quiet > 0 AND received_of_sent IS NOT NULL
        THEN 1 - received_of_sent::DOUBLE / sent_quiet END AS loss,
    rtt_base_ms,
    CASE WHEN pooled.p50 IS NULL OR windowed_p50.n > pooled.n THEN windowed_p50.v ELSE pooled.p50 END AS rtt_p50_ms,
    greatest(pooled.p95, windowed_p95.v) AS rtt_p95_ms,
    rtt_avg_ms, rtt_std_ms,
    CASE WHEN steps > 0 THEN steps_ns::DOUBLE / 1e6 / steps END AS jitter_ms,
    mbps_up, mbps_down, observed_at_s
FROM base
LEFT JOIN pooled ON {on_pooled}
LEFT JOIN windowed_p50 ON {on_p50}
LEFT JOIN windowed_p95 ON {on_p95}
"""


@dataclass(frozen=True)
class Summaries:
    """What the records say, and how many were left out as older than the window.

    `frame` has one row per (source, target, method, family), sorted by them:

    | column | meaning |
    |---|---|
    | records, sent, received, samples | counts; samples are those with a usable time |
    | loss | share of the sent that never came back, 0..1, without what was sent to load the path; NaN if unsaid |
    | rtt_base_ms | windowed minimum |
    | rtt_p50_ms, rtt_p95_ms | as the module says; NaN where only averages are known |
    | rtt_avg_ms, rtt_std_ms | as reported, weighted by samples; for aggregates only |
    | jitter_ms | mean absolute difference of successive samples of a record; NaN without a list |
    | mbps_up, mbps_down | median; up is source to target, and so is a record without a direction |
    | observed_at_s | newest observation, seconds since 1970 UTC |

    `stale` counts records before the window, by "source → target".
    """

    frame: pd.DataFrame
    stale: dict[str, int]


def summarise(records: pa.Table, known: Collection[str] = (), newer_than: date | None = None) -> Summaries:
    """Summaries of the records observed on `newer_than` (UTC midnight) or later; all of them when it is None.

    An end that is not among the `known` names, while its alias is, goes by its alias.

    A time that is not finite and above zero is no measurement; times of records with `clock_ok` false, or taken
    under load, count neither as latency nor as jitter. The counts of what was sent and received hold in any case.
    """
    with tempfile.TemporaryDirectory(prefix="nearserve-") as spill, duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("SET temp_directory = ?", [spill])
        connection.register("records", _with_all_columns(records))
        repeated = connection.sql(_REPEATED).to_arrow_table().num_rows
        connection.register("known", pa.table({"name": pa.array(sorted(known), pa.string())}))
        connection.execute(_NAMED.format(once=_ONCE if repeated else "FROM records"))
        window = "true" if newer_than is None else f"observed_at >= {_midnight_ns(newer_than)}"
        frame = _summary_frame(connection, window, 1 + _values(records) // VALUES_AT_ONCE)
        return Summaries(frame, _stale(connection, window))


def window_start(planning_date: date | None, max_age_days: float | None) -> date | None:
    """First day whose records count: `max_age_days` before the planning date; None when either is not given."""
    if planning_date is None or max_age_days is None:
        return None
    return planning_date - timedelta(days=max_age_days)


def _midnight_ns(day: date) -> int:
    """The first nanosecond of a UTC day, since 1970."""
    return (day - date(1970, 1, 1)).days * 86_400 * 10**9


def _with_all_columns(records: pa.Table) -> pa.Table:
    """The records with exactly COLUMNS, cast; a column they lack is null throughout."""
    arrays = []
    for name, kind in COLUMNS.items():
        if name in records.column_names:
            arrays.append(records.column(name).cast(kind))
        else:
            arrays.append(pa.nulls(records.num_rows, kind))
    return pa.table(arrays, names=list(COLUMNS))


def _values(records: pa.Table) -> int:
    """How many records and samples there are."""
    if "rtt_ms" not in records.column_names:
        return int(records.num_rows)
    samples = pc.sum(pc.list_value_length(records.column("rtt_ms"))).as_py()
    return int(records.num_rows + (samples or 0))


def _summary_frame(connection: duckdb.DuckDBPyConnection, window: str, parts: int) -> pd.DataFrame:
    keys = ", ".join(KEYS)
    joins = {
        f"on_{short}": " AND ".join(f"base.{key} IS NOT DISTINCT FROM {table}.{key}" for key in KEYS)
        for short, table in (("pooled", "pooled"), ("p50", "windowed_p50"), ("p95", "windowed_p95"))
    }
    for part in range(parts):
        connection.execute(_CLEAN.format(window=window, parts=parts, part=part))
        connection.execute(_BASE.format(keys=keys))
        connection.execute(_POOLED.format(keys=keys))
        connection.execute(_WINDOWED.format(keys=keys, name="p50", column="rtt_p50_ms", percent=50))
        connection.execute(_WINDOWED.format(keys=keys, name="p95", column="rtt_p95_ms", percent=95))
        into = "INSERT INTO summaries" if part else "CREATE TEMP TABLE summaries AS"
        connection.execute(f"{into} {_JOIN.format(**joins)}")
    return _frame(connection, f"FROM summaries ORDER BY {keys}")


def _stale(connection: duckdb.DuckDBPyConnection, window: str) -> dict[str, int]:
    query = f"SELECT source, target, count(*) AS n FROM named WHERE NOT ({window}) GROUP BY ALL ORDER BY ALL"
    rows = _frame(connection, query)
    return {f"{source} → {target}": int(n) for source, target, n in rows.to_numpy()}


def _frame(connection: duckdb.DuckDBPyConnection, query: str) -> pd.DataFrame:
    table = connection.sql(query).to_arrow_table()
    # Millions of rows: the table goes as the frame comes, a column at a time.
    frame: pd.DataFrame = table.to_pandas(self_destruct=True, split_blocks=True)
    for name in ("source", "target", "method"):
        if name in frame:
            frame[name] = frame[name].astype(object)
    return frame
