"""What the plan makes of inferred round trips: their upper end, a percentile, or a price on being late.

Paris alone, 4 mean requests/s, 10.512 million a month, budget 200 ms, TTFT 50 ms: 150 ms are left for the round trip.
Beta is far and measured, 140 ms. Alpha is near and 40 USD cheaper a month (it opens for nothing), and inferred: 40 to
200 ms, as likely below 90 ms as above. So alpha keeps the budget with
0.5 + 0.45 · log(150/90)/log(200/90) = 0.5 + 0.45 · 0.5108256/0.7985077 = 0.7878764.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from placement.audit import AuditReport, audit
from placement.cli.plan_view import print_plan
from placement.plan.build import Solved, build_plan
from placement.plan.document import PlanDocument
from placement.plan.folder import write_files
from placement.problem import build_rollout
from placement.scenario import Scenario, load
from placement.solving import Method, Request, solve
from placement.topology import build_pairs
from placement.topology.pairs import Pairs, State

NEAR_MS = (40.0, 90.0, 200.0)
MET = 0.7878764
LATE = 10_512 * (1 - MET)  # thousand requests a month
SAVED_USD = 40.0
METHODS: tuple[Method, ...] = ("exact", "scale")


def changes(*lines: str) -> dict[str, str | None]:
    """The files of the scenario with lines under [uncertainty]."""
    return {
        "scenario.toml": "\n".join([tiny.FILES["scenario.toml"], "[uncertainty]", *lines]),
        "regions.csv": tiny.FILES["regions.csv"].replace("berlin,Berlin,DE,52.52,13.40,3000000\n", ""),
        "demand.csv": tiny.FILES["demand.csv"].replace("berlin,m8,chat,6,6\n", ""),
        "measurements/pairs.csv": "observed_at,source,target,method,sent,received,rtt_ms\n"
        "2025-12-31T00:00:00Z,paris,beta,icmp,3,3,140;140;140\n",
        **tiny.edited("sites.csv", "2.35,10,42,1000,0.05,50", "2.35,10,42,1000,0.05,0"),
    }


def world(folder: Path, *lines: str) -> Scenario:
    """The scenario with lines under [uncertainty]."""
    return load(tiny.write(folder / "scenario", changes(*lines)))


def inferred(pairs: Pairs, ends_ms: tuple[float, float, float] = NEAR_MS, site: int = 0) -> Pairs:
    """The pairs with the one to alpha, or another site, inferred."""
    figures = {"rtt_lower_ms": ends_ms[0], "rtt_mid_ms": ends_ms[1], "rtt_upper_ms": ends_ms[2]}
    arrays = {name: getattr(pairs, name).copy() for name in figures}
    state = pairs.rtt_state.copy()
    state[0, site] = State.INFERRED
    for name, value in figures.items():
        arrays[name][0, site] = value
    return replace(pairs, rtt_state=state, **arrays)


def planned(
    scenario: Scenario, pairs: Pairs, folder: Path, method: Method = "exact"
) -> tuple[PlanDocument, AuditReport]:
    """The plan over these pairs, written, and its audit."""
    built = build_rollout(scenario, pairs)
    found = solve(built, Request(method, gap=1e-6, work=4), None, 0, lambda *_: None)
    files = build_plan(Solved(scenario, pairs, built, found), {})
    folder.mkdir(parents=True)
    write_files(folder, files)
    return files.document, audit(folder, scenario, pairs)


def near_or_far(folder: Path, *lines: str, method: Method = "exact") -> str:
    """Where paris goes; the plan passes its audit and the bound proves it."""
    scenario = world(folder, *lines)
    document, report = planned(scenario, inferred(build_pairs(scenario).pairs), folder / "plan", method)
    assert report.passed, [str(v) for v in report.violations]
    assert report.bound_verified_usd_month is not None
    assert report.bound_verified_usd_month <= document.objective_usd_month + 0.01
    assert document.served_share == 1.0
    (site,) = {row.site for row in document.servers}
    return site


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("lines", "site"),
    [
        ((), "beta"),  # the upper end plans 250 ms
        (("percentile = 0.95",), "beta"),
        (("percentile = 0.8",), "beta"),  # 90 · (200/90)^(2/3) = 153.3 ms
        (("percentile = 0.78",), "alpha"),  # 90 · (200/90)^(28/45) = 147.9 ms
        (("percentile = 0.5",), "alpha"),
    ],
)
def test_a_percentile_opens_the_near_site_and_the_upper_end_does_not(
    lines: tuple[str, ...], site: str, method: Method, tmp_path: Path
) -> None:
    assert near_or_far(tmp_path, *lines, method=method) == site


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("factor", "site"), [(0.999, "alpha"), (1.001, "beta")])
def test_a_price_on_being_late_turns_the_plan_away_where_paper_says(
    factor: float, site: str, method: Method, tmp_path: Path
) -> None:
    price = factor * SAVED_USD / LATE
    assert near_or_far(tmp_path, "percentile = 0.5", f"late_usd_per_1000 = {price:.9f}", method=method) == site


def test_the_plan_says_how_likely_it_keeps_its_budgets_and_what_being_late_costs(tmp_path: Path) -> None:
    scenario = world(tmp_path, "percentile = 0.5", "late_usd_per_1000 = 0.01")
    document, _ = planned(scenario, inferred(build_pairs(scenario).pairs), tmp_path / "plan")
    said = document.budget_met
    assert (said.met_ppm, said.inferred_share) == (787_876, 1.0)
    assert [(c.region, c.model, c.service, c.served_share, c.met_ppm) for c in said.classes] == [
        ("paris", "m8", "chat", 1.0, 787_876)
    ]
    assert document.cost.late == pytest.approx(0.01 * LATE, abs=0.005)
    assert document.latency.p50_ms == 140.0  # 90 ms, the median, and 50


def test_measured_pairs_keep_what_they_promise(tmp_path: Path) -> None:
    scenario = world(tmp_path, "late_usd_per_1000 = 5")
    document, report = planned(scenario, inferred(build_pairs(scenario).pairs), tmp_path / "plan")
    assert report.passed
    assert document.cost.late == 0.0
    assert (document.budget_met.met_ppm, document.budget_met.inferred_share) == (10**6, 0.0)
    assert document.budget_met.classes == ()


def test_a_percentile_is_planned_in_whole_microseconds_rounded_up(tmp_path: Path) -> None:
    # 40 · (90/40)^((0.3 - 0.05)/0.45) = 62.7659... ms
    scenario = world(tmp_path, "percentile = 0.3")
    document, report = planned(scenario, inferred(build_pairs(scenario).pairs), tmp_path / "plan")
    assert report.passed
    exact = 40 * (90 / 40) ** (0.25 / 0.45)
    assert document.latency.p50_ms == 50 + np.ceil(1000 * exact) / 1000
    # a median of 90 ms to the digit is 90 ms, and no microsecond more
    scenario = world(tmp_path / "half", "percentile = 0.5")
    document, _ = planned(scenario, inferred(build_pairs(scenario).pairs), tmp_path / "half" / "plan")
    assert document.latency.p50_ms == 140.0


def test_a_plan_of_a_lower_percentile_does_not_pass_a_higher_one(tmp_path: Path) -> None:
    low, high = world(tmp_path, "percentile = 0.5"), world(tmp_path / "high", "percentile = 0.8")
    pairs = inferred(build_pairs(low).pairs)
    planned(low, pairs, tmp_path / "plan")
    assert "2 latency" in {violation.rule for violation in audit(tmp_path / "plan", high, pairs).violations}
    assert "2 latency" not in {violation.rule for violation in audit(tmp_path / "plan", low, pairs).violations}


def test_a_plan_that_hides_what_being_late_costs_does_not_pass(tmp_path: Path) -> None:
    free, priced = (
        world(tmp_path, "percentile = 0.5"),
        world(tmp_path / "priced", "percentile = 0.5", "late_usd_per_1000 = 0.001"),
    )
    pairs = inferred(build_pairs(free).pairs)
    planned(free, pairs, tmp_path / "plan")
    report = audit(tmp_path / "plan", priced, pairs)
    assert {"cost", "objective"} <= {violation.rule for violation in report.violations}
    assert "late" in {violation.subject for violation in report.violations if violation.rule == "cost"}


@pytest.mark.parametrize("ends_ms", [(0.0, 0.0, 200.0), (150.0, 150.0, 150.0), (149.9, 150.0, 150.0)])
def test_intervals_at_the_edge_are_read_alike_by_plan_and_audit(
    ends_ms: tuple[float, float, float], tmp_path: Path
) -> None:
    scenario = world(tmp_path, "percentile = 0.5", "late_usd_per_1000 = 0.0001")
    document, report = planned(scenario, inferred(build_pairs(scenario).pairs, ends_ms), tmp_path / "plan")
    assert report.passed, [str(v) for v in report.violations]
    assert {row.site for row in document.servers} == {"alpha"}


def test_the_view_tells_how_likely_budgets_are_met_and_the_least_likely_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = world(tmp_path, "percentile = 0.5")
    document, _ = planned(scenario, inferred(build_pairs(scenario).pairs), tmp_path / "plan")
    print_plan(document, scenario)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("budget met 78.788 % of served requests; 100.000 % of them on inferred pairs")
    assert lines[at + 1] == "least likely 78.788 % paris m8 chat"


def drawn_ms(ends_ms: tuple[float, float, float], rng: np.random.Generator, count: int) -> np.ndarray:
    """Round trips as an interval has them: log-linear between its figures, a twentieth beyond each end."""
    chance = rng.random(count)
    within = np.exp(np.interp(chance, (0.05, 0.5, 0.95), np.log(ends_ms)))
    return np.where(chance > 0.95, ends_ms[2] * np.sqrt(0.05 / (1 - chance)), within)


@pytest.mark.parametrize("ends_ms", [NEAR_MS, (100.0, 140.0, 400.0), (20.0, 60.0, 90.0)])
def test_true_round_trips_drawn_from_the_intervals_meet_budgets_as_often_as_the_plan_says(
    ends_ms: tuple[float, float, float], tmp_path: Path
) -> None:
    """Paris splits between alpha, and beta, both inferred and with an uplink for 78 % of it."""
    full = tiny.FILES["sites.csv"].replace("10,42,1000", "10,42,0.5")
    scenario = load(tiny.write(tmp_path / "scenario", {**changes("percentile = 0.3"), "sites.csv": full}))
    pairs = inferred(inferred(build_pairs(scenario).pairs, ends_ms), (60.0, 130.0, 220.0), site=1)
    document, report = planned(scenario, pairs, tmp_path / "plan")
    assert report.passed
    shares = pd.read_parquet(tmp_path / "plan" / "routes.parquet").set_index("site")["share_ppb"] / 1e9
    assert set(shares.index) == {"alpha", "beta"}
    rng, count = np.random.default_rng(1), 200_000
    limit = 200 - 50.0
    near, far = drawn_ms(ends_ms, rng, count) <= limit, drawn_ms((60.0, 130.0, 220.0), rng, count) <= limit
    met = shares["alpha"] * near + shares["beta"] * far
    assert document.budget_met.met_ppm is not None
    assert abs(met.mean() - document.budget_met.met_ppm / 1e6) < 5 * met.std() / np.sqrt(count) + 1e-6
