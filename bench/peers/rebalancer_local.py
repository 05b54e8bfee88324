"""Meta's rebalancer on a reference instance: classes are its objects, sites its containers, local search its solver.

PYTHON bench/peers/rebalancer_local.py INSTANCE.npz OUT.npz TIME_LIMIT_S   (wants rebalancer, Python ≥ 3.12, and numpy)

It assigns each class whole and knows no lumps, so servers are priced by the GPU. What is written is the site of every
class, -1 where it stays unserved; replicas and servers are bought afterwards, as for the nearest site.
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from rebalancer import ProblemSolver  # type: ignore[import-not-found,unused-ignore]

NOWHERE = "nowhere"


def main(instance: str, out: str, time_limit_s: float) -> None:
    """Assign, write the site of every class, and say on one line of JSON how it went."""
    began = time.perf_counter()
    with np.load(instance) as file:
        arrays = {name: file[name] for name in file.files}
    solver = build(arrays)
    left = max(int(time_limit_s - (time.perf_counter() - began)), 1)
    moves: list[dict[str, Any]] = [{"singleMoveTypeSpec": {}}, {"swapMoveTypeSpec": {}}]
    solver.add_solver({"localSearchSolverSpec": {"solveTime": left, "moveTypeList": moves}})
    assignment = solver.solve()["assignment"]
    served = set(zip(arrays["pair_class"].tolist(), arrays["pair_site"].tolist(), strict=True))
    site = np.array([_site(assignment[f"c{i}"]) for i in range(len(arrays["demand"]))])
    site[[(i, p) not in served for i, p in enumerate(site.tolist())]] = -1
    np.savez(out, site=site)
    said = {"status": "assigned", "bound_usd": None, "seconds": time.perf_counter() - began}
    print(json.dumps({**said, "message": version("rebalancer")}))


def _site(container: str) -> int:
    return -1 if container == NOWHERE else int(container[1:])


def build(arrays: dict[str, Any]) -> Any:
    """Capacity by GPUs and Gbit/s; what an assignment saves against leaving the class unserved; open sites."""
    model = arrays["class_model"]
    gpus = arrays["demand"] * arrays["gpus_per_replica"][model]
    gbps = arrays["demand"] * arrays["uplink_per_replica"][model]
    sites = len(arrays["open_cost"])
    by_gpu = arrays["server_cost"][:, 2] / 8  # USD a day for a GPU of the largest server
    pair_class, pair_site = arrays["pair_class"], arrays["pair_site"]
    replica = arrays["demand"] * arrays["replica_cost"][model]
    saved = arrays["unserved_cost"][pair_class] - arrays["pair_cost"] - replica[pair_class]
    saved -= gpus[pair_class] * by_gpu[pair_site]
    solver: Any = ProblemSolver(service_name="rebalancer", service_scope="bench")
    solver.set_object_name("class").set_container_name("site").set_log_level("ERROR").disable_solution_summary()
    classes = [f"c{i}" for i in range(len(gpus))]
    solver.set_assignment({NOWHERE: classes, **{f"p{k}": [] for k in range(sites)}})
    for name, use, room in (("gpus", gpus, arrays["gpu_slots"]), ("gbps", gbps, arrays["uplink"])):
        solver.add_object_dimension(name, dict(zip(classes, use.tolist(), strict=True)))
        limits = {f"p{k}": float(value) for k, value in enumerate(room.tolist())}
        solver.add_container_dimension(name, {**limits, NOWHERE: float(2 * use.sum() + 1)})
        solver.add_constraint({"capacitySpec": {"name": name, "scope": "site", "dimension": name}})
    affinities = [
        {"objectName": f"c{i}", "scopeItemName": f"p{p}", "affinity": usd}
        for i, p, usd in zip(pair_class.tolist(), pair_site.tolist(), saved.tolist(), strict=True)
        if usd > 0
    ]
    solver.add_goal({"assignmentAffinitiesSpec": {"name": "saved", "scope": "site", "affinities": affinities}})
    costs = {f"p{k}": usd for k, usd in enumerate(arrays["open_cost"].tolist())} | {NOWHERE: 1.0}
    opened = {"name": "open", "scope": "site", "dimension": "gpus", "containerCosts": costs}
    solver.add_goal({"minimizeContainersSpec": opened})
    return solver


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
