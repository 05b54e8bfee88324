"""The reference edge instances as they stand in memory, without their matrix, so that 52 million pairs fit.

The generator beside the checkout makes them (`../shared/instances/edge_generator.py`, as `edge_arrays.py --keep 0`
calls it: every admissible pair). Letters: P sites, M models, I classes, B (site, model) blocks, N pairs.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.tools.process import ROOT

Float = NDArray[np.float64]
Int = NDArray[np.int64]

GENERATOR = ROOT.parent / "shared" / "instances" / "edge_generator.py"
SERVER_GPUS = np.array([2, 4, 8])
SERVER_KW = np.array([1.6, 3.0, 5.8])
SERVER_RACK_UNITS = np.array([2.0, 4.0, 6.0])


class GeneratorMissingError(FileNotFoundError):
    """The generator of the reference instances is not beside this checkout."""

    def __init__(self) -> None:
        super().__init__("../shared/instances/edge_generator.py is not beside this checkout")


@dataclass(frozen=True)
class EdgeArrays:
    """One instance, by the names of the generator's file. Costs are USD a day. Pairs are sorted by (class, site)."""

    open_cost: Float  # P
    server_cost: Float  # P × 3
    replica_cost: Float  # M
    gpu_slots: Int  # P
    power_kw: Float  # P
    rack_units: Float  # P
    uplink: Float  # P: Gbit/s
    uplink_per_replica: Float  # M: Gbit/s
    gpus_per_replica: Float  # M: ¼ to 4
    unserved_cost: Float  # I
    inventory: Float  # 3
    demand: Float  # I: replicas
    class_model: Int  # I
    replica_site: Int  # B, sorted by (site, model)
    replica_model: Int  # B
    pair_class: NDArray[np.int32]  # N
    pair_site: NDArray[np.int32]  # N
    pair_cost: Float  # N: the whole class served here

    @property
    def sites(self) -> int:
        return len(self.open_cost)

    @property
    def models(self) -> int:
        return len(self.replica_cost)

    @property
    def classes(self) -> int:
        return len(self.demand)

    @property
    def blocks(self) -> int:
        return len(self.replica_site)

    @property
    def pairs(self) -> int:
        return len(self.pair_class)

    @property
    def pair_block(self) -> Int:
        """The block of every pair, N."""
        block_of = np.full(self.sites * self.models, -1)
        block_of[self.replica_site * self.models + self.replica_model] = np.arange(self.blocks)
        found = block_of[self.pair_site.astype(np.int64) * self.models + self.class_model[self.pair_class]]
        return np.asarray(found, np.int64)

    @property
    def pair_first(self) -> Int:
        """Where the pairs of every class begin, I + 1."""
        return np.asarray(np.searchsorted(self.pair_class, np.arange(self.classes + 1)), np.int64)

    @property
    def unservable_usd(self) -> float:
        """C0: the penalties of the classes without a pair."""
        return float(self.unserved_cost[np.diff(self.pair_first) == 0].sum())

    def save(self, path: Path) -> None:
        save_named(path, self.by_name())

    def by_name(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def save_named(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name, not compressed."""
    named: dict[str, Any] = dict(arrays)
    np.savez(path, **named)


def load_arrays(path: Path) -> EdgeArrays:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return EdgeArrays(**{field.name: file[field.name] for field in fields(EdgeArrays)})


def make(scale: str, seed: int) -> EdgeArrays:
    """The instance of a scale (S to XXL, or "sites,regions,models") and a seed, with every admissible pair.

    Raises GeneratorMissingError.
    """
    drawn = _drawn(scale, seed)
    order = np.lexsort((drawn.J, drawn.I)).astype(np.int32)
    return EdgeArrays(
        open_cost=drawn.openc,
        server_cost=drawn.nc,
        replica_cost=drawn.yc,
        gpu_slots=drawn.cls,
        power_kw=drawn.kw,
        rack_units=drawn.ru,
        uplink=drawn.BW,
        uplink_per_replica=drawn.bw,
        gpus_per_replica=drawn.g,
        unserved_cost=drawn.upen,
        inventory=drawn.inv,
        demand=drawn.dem,
        class_model=drawn.mm,
        replica_site=drawn.yp,
        replica_model=drawn.ym,
        pair_class=drawn.I[order].astype(np.int32),
        pair_site=drawn.J[order].astype(np.int32),
        pair_cost=drawn.xc[order],
    )


@dataclass(frozen=True)
class Matrix:
    """The whole model as the generator writes it: min cost @ z, row_lower ≤ A z ≤ row_upper, 0 ≤ z ≤ upper.

    z = open (P), servers (3 P), replicas (B), shares (N, in the order of `EdgeArrays`), unserved (I).
    """

    cost: Float
    upper: Float
    integer: NDArray[np.bool_]
    rows: sp.csr_matrix
    row_lower: Float
    row_upper: Float


def make_matrix(scale: str, seed: int) -> Matrix:
    """The generator's own matrix of an instance, its pairs sorted as in `make`.

    Raises GeneratorMissingError.
    """
    drawn = _drawn(scale, seed)
    cost, _, upper, integer, rows, row_lower, row_upper, at = _generator().build(drawn)
    order = np.arange(len(cost))
    order[at["x"] : at["u"]] = at["x"] + np.lexsort((drawn.J, drawn.I))
    sorted_rows = rows[:, order].tocsr()
    sorted_rows.sort_indices()
    return Matrix(cost[order], upper[order], integer[order].astype(np.bool_), sorted_rows, row_lower, row_upper)


def _drawn(scale: str, seed: int) -> Any:
    size = tuple(int(part) for part in scale.split(",")) if "," in scale else scale
    return _generator().gen(size, seed=seed, K=0, cov="mix")


def _generator() -> ModuleType:
    """The generator's module, imported from where it lies."""
    if not GENERATOR.is_file():
        raise GeneratorMissingError
    name = "reference_edge_generator"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, GENERATOR)
        if spec is None or spec.loader is None:
            raise GeneratorMissingError
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
