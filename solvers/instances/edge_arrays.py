"""The reference edge instances (`../shared/instances/edge_arrays.py`, `.npz`) as placement problems.

What differs from the arrays' own matrix, all of it on purpose:

- Costs stay in USD a DAY, so every `_usd` of the problem and its solutions is a day's.
- Equation 6 asks for servers as large as a replica; the arrays do not. They differ only with replicas of more GPUs
  than the smallest server has (two), that is on scales with four-GPU replicas. Plans of the problem are plans of the
  arrays, and bounds leave these rows out.
- Bandwidth is Gbit/s in the arrays and Mbit/s here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.problem import Int, Problem

Arrays = Mapping[str, NDArray[Any]]

_WANTED = (
    "open_cost", "server_cost", "replica_cost", "gpu_slots", "power_kw", "rack_units", "uplink", "uplink_per_replica",
    "unserved_cost", "inventory", "demand", "class_model", "gpus_per_replica", "pair_class", "pair_site", "pair_cost",
    "replica_site", "replica_model",
)  # fmt: skip
"""The matrix, which is most of the file at full scale, is left unread."""
_SERVER_GPUS = np.array([2, 4, 8])
_SERVER_KW = np.array([1.6, 3.0, 5.8])
_SERVER_RACK_UNITS = np.array([2.0, 4.0, 6.0])


def read_edge_arrays(path: Path) -> Problem:
    """Read one `.npz` of the reference generator.

    Raises KeyError when an array is missing.
    """
    with np.load(path) as file:
        return edge_problem({name: file[name] for name in _WANTED})


def edge_problem(arrays: Arrays) -> Problem:
    """The problem of one reference instance; `arrays` by the names of the generator's file."""
    sites = len(arrays["open_cost"])
    demand, quarters = arrays["demand"], np.rint(4 * arrays["gpus_per_replica"]).astype(np.int64)
    models = len(quarters)
    pair_class, pair_block, pair_usd = _sorted_pairs(arrays)
    server_use = np.column_stack([_SERVER_KW, _SERVER_RACK_UNITS, _SERVER_GPUS])
    slots = arrays["gpu_slots"].astype(np.float64)
    # Server kind k of site p is offer 3p + k; its stock row counts it at every site.
    kind = np.tile(np.arange(3), sites)
    stock = sp.csr_matrix((np.ones(3 * sites), (kind, np.arange(3 * sites))), shape=(3, 3 * sites))
    mbps = 1000.0 * demand * arrays["uplink_per_replica"][arrays["class_model"]]
    return Problem(
        open_usd=arrays["open_cost"].astype(np.float64),
        uplink_mbps=1000.0 * arrays["uplink"],
        downlink_mbps=np.full(sites, np.inf),
        site_limit=np.column_stack([arrays["power_kw"], arrays["rack_units"], slots]),
        server_gpu=np.zeros(3, np.int64),
        server_gpus=_SERVER_GPUS.astype(np.int64),
        server_use=server_use,
        offer_site=np.repeat(np.arange(sites), 3),
        offer_server=kind,
        offer_max=(slots[:, None] // _SERVER_GPUS).astype(np.int64).reshape(-1),
        offer_usd=arrays["server_cost"].reshape(-1).astype(np.float64),
        shape_gpu=np.zeros(models, np.int64),
        shape_quarters=quarters,
        shape_model=np.arange(models),
        block_site=arrays["replica_site"].astype(np.int64),
        block_shape=arrays["replica_model"].astype(np.int64),
        block_max=(4 * slots[arrays["replica_site"]] // quarters[arrays["replica_model"]]).astype(np.int64),
        block_choice=np.full(len(arrays["replica_site"]), -1),
        demand_model=arrays["class_model"].astype(np.int64),
        demand_slice=np.zeros(len(demand), np.int64),
        unserved_usd=arrays["unserved_cost"].astype(np.float64),
        out_mbps=mbps,
        in_mbps=np.zeros(len(demand)),
        pair_demand=pair_class,
        pair_block=pair_block,
        pair_load=demand[pair_class],
        pair_usd=pair_usd,
        limit_matrix=stock,
        limit_rhs=arrays["inventory"].astype(np.float64),
        capacity_factor=1.0,
        replica_usd=arrays["replica_cost"][arrays["replica_model"]].astype(np.float64),
    )


def _sorted_pairs(arrays: Arrays) -> tuple[Int, Int, NDArray[np.float64]]:
    """Class, (site, model) block and cost of every pair, sorted by class and block, N each."""
    pair_class, pair_block = arrays["pair_class"].astype(np.int64), _blocks_of_pairs(arrays)
    later = (pair_class[1:] > pair_class[:-1]) | (
        (pair_class[1:] == pair_class[:-1]) & (pair_block[1:] > pair_block[:-1])
    )
    if later.all():
        return pair_class, pair_block, arrays["pair_cost"].astype(np.float64)
    order = np.lexsort((pair_block, pair_class))
    return pair_class[order], pair_block[order], arrays["pair_cost"][order].astype(np.float64)


def _blocks_of_pairs(arrays: Arrays) -> Int:
    """The (site, model) block of every pair; the arrays keep blocks sorted that way."""
    models = len(arrays["gpus_per_replica"])
    block_of = np.full(len(arrays["open_cost"]) * models, -1)
    block_of[arrays["replica_site"] * models + arrays["replica_model"]] = np.arange(len(arrays["replica_site"]))
    place = arrays["pair_site"].astype(np.int64)
    place *= models
    place += arrays["class_model"][arrays["pair_class"]]
    return np.asarray(block_of[place], np.int64)
