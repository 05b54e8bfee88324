"""Published facility-location instances as placement problems: a check on solvers against others' optima.

A facility is a site with one possible server, which holds one replica; a customer is a demand row whose load on
facility j is demand / capacity_j. Opening costs are the sites' costs, so an objective is that of the publication.
Formats (see ../shared/data/facility/SOURCE.md):

    cap, capa–c, Holmberg   J I, J × (capacity, fixed cost), I demands, J × I costs of serving the WHOLE demand
    TBED1                   J I, I demands, J capacities, J fixed costs, J × I costs of ONE unit
    pmed                    n edges p, then edges i j length; the last length of a repeated edge counts
"""

import gzip
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import shortest_path

from solvers.problem import Float, Problem


def read_facility(path: Path, *, single_source: bool) -> Problem:
    """A capacitated instance in the format of cap, capa–c and Holmberg; `.gz` is unpacked.

    Raises ValueError when the file is shorter than its first line says.
    """
    numbers = _numbers(path)
    facilities, customers = int(numbers[0]), int(numbers[1])
    body = _body(path, numbers, 2 * facilities + customers + facilities * customers)
    pairs = body[: 2 * facilities].reshape(facilities, 2)
    demand = body[2 * facilities : 2 * facilities + customers]
    whole = body[2 * facilities + customers :].reshape(facilities, customers)
    return _capacitated(pairs[:, 0], pairs[:, 1], demand, whole, single_source)


def read_tbed1(path: Path, *, single_source: bool) -> Problem:
    """A capacitated instance in the format of TBED1, whose costs are those of one unit of demand."""
    numbers = _numbers(path)
    facilities, customers = int(numbers[0]), int(numbers[1])
    body = _body(path, numbers, 2 * facilities + customers + facilities * customers)
    demand, capacity, fixed = np.split(body[: customers + 2 * facilities], [customers, customers + facilities])
    unit = body[customers + 2 * facilities :].reshape(facilities, customers)
    return _capacitated(capacity, fixed, demand, unit * demand, single_source)


def read_pmedian(path: Path) -> Problem:
    """A p-median: serve every node of a graph from p of them, no capacities, at the sum of the shortest distances."""
    numbers = _numbers(path)
    nodes, edges, medians = (int(value) for value in numbers[:3])
    table = numbers[3 : 3 + 3 * edges].reshape(edges, 3)
    length = np.zeros((nodes, nodes))
    for source, target, value in table:
        length[int(source) - 1, int(target) - 1] = length[int(target) - 1, int(source) - 1] = value
    distance = shortest_path(sp.csr_matrix(length), directed=False)
    return _problem(
        open_usd=np.zeros(nodes),
        load=np.zeros((nodes, nodes)),
        usd=distance,
        limit_matrix=sp.csr_matrix(np.ones((1, nodes))),
        limit_rhs=np.array([float(medians)]),
        single_source=False,
    )


def published(path: Path, *, single_source: bool) -> float:
    """The published optimum of the instance at `path`.

    Single-source values stand in the file `os` beside it, those of p-medians in `pmedopt.txt`; multi-source ones of
    cap61–cap134 and of those proved by two solvers are kept here. TBED1's `os` is the multi-source optimum.
    Raises KeyError when none is known.
    """
    folder, stem = path.parent, path.name.partition(".")[0]
    if (folder / "pmedopt.txt").exists():
        lines = (folder / "pmedopt.txt").read_text().splitlines()[1:]
        return {name: float(value) for name, value in (line.split() for line in lines if line.strip())}[stem]
    if not single_source and folder.name in _MULTI_SOURCE:
        return _MULTI_SOURCE[folder.name][stem]
    values = [float(value) for value in (folder / "os").read_text().split()]
    return dict(enumerate(values, 1))[int(stem.removeprefix("p"))]


_CAP = {
    # cap61–64, cap71–74, cap91–94, cap101–104, cap121–124, cap131–134 of the OR-Library's capopt
    "p1": 932615.750, "p2": 977799.400, "p3": 1014062.050, "p4": 1045650.250,
    "p5": 932615.750, "p6": 977799.400, "p7": 1010641.450, "p8": 1034976.975,
    "p9": 796648.438, "p10": 855733.500, "p11": 896617.538, "p12": 946051.325,
    "p13": 796648.438, "p14": 854704.200, "p15": 893782.112, "p16": 928941.750,
    "p17": 793439.563, "p18": 852524.625, "p19": 895302.325, "p20": 946051.325,
    "p21": 793439.563, "p22": 851495.325, "p23": 893076.713, "p24": 928941.750,
}  # fmt: skip

_MULTI_SOURCE = {
    "orlib_cap": _CAP,
    "orlib_capabc": {"p1": 19240822.449, "p5": 13656379.578, "p9": 11646596.974},
}


def _numbers(path: Path) -> Float:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("ascii")
    # Some files end in control characters of the system they were written on.
    return np.array(text.replace("\x1a", " ").replace("\0", " ").split(), np.float64)


def _body(path: Path, numbers: Float, length: int) -> Float:
    if len(numbers) < 2 + length:
        raise ValueError(f"{path.name} holds {len(numbers)} numbers; its first line promises {2 + length}")
    return numbers[2 : 2 + length]


def _capacitated(capacity: Float, fixed: Float, demand: Float, whole_usd: Float, single_source: bool) -> Problem:
    none = sp.csr_matrix((0, len(capacity)))
    return _problem(fixed, demand[:, None] / capacity[None, :], whole_usd.T, none, np.empty(0), single_source)


def _problem(
    open_usd: Float, load: Float, usd: Float, limit_matrix: sp.csr_matrix, limit_rhs: Float, single_source: bool
) -> Problem:
    """Facilities J, customers I; `load` and `usd` are I × J."""
    customers, facilities = load.shape
    one = np.ones(facilities, np.int64)
    nothing = np.zeros(facilities, np.int64)
    each = np.arange(facilities)
    return Problem(
        open_usd=open_usd,
        uplink_mbps=np.full(facilities, np.inf),
        downlink_mbps=np.full(facilities, np.inf),
        site_limit=np.empty((facilities, 0)),
        server_gpu=np.zeros(1, np.int64),
        server_gpus=np.ones(1, np.int64),
        server_use=np.empty((1, 0)),
        offer_site=each,
        offer_server=nothing,
        offer_max=one,
        offer_usd=np.zeros(facilities),
        shape_gpu=np.zeros(1, np.int64),
        shape_quarters=np.full(1, 4),
        shape_model=np.zeros(1, np.int64),
        block_site=each,
        block_shape=nothing,
        block_max=one,
        block_choice=np.full(facilities, -1),
        demand_model=np.zeros(customers, np.int64),
        demand_slice=np.zeros(customers, np.int64),
        unserved_usd=np.full(customers, np.inf),
        out_mbps=np.zeros(customers),
        in_mbps=np.zeros(customers),
        pair_demand=np.repeat(np.arange(customers), facilities),
        pair_block=np.tile(each, customers),
        pair_load=load.reshape(-1),
        pair_usd=usd.reshape(-1),
        limit_matrix=limit_matrix,
        limit_rhs=limit_rhs,
        single_source=single_source,
        capacity_factor=1.0,
    )
