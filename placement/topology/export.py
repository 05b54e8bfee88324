"""The topology as files: GraphML of the graph, Parquet of the pairs; each appears whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placement.topology import graphml
from placement.topology.elements import EVERYTHING, Selection, edge_tables, node_table, word
from placement.topology.links import Paths
from placement.topology.pairs import Pairs, Provenance, State
from placement.topology.ways import via

if TYPE_CHECKING:
    from placement.topology.build import Topology


def write_graphml(topology: "Topology", path: Path, selection: Selection = EVERYTHING) -> None:
    """Writes what `graph.as_networkx(topology, selection)` has; raises OSError when the place cannot be written."""

    def write(temporary: str) -> None:
        with Path(temporary).open("wb") as file:
            graphml.write(node_table(topology), edge_tables(topology, selection), file)

    atomically(path, write)


def write_pairs(topology: "Topology", path: Path) -> None:
    """Writes one row per pair as `pairs_table` says; raises OSError when the place cannot be written."""
    table = pairs_table(topology.pairs, topology.paths)
    atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def pairs_table(pairs: Pairs, paths: Paths | None = None) -> pa.Table:
    """R · P rows in the order of region and site: region, site, the arrays of `Pairs` under their names, and where
    there are paths `via` (`ways.via`).

    Figures that are not known are null; states and provenances are words.
    """
    shape = pairs.rtt_state.shape
    region, site = (axis.ravel() for axis in np.indices(shape, dtype=np.int32))
    columns: dict[str, pa.Array] = {
        "region": pa.DictionaryArray.from_arrays(pa.array(region), pa.array(pairs.regions, pa.string())),
        "site": pa.DictionaryArray.from_arrays(pa.array(site), pa.array(pairs.sites, pa.string())),
    }
    for name in (field.name for field in fields(Pairs) if field.name not in ("regions", "sites")):
        kind = State if name.endswith("_state") else Provenance if name.endswith("_provenance") else None
        values = getattr(pairs, name)
        columns[name] = pa.array(values.ravel(), from_pandas=True) if kind is None else word(values.ravel(), kind)
    if paths is not None:
        columns["via"] = via(pairs, paths, region.astype(np.int64), site.astype(np.int64))
    return pa.table(columns)


def atomically(path: Path, write: Callable[[str], object]) -> None:
    """Writes into the same folder under another name, then renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(name)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
