"""What `nearserve topology -o DIR` keeps of a day, read back: the pairs, and the places that they are weighed by."""

from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from placement.topology.coverage import requests_per_s
from placement.topology.drift.findings import COLUMNS, FINDINGS, findings, findings_of
from placement.topology.drift.tally import Places
from placement.topology.export import atomically
from placement.topology.pairs import Pairs, Provenance, State

if TYPE_CHECKING:
    from placement.topology.build import Topology

PAIRS, PLACES = "pairs.parquet", "places.parquet"
NEEDED = {"region", "site", "rtt_state", "rtt_provenance", "rtt_lower_ms", "rtt_upper_ms", "mbps_state", "mbps"}
REGION, SITE = "region", "site"


class StoredError(ValueError):
    """Folders that hold no topology that can be read; one line for each thing that is wrong."""


@dataclass(frozen=True)
class Stored:
    """One day's topology as its folder keeps it."""

    pairs: Pairs
    places: Places
    findings: pd.DataFrame  # of the quality gates, see `findings.findings`


def stored_of(topology: "Topology", endpoints: pd.DataFrame) -> Stored:
    """What would be kept of a topology at hand; `endpoints` is the scenario's table."""
    return Stored(topology.pairs, places_of(topology), findings(topology, endpoints))


def places_of(topology: "Topology") -> Places:
    """The places of a topology at hand."""
    regions = topology.regions[["region", "country", "users"]].copy()
    regions["requests_per_s"] = regions["region"].map(requests_per_s(topology.demand)).fillna(0.0)
    return Places(regions, topology.sites[["site", "country"]].copy())


def places_table(topology: "Topology") -> pa.Table:
    """A row for each region and each site: kind, name, country, latitude, longitude, users, requests_per_s."""
    weights = places_of(topology).regions
    regions = topology.regions[["region", "country", "latitude", "longitude"]].rename(columns={"region": "name"})
    regions = regions.assign(users=weights["users"], requests_per_s=weights["requests_per_s"], kind=REGION)
    sites = topology.sites[["site", "country", "latitude", "longitude"]].rename(columns={"site": "name"})
    both = pd.concat([regions, sites.assign(users=np.nan, requests_per_s=np.nan, kind=SITE)], ignore_index=True)
    columns = ["kind", "name", "country", "latitude", "longitude", "users", "requests_per_s"]
    return pa.Table.from_pandas(both[columns], preserve_index=False).replace_schema_metadata()


def write_places(topology: "Topology", path: Path) -> None:
    """Writes `places_table`; raises OSError when the place cannot be written."""
    table = places_table(topology)
    atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_stored(*folders: Path) -> tuple[Stored, ...]:
    """The topologies of folders that `nearserve topology -o` wrote.

    Raises:
        StoredError: one of them cannot be read; all that is wrong with all of them is named.
    """
    wrong: list[str] = []
    found = [_read(folder, wrong) for folder in folders]
    if wrong:
        raise StoredError("\n".join(wrong))
    return tuple(stored for stored in found if stored is not None)


def _read(folder: Path, wrong: list[str]) -> Stored | None:
    table = _table(folder / PAIRS, NEEDED, wrong)
    places = _table(folder / PLACES, {"kind", "name", "country", "users", "requests_per_s"}, wrong)
    found = _table(folder / FINDINGS, {*COLUMNS}, wrong)  # were it taken for none, all of the other day's would be new
    if table is None or places is None or found is None:
        return None
    try:
        return Stored(_pairs(table), _places(places.to_pandas()), findings_of(found))
    except (ValueError, KeyError, pa.ArrowException) as error:
        wrong.append(f"{folder}: {error}")
        return None


def _table(path: Path, needed: set[str], wrong: list[str]) -> Any:
    mend = "`nearserve topology SCENARIO -o DIR` writes it"
    if not path.is_file():
        wrong.append(f"{path}: there is no such file; {mend}")
        return None
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        wrong.append(f"{path}: is no Parquet file ({error}); {mend}")
        return None
    missing = sorted(needed - set(table.column_names))
    if missing:
        wrong.append(f"{path}: has no column {', '.join(missing)}; {mend}")
        return None
    return table


def _pairs(table: Any) -> Pairs:
    """R × P arrays of rows in any order; raises ValueError where they are not every region with every site, once."""
    (regions, row), (sites, column) = (_names(table.column(name)) for name in ("region", "site"))
    shape = len(regions), len(sites)
    at = row * max(shape[1], 1) + column
    seen = np.zeros(shape[0] * shape[1], np.bool_)
    seen[at] = True
    if len(at) != len(seen) or not seen.all():
        raise ValueError(f"{len(at):,} rows are not {shape[0]:,} regions × {shape[1]:,} sites, each pair once")
    arrays: dict[str, Any] = {}
    for field in fields(Pairs)[2:]:
        values = np.empty(shape, _dtype(field.name))
        values.reshape(-1)[at] = _values(table, field.name)
        arrays[field.name] = values
    return Pairs(regions=tuple(regions), sites=tuple(sites), **arrays)


def _names(column: Any) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    """The names, sorted, and the position of each row's among them."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    names, code = np.array(encoded.dictionary.to_pylist(), object), np.asarray(encoded.indices, np.int64)
    used = np.flatnonzero(np.bincount(code, minlength=len(names)))  # a dictionary may have names that no row has
    order = used[np.argsort(names[used], kind="stable")]
    place = np.zeros(len(names), np.int64)
    place[order] = np.arange(len(order))
    return names[order].tolist(), place[code]


def _dtype(name: str) -> type[np.generic]:
    return np.int8 if _kind(name) is not None else np.int64 if name == "samples" else np.float64


def _kind(name: str) -> type[IntEnum] | None:
    return State if name.endswith("_state") else Provenance if name.endswith("_provenance") else None


def _values(table: Any, name: str) -> Any:
    """A column as numbers; NaN, 0 or NONE throughout where an older version did not write it."""
    kind = _kind(name)
    if name not in table.column_names:
        return 0 if kind is not None or name == "samples" else np.nan
    column = table.column(name).combine_chunks()
    if kind is None:
        values = column.to_numpy(zero_copy_only=False)
        return np.nan_to_num(values).astype(np.int64) if name == "samples" else values.astype(np.float64)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = [int(kind[word.upper()]) for word in encoded.dictionary.to_pylist()]  # KeyError names the strange word
    return np.array(codes, np.int8)[np.asarray(encoded.indices)]


def _places(table: pd.DataFrame) -> Places:
    regions, sites = table[table["kind"] == REGION], table[table["kind"] == SITE]
    return Places(
        regions.rename(columns={"name": "region"})[["region", "country", "users", "requests_per_s"]],
        sites.rename(columns={"name": "site"})[["site", "country"]],
    )
