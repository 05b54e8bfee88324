"""Capacity shared around the clock, and batches chosen together with routes: both against what ignoring them costs."""

from pathlib import Path

import pytest
import tiny

from placement.plan.document import PlanDocument
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Method, Request

HEAD = "region,model,service,slice,requests_per_s\n"
SUN = HEAD + "paris,m8,chat,day,17\nparis,m8,chat,night,2\nberlin,m8,chat,day,2\nberlin,m8,chat,night,17\n"
PEAKS = "region,model,service,requests_per_s\nparis,m8,chat,17\nberlin,m8,chat,17\n"
SLICES = "slice,start_utc,hours_per_day\nday,06:00,12\nnight,18:00,12\n"

# paris is near either site, berlin 100 ms away from both: 100 + 120 ms are beyond the budget of 200
DISTANCES = """
observed_at,source,target,method,sent,received,rtt_ms
2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,10;10;10
2025-12-31T00:00:00Z,paris,beta,icmp,3,3,10;10;10
2025-12-31T00:00:00Z,berlin,alpha,icmp,3,3,100;100;100
2025-12-31T00:00:00Z,berlin,beta,icmp,3,3,100;100;100
"""
BATCHES = """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
m8-small,m8,g96,1,fp8,chat,small,4,20,40,16,by hand
m8-large,m8,g96,1,fp8,chat,large,10,120,40,16,by hand
"""
NEAR_AND_FAR = "region,model,service,requests_per_s\nparis,m8,chat,36\nberlin,m8,chat,3\n"


def planned(folder: Path, files: dict[str, str | None], method: Method) -> PlanDocument:
    scenario = load(tiny.write(folder / "scenario", files))
    return plan_scenario(scenario, folder / "plan", Request(method, work=6)).document


def gpus(document: PlanDocument) -> int:
    return sum(2 * row.count for row in document.servers)


@pytest.mark.parametrize("method", ["exact", "scale"])
def test_capacity_that_follows_the_sun_is_less_than_the_sum_of_local_peaks(method: Method, tmp_path: Path) -> None:
    """17 + 2 requests/s in either half of the day fill 1.9 GPUs; two peaks of 17 fill 3.4."""
    around_the_clock = planned(tmp_path / "sun", {"demand.csv": SUN, "slices.csv": SLICES}, method)
    at_peaks = planned(tmp_path / "peaks", {"demand.csv": PEAKS}, method)
    assert around_the_clock.served_share == at_peaks.served_share == 1.0
    assert (gpus(around_the_clock), gpus(at_peaks)) == (2, 4)


@pytest.mark.parametrize("method", ["exact", "scale"])
def test_a_far_region_forces_a_small_batch_and_a_near_one_runs_a_large_one(method: Method, tmp_path: Path) -> None:
    """A site runs one batch of a model: paris' 3.6 replicas in large batches on one, berlin's 0.75 in small ones apart.

    Three servers at 231.90, both sites open, 4.35 busy GPUs at 43.80, egress 39 x 1.314.
    """
    files: dict[str, str | None] = {
        "measurements/pairs.csv": DISTANCES, "shapes.csv": BATCHES, "demand.csv": NEAR_AND_FAR
    }  # fmt: skip
    joint = planned(tmp_path / "joint", files, method)
    assert joint.objective_usd_month == pytest.approx(3 * 231.90 + 90 + 4.35 * 43.80 + 39 * 1.314, abs=0.02)
    batch = {row.shape: (row.site, row.count) for row in joint.replicas}
    assert batch["m8-large"][1] == 4
    assert batch["m8-small"][1] == 1
    assert batch["m8-large"][0] != batch["m8-small"][0]


@pytest.mark.parametrize(
    ("batch", "worth"),
    [
        # 9.75 replicas on five servers at beta: 650 USD a month more
        ("small", 5 * 231.90 + 40 + 9.75 * 43.80 + 39 * 1.314),
        # berlin's 3 requests/s cannot be served at all
        ("large", 2 * 231.90 + 40 + 3.6 * 43.80 + 36 * 1.314 + 3 * 2628),
    ],
)
def test_one_batch_for_all_costs_what_ignoring_the_trade_costs(batch: str, worth: float, tmp_path: Path) -> None:
    files: dict[str, str | None] = {
        "measurements/pairs.csv": DISTANCES, "shapes.csv": BATCHES, "demand.csv": NEAR_AND_FAR,
        "scenario.toml": (tiny.FILES["scenario.toml"] or "") + f'[shapes]\noperating_points = ["{batch}"]\n',
    }  # fmt: skip
    assert planned(tmp_path, files, "exact").objective_usd_month == pytest.approx(worth, abs=0.02)
