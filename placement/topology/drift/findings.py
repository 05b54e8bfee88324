"""What the quality gates found, pair by pair, and which of it is new since the day before: often why a pair moved."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from placement.topology.endpoints import endpoints
from placement.topology.export import atomically
from placement.topology.gates import route_change
from placement.topology.matches import match

if TYPE_CHECKING:
    from placement.topology.build import Topology

FINDINGS = "findings.parquet"
SERIES = ["gate", "source", "target", "method", "family", "action"]
COLUMNS = [*SERIES, "first_day", "last_day", "records", "severity", "why", "region", "site"]
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("gate", "source", "target", "method")]
    + [("family", pa.int64()), ("action", pa.string()), ("first_day", pa.int64()), ("last_day", pa.int64())]
    + [("records", pa.int64()), ("severity", pa.float64())]
    + [(name, pa.string()) for name in ("why", "region", "site")]
)


def findings(topology: "Topology", table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of a topology under COLUMNS, a row for each pair that one speaks of, in the order of the verdicts.

    `table` is the scenario's endpoints. Region and site are None where a verdict is of no single pair: of a whole end,
    of a country, of a name that maps nowhere.
    """
    pairs, frame = topology.pairs, topology.verdicts.frame
    ends = endpoints(table, pairs.regions, pairs.sites)
    named = frame[frame["source"].notna() & frame["target"].notna()]
    found = match(named, ends)
    rows = pd.DataFrame(
        {
            "verdict": named.index.to_numpy()[found.row],
            "region": pd.Series([pairs.regions[r] for r in found.region.tolist()], dtype=object),
            "site": pd.Series([pairs.sites[p] for p in found.site.tolist()], dtype=object),
        }
    ).drop_duplicates()
    whole = frame.reset_index(names="verdict").merge(rows, on="verdict", how="left")
    return _nothing_is_none(whole[COLUMNS])


def newly(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The findings that the other day does not have: of a series, gate and action, and of a change of route its day."""
    known = set(_keys(old))
    return new[np.array([key not in known for key in _keys(new)], np.bool_)].reset_index(drop=True)


def reasons(found: pd.DataFrame) -> dict[tuple[str, str], str]:
    """In words, by region and site; of several the first, exclusions before flags."""
    told: dict[tuple[str, str], str] = {}
    ordered = found[found["region"].notna()].sort_values("action", kind="stable")  # exclude before flag
    for region, site, gate, why in ordered[["region", "site", "gate", "why"]].itertuples(index=False):
        told.setdefault((region, site), f"{gate}: {why}")
    return told


def write_findings(found: pd.DataFrame, path: Path) -> None:
    """Writes them as Parquet; raises OSError when the place cannot be written."""
    table = pa.Table.from_pandas(found, SCHEMA, preserve_index=False).replace_schema_metadata()
    atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def findings_of(table: pa.Table) -> pd.DataFrame:
    """The findings of a Table that `write_findings` wrote."""
    return _nothing_is_none(table.select(COLUMNS).to_pandas())


def _keys(found: pd.DataFrame) -> list[tuple[object, ...]]:
    last = found["last_day"].where(found["gate"] == route_change.NAME, None)
    return list(zip(*(found[name] for name in SERIES), last, strict=True))


def _nothing_is_none(frame: pd.DataFrame) -> pd.DataFrame:
    """Absent values as None in columns of objects, so that two days compare."""
    frame = frame.astype(object)
    return frame.where(frame.notna(), None).reset_index(drop=True)
