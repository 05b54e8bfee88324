"""Plans drawn by hand are told to the cent that paper says."""

from pathlib import Path

import sketch
import tiny

from placement.plan.build import build_plan
from placement.problem.names import Offer

BETA = ("beta", "m8-one", "", "")
TINY = sketch.Sketch(
    servers={Offer("beta", "s2", "buy"): 1},
    replicas={BETA: 2},
    routes={("paris", "", BETA): 1.0, ("berlin", "", BETA): 1.0},
)


def test_the_tiny_plan_costs_what_paper_says(tmp_path: Path) -> None:
    document = build_plan(sketch.solved(tmp_path, [TINY]), {}).document
    assert document.cost.model_dump() == tiny.COST | {"jobs": 0.0, "moves": 0.0, "carbon": 0.0, "total": tiny.TOTAL}
    assert document.objective_usd_month == tiny.TOTAL
    assert document.served_share == 1.0
    assert [(s.site, s.server, s.count, s.new, s.rented) for s in document.servers] == [("beta", "s2", 1, 1, 0)]
    assert [(r.site, r.shape, r.count, r.slice) for r in document.replicas] == [("beta", "m8-one", 2, None)]
    # berlin asks 6 of 10 mean requests and plans 8 + 50 ms, paris 4 of 10 and 30 + 50 ms
    assert (document.latency.p50_ms, document.latency.p95_ms, document.latency.p99_ms) == (58.0, 80.0, 80.0)
    assert document.periods == () and document.reliability is None and document.carbon is None
