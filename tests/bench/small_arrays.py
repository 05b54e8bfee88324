"""Small instances in the form of the reference arrays, their whole model built row by row, and its optimum."""

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, milp

from bench.arrays.instance import SERVER_GPUS, SERVER_KW, SERVER_RACK_UNITS, EdgeArrays, Matrix
from bench.arrays.planned import ArrayPlan, CutArrays, split_column

NO_CUTS = CutArrays(*(np.array(v) for v in ([], [0], [], [], [0], [])))  # type: ignore[arg-type]


def draw(seed: int, sites: int = 4, regions: int = 4, models: int = 3) -> EdgeArrays:
    """A random instance; some classes have no pair, power, rack units, uplink and stock may bind."""
    rng = np.random.default_rng(seed)
    classes = regions * models
    model = np.tile(np.arange(models), regions)
    gpus = rng.choice([0.25, 0.5, 1.0, 2.0, 4.0], models)
    demand = rng.uniform(0.1, 2.5, classes) / np.maximum(gpus[model], 0.5)
    allowed = rng.random((classes, sites)) < 0.6
    pair_class, pair_site = np.nonzero(allowed)
    place = np.unique(pair_site * models + model[pair_class])
    slots = rng.choice([4, 8, 16], sites)
    return EdgeArrays(
        open_cost=rng.uniform(3, 25, sites),
        server_cost=np.array([30.0, 54.0, 100.0]) * rng.uniform(0.8, 1.3, (sites, 1)),
        replica_cost=0.5 + gpus,
        gpu_slots=slots,
        power_kw=slots * 0.8 * rng.uniform(0.8, 1.1, sites),
        rack_units=slots + 2.0,
        uplink=slots * rng.uniform(0.3, 1.0, sites),
        uplink_per_replica=rng.uniform(0.3, 2.0, models),
        gpus_per_replica=gpus,
        unserved_cost=60 + 100 * demand,
        inventory=np.array([4.0, 3.0, 1.0]),
        demand=demand,
        class_model=model,
        replica_site=place // models,
        replica_model=place % models,
        pair_class=pair_class.astype(np.int32),
        pair_site=pair_site.astype(np.int32),
        pair_cost=demand[pair_class] * rng.uniform(1, 10, len(pair_class)),
    )


def model_of(arrays: EdgeArrays) -> Matrix:
    """All rows, one loop a family, as the generator documents them."""
    sites, blocks, pairs = arrays.sites, arrays.blocks, arrays.pairs
    server, replica = sites, 4 * sites
    share = replica + blocks
    left = share + pairs
    columns = left + arrays.classes
    gpus = arrays.gpus_per_replica[arrays.replica_model]
    most = np.floor(arrays.gpu_slots[arrays.replica_site] / gpus)
    rows: list[tuple[dict[int, float], float, float]] = []
    for i in range(arrays.classes):
        row = {share + int(n): 1.0 for n in np.flatnonzero(arrays.pair_class == i)}
        rows.append((row | {left + i: 1.0}, 1.0, 1.0))
    for b in range(blocks):
        mine = np.flatnonzero(arrays.pair_block == b)
        row = {share + int(n): float(arrays.demand[arrays.pair_class[n]]) for n in mine}
        rows.append((row | {replica + b: -1.0}, -np.inf, 0.0))
        rows.extend(({share + int(n): 1.0, replica + b: -1.0}, -np.inf, 0.0) for n in mine)
        rows.append(({replica + b: 1.0, int(arrays.replica_site[b]): -float(most[b])}, -np.inf, 0.0))
    for p in range(sites):
        row = {replica + int(b): float(gpus[b]) for b in np.flatnonzero(arrays.replica_site == p)}
        rows.append((row | {server + 3 * p + k: -float(SERVER_GPUS[k]) for k in range(3)}, -np.inf, 0.0))
        for use, limit in (
            (SERVER_KW, arrays.power_kw), (SERVER_RACK_UNITS, arrays.rack_units), (SERVER_GPUS, arrays.gpu_slots)
        ):  # fmt: skip
            row = {server + 3 * p + k: float(use[k]) for k in range(3)}
            rows.append((row | {p: -float(limit[p])}, -np.inf, 0.0))
        row = {}
        for n in np.flatnonzero(arrays.pair_site == p):
            i = arrays.pair_class[n]
            row[share + int(n)] = float(arrays.demand[i] * arrays.uplink_per_replica[arrays.class_model[i]])
        rows.append((row | {p: -float(arrays.uplink[p])}, -np.inf, 0.0))
    rows.extend(
        ({server + 3 * p + k: 1.0 for p in range(sites)}, -np.inf, float(arrays.inventory[k])) for k in range(3)
    )
    matrix = sp.dok_matrix((len(rows), columns))
    for number, (row, _, _) in enumerate(rows):
        for column, value in row.items():
            matrix[number, column] = value
    cost = np.concatenate(
        [arrays.open_cost, arrays.server_cost.ravel(), arrays.replica_cost[arrays.replica_model], arrays.pair_cost,
         arrays.unserved_cost]
    )  # fmt: skip
    upper = np.concatenate(
        [np.ones(sites), np.floor(arrays.gpu_slots[:, None] / SERVER_GPUS).ravel(), most,
         np.ones(pairs + arrays.classes)]
    )  # fmt: skip
    integer = np.arange(columns) < share
    lower_of, upper_of = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    return Matrix(cost, upper, integer, matrix.tocsr(), lower_of, upper_of)


_OPTIMA: dict[bytes, tuple[float, ArrayPlan]] = {}


def optimum(arrays: EdgeArrays) -> tuple[float, ArrayPlan]:
    """The least cost of any plan, by HiGHS, and a plan of that cost with whole numbers; each instance solved once."""
    name = b"".join(value.tobytes() for value in arrays.by_name().values())
    if name not in _OPTIMA:
        _OPTIMA[name] = _solved(arrays)
    return _OPTIMA[name]


def _solved(arrays: EdgeArrays) -> tuple[float, ArrayPlan]:
    model = model_of(arrays)
    usd, column = least(model, model.cost)
    return usd, split_column(
        np.where(model.integer, np.rint(column), column), arrays.sites, arrays.blocks, arrays.pairs
    )


def least(model: Matrix, cost: np.ndarray, rows: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """The least of `cost` over the plans that keep `rows` of the model (all of them by default)."""
    kept = slice(None) if rows is None else rows
    found = milp(
        cost,
        constraints=LinearConstraint(model.rows[kept], model.row_lower[kept], model.row_upper[kept]),
        bounds=Bounds(0, model.upper),
        integrality=model.integer.astype(int),
        options={"mip_rel_gap": 0.0},
    )
    assert found.status == 0, found.message
    return float(found.fun), found.x
