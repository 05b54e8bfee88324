"""Yesterday's plan begins today's: everything that both have by name comes along, and nothing else."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from click.testing import CliRunner

from bench.replan import change, moves
from placement.cli import main
from placement.planning import Planned, plan_scenario
from placement.problem import Built, build_rollout
from placement.replan import Start, StartError, read_start
from placement.scenario import load
from placement.solving import Request
from placement.topology import build_pairs
from placement.worlds import edge
from solvers.bound import evaluate
from solvers.bound.ascent import cold_start
from solvers.check import violations
from solvers.relax import base_problem
from solvers.solution import cost_usd


def built(folder: Path) -> Built:
    scenario = load(folder)
    return build_rollout(scenario, build_pairs(scenario).pairs)


def started(folder: Path, plan: Path) -> tuple[Built, Start]:
    today = built(folder)
    return today, read_start(plan, load(folder), today)


def without(folder: Path, to: Path, table: str, column: str, value: str) -> Path:
    """A copy of the scenario whose table has no row with this value; demand and measurements of it go, too."""
    to.mkdir()
    for path in folder.rglob("*"):
        if path.is_file():
            (to / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (to / path.relative_to(folder)).write_bytes(path.read_bytes())
    for name in (table, *(("demand.csv",) if column == "region" else ()), "measurements/pairs.csv"):
        with (to / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        kept = [row for row in rows if value not in row.values()]
        with (to / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(kept)
    return to


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Planned]:
    """A scenario, its plan by the search, and what the run said."""
    folder = tmp_path_factory.mktemp("wide")
    edge.generate(folder / "scenario", sites=24, regions=20, models=2, seed=3)
    request = Request("scale", gap=0.0, work=16, sweeps=240, branchings=0)
    planned = plan_scenario(load(folder / "scenario"), folder / "plan", request)
    return folder / "scenario", folder / "plan", planned


def test_the_same_scenario_gets_its_plan_and_its_proof_back(wide: tuple[Path, Path, Planned]) -> None:
    scenario, plan, planned = wide
    today, start = started(scenario, plan)
    problem, placement, prices = today.rollout.periods[0], start.placements[0], start.prices[0]
    assert placement is not None and prices is not None
    assert violations(problem, placement) == []
    assert cost_usd(problem, placement) == pytest.approx(planned.document.objective_usd_month, rel=1e-6)
    bound = evaluate(base_problem(problem, counted=True), prices.multipliers, prices.cuts)
    assert bound == pytest.approx(planned.document.bound_claimed_usd_month, rel=1e-6)


def test_nothing_changed_means_nothing_moves(wide: tuple[Path, Path, Planned], tmp_path: Path) -> None:
    scenario, plan, planned = wide
    assert planned.document.gap is not None
    request = Request("scale", gap=planned.document.gap + 1e-6, start=plan, branchings=0)
    again = plan_scenario(load(scenario), tmp_path / "again", request)
    assert again.document.model_copy(update={"provenance": planned.document.provenance}) == planned.document
    for name in ("routes.parquet", "certificate.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (plan / name).read_bytes(), name
    assert again.document.provenance.work == 0
    assert again.document.provenance.parameters["sweeps"] == 1
    assert "start_sha256" in again.document.provenance.parameters


def test_a_day_later_little_moves_and_what_is_asked_is_proved(wide: tuple[Path, Path, Planned], tmp_path: Path) -> None:
    """1 % of demand, ten round-trip times and the power of a site; the plan is audited before it is written."""
    scenario, plan, planned = wide
    now = tmp_path / "now"
    shutil.copytree(scenario, now)
    change(now, planned.document, seed=1)
    assert planned.document.gap is not None
    gap = planned.document.gap + 0.02
    again = plan_scenario(load(now), tmp_path / "again", Request("scale", gap=gap, start=plan, branchings=0))
    assert again.document.gap is not None and again.document.gap <= gap
    assert moves(planned.document, again.document) <= 0.2 * sum(row.count for row in planned.document.replicas)


@pytest.mark.parametrize("requests_per_s", [12, 30, 60, 80])
def test_a_day_on_which_all_has_changed_costs_no_more_than_from_nothing(tmp_path: Path, requests_per_s: int) -> None:
    scale = Request(method="scale", work=4, gap=0.05)
    plan_scenario(load(tiny.write(tmp_path / "before")), tmp_path / "yesterday", scale)
    changed = tiny.edited("demand.csv", "paris,m8,chat,8,4", f"paris,m8,chat,{requests_per_s},4")
    scenario = load(tiny.write(tmp_path / "after", changed))
    cold = plan_scenario(scenario, tmp_path / "cold", scale)
    warm = plan_scenario(scenario, tmp_path / "warm", replace(scale, start=tmp_path / "yesterday"))
    assert warm.document.objective_usd_month <= cold.document.objective_usd_month
    assert warm.report.gap_verified is not None and warm.report.gap_verified <= 0.05


def test_prices_grow_with_their_rows(wide: tuple[Path, Path, Planned], tmp_path: Path) -> None:
    """A row that asks for half is worth half, and what cuts pay for it follows its weight: better than prices kept."""
    scenario, plan, _ = wide
    before, now = started(scenario, plan)[1].prices[0], tmp_path / "now"
    shutil.copytree(scenario, now)
    with (now / "demand.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::4]:
        for column in ("requests_per_s", "mean_requests_per_s"):
            if row.get(column):
                row[column] = repr(0.5 * float(row[column]))
    with (now / "demand.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    today, start = started(now, plan)
    after = start.prices[0]
    assert before is not None and after is not None
    halved = {(row["region"], row["model"], row["service"]) for row in rows[::4]}
    names = [(row.region, row.model, row.service) for row in today.names[0].demands]
    times = np.array([0.5 if name in halved else 1.0 for name in names])
    alone = np.setdiff1d(np.arange(len(names)), before.cuts.row)
    old, new = before.multipliers.demand_usd, after.multipliers.demand_usd
    assert new[alone] == pytest.approx((times * old)[alone])
    problem = today.rollout.periods[0]
    kept = replace(before.multipliers, demand_usd=np.minimum(old, problem.unserved_usd))
    assert evaluate(problem, after.multipliers, after.cuts) > 1.01 * evaluate(problem, kept, before.cuts)


def test_a_site_that_is_gone_takes_its_servers_and_shares_along(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "then")
    plan_scenario(load(scenario), tmp_path / "plan", Request("scale", work=2))
    today, start = started(without(scenario, tmp_path / "now", "sites.csv", "site", "beta"), tmp_path / "plan")
    placement, prices = start.placements[0], start.prices[0]
    assert today.names[0].sites == ("alpha",)
    assert placement is not None and prices is not None
    assert placement.servers.sum() == placement.replicas.sum() == 0
    assert placement.unserved.tolist() == [1.0, 1.0]
    assert prices.multipliers.uplink_usd.shape == (1, 1)


def test_a_region_that_is_new_begins_unserved_at_a_cold_price(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "now")
    then = without(scenario, tmp_path / "then", "regions.csv", "region", "berlin")
    plan_scenario(load(then), tmp_path / "plan", Request("scale", work=2))
    today, start = started(scenario, tmp_path / "plan")
    problem, placement, prices = today.rollout.periods[0], start.placements[0], start.prices[0]
    assert placement is not None and prices is not None
    assert [row.region for row in today.names[0].demands] == ["berlin", "paris"]
    assert placement.unserved.tolist() == [1.0, 0.0]
    assert prices.multipliers.demand_usd[0] == cold_start(problem).demand_usd[0]
    assert prices.multipliers.demand_usd[1] != cold_start(problem).demand_usd[1]


def test_what_was_bought_may_stand_in_the_fleet_today(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "then")
    plan_scenario(load(scenario), tmp_path / "plan", Request("scale", work=2))
    now = tiny.write(tmp_path / "now", {"fleet.csv": "site,server,count\nbeta,s2,1\n"})
    today, start = started(now, tmp_path / "plan")
    assert start.placements[0] is not None
    held = {
        (offer.site, offer.way): int(count)
        for offer, count in zip(today.names[0].offers, start.placements[0].servers, strict=True)
        if count
    }
    assert held == {("beta", "fleet"): 1}


def test_periods_that_the_plan_does_not_have_begin_cold(tmp_path: Path) -> None:
    plan_scenario(load(tiny.write(tmp_path / "then")), tmp_path / "plan", Request("scale", work=2))
    periods = tiny.FILES["demand.csv"].replace("mean_requests_per_s\n", "mean_requests_per_s,period\n")
    rows = periods.strip().split("\n")
    lines = [rows[0], *(f"{row},{period}" for row in rows[1:] for period in ("h1", "h2"))]
    today, start = started(tiny.write(tmp_path / "now", {"demand.csv": "\n".join(lines)}), tmp_path / "plan")
    assert start.placements == start.prices == (None, None)
    assert start.whole_plans is None
    assert len(today.rollout.periods) == 2


def test_a_folder_without_a_plan_is_bad_data(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "scenario")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartError, match="the folder has no"):
        started(scenario, tmp_path / "empty")
    arguments = ["plan", str(scenario), "-o", str(tmp_path / "out"), "--start", str(tmp_path / "empty")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 4
    assert "plan to begin with" in result.stderr
    assert not (tmp_path / "out").exists()


def test_cuts_lose_what_is_gone_and_stay_sound(wide: tuple[Path, Path, Planned], tmp_path: Path) -> None:
    """Prices of another problem prove a bound of this one, whatever was dropped: below its plans."""
    scenario, plan, _ = wide
    with (scenario / "demand.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    fewer = tmp_path / "fewer"
    for path in scenario.rglob("*"):
        if path.is_file():
            (fewer / path.relative_to(scenario)).parent.mkdir(parents=True, exist_ok=True)
            (fewer / path.relative_to(scenario)).write_bytes(path.read_bytes())
    with (fewer / "demand.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[3:])
    today, start = started(fewer, plan)
    prices, problem = start.prices[0], today.rollout.periods[0]
    assert prices is not None
    assert prices.cuts.row.max(initial=-1) < problem.demands
    assert len(prices.multipliers.cut_usd) == prices.cuts.count
    assert (np.diff(prices.cuts.row_first) > 0).all()
    bound = evaluate(base_problem(problem), prices.multipliers, prices.cuts)
    found = plan_scenario(load(fewer), tmp_path / "out", Request("scale", work=4, sweeps=60, start=plan, branchings=0))
    assert bound <= found.document.objective_usd_month
    assert bound >= 0.5 * found.document.objective_usd_month


def test_prices_of_jobs_come_along_by_name(wide: tuple[Path, Path, Planned], tmp_path: Path) -> None:
    """A job that is new today leaves all of them without a price: a cold start knows some."""
    now = tmp_path / "now"
    shutil.copytree(wide[0], now)
    gpu, model = load(now).table("servers")["gpu"].iloc[0], load(now).table("demand")["model"].iloc[0]
    head = "job,kind,model,gpu,gpus,hours,preemptible"
    rows = [f"{name},finetune,{model},{gpu},{gpus},9,no" for name, gpus in (("tune", 1), ("train", 2))]
    (now / "jobs.csv").write_text("\n".join([head, *rows]) + "\n")
    planned = plan_scenario(load(now), tmp_path / "plan", Request("scale", work=2, sweeps=120, branchings=0))
    verified, claimed = planned.document.bound_verified_usd_month, planned.document.bound_claimed_usd_month
    assert verified == pytest.approx(claimed, rel=1e-5)
    today, start = started(now, tmp_path / "plan")
    prices = start.prices[0]
    assert prices is not None and (prices.multipliers.job_usd > 0).all()
    base = base_problem(today.rollout.periods[0], counted=True)
    assert evaluate(base, prices.multipliers, prices.cuts) == pytest.approx(claimed, rel=1e-6)
    (now / "jobs.csv").write_text("\n".join([head, *rows[:1]]) + "\n")
    today, start = started(now, tmp_path / "plan")
    assert start.prices[0] is not None and len(start.prices[0].multipliers.job_usd) == 1
    (now / "jobs.csv").write_text("\n".join([head, *rows, rows[0].replace("tune,", "late,", 1)]) + "\n")
    today, start = started(now, tmp_path / "plan")
    assert start.prices[0] is not None and len(start.prices[0].multipliers.job_usd) == 0
