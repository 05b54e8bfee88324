"""A plan of day one on day two: the verdict against the rules worked out again from routes.parquet, in fractions."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.planning import plan_scenario
from placement.scenario import Scenario, load
from placement.solving import Request
from placement.topology import Pairs, State, build_pairs
from placement.topology.drift.days import topology_of
from placement.topology.drift.holding import UnreadablePlanError, holding
from placement.topology.summaries import window_ending

HEADER = "observed_at,source,target,method,sent,received,rtt_ms,rtt_avg_ms\n"
PAIRS = list(product(("paris", "berlin"), ("alpha", "beta")))
BUDGET_MS, BACKUP_MS, TTFT_MS = Fraction(200), Fraction(220), Fraction(50)
RTT_MS = (10.0, 60.0, 143.0, 149.5, 150.0, 150.5, 169.0, 171.0, 400.0)
"""Of the budget of 200 the first token takes 50: up to 150 ms is well, up to 170 for a backup; 142.5 leaves 5 %."""


def records(rtt_ms: dict[tuple[str, str], float | None]) -> str:
    """A measured pair where there is a figure, none where it is None, an average alone where it is negative."""
    rows = [
        f"2025-12-31T00:00:00Z,{region},{site},icmp,1,1,{ms:g},\n"
        if ms > 0
        else f"2025-12-31T00:00:00Z,{region},{site},imported:x,,1,,{-ms:g}\n"
        for (region, site), ms in rtt_ms.items()
        if ms is not None
    ]
    return HEADER + "".join(rows)


def scenario_of(folder: Path, rtt_ms: dict[tuple[str, str], float | None]) -> Scenario:
    """Two sites that may each fail, with room for all of it at either."""
    text = (tiny.FILES["services.csv"] or "").replace("unserved_usd", "backup_latency_budget_ms,unserved_usd")
    changed = {
        "measurements/pairs.csv": records(rtt_ms),
        "services.csv": text.replace("5,10,1", "5,10,220,1"),
        "domains.csv": "domain,kind,site\nwest,metro,alpha\neast,metro,beta\n",
        **tiny.document_with('[reliability]\nn_minus_1 = ["metro"]\n'),
    }
    return load(tiny.write(folder, changed))


DAY_ONE = dict(zip(PAIRS, (10.0, 30.0, 160.0, 8.0), strict=True))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scenario, Pairs]:
    """The plan of day one, its scenario and its pairs."""
    folder = tmp_path_factory.mktemp("holding")
    scenario = scenario_of(folder / "scenario", DAY_ONE)
    plan_scenario(scenario, folder / "plan", Request(time_limit_s=20.0))
    return folder / "plan", scenario, build_pairs(scenario).pairs


def pairs_of(old: Pairs, rtt_ms: dict[tuple[str, str], float | None]) -> Pairs:
    """The pairs as `records` would make them, put together by hand."""
    figures = [[rtt_ms[region, site] for site in old.sites] for region in old.regions]
    planned = np.array([[np.nan if ms is None else float(planned_ms(ms) or 0) for ms in row] for row in figures])
    kind = {None: State.UNKNOWN, True: State.MEASURED, False: State.INFERRED}
    state = np.array([[kind[None if ms is None else ms > 0] for ms in row] for row in figures], np.int8)
    ends = np.where(state == State.INFERRED, planned / 2, planned)
    p95 = np.where(state == State.MEASURED, planned, np.nan)
    return replace(old, rtt_state=state, rtt_p95_ms=p95, rtt_lower_ms=ends, rtt_mid_ms=ends, rtt_upper_ms=planned)


def planned_ms(ms: float | None) -> Fraction | None:
    """What rule 2 counts: of an average the upper end, 1.2 · average + 5 ms."""
    if ms is None:
        return None
    return Fraction(ms) if ms > 0 else Fraction(12, 10) * Fraction(-ms) + 5


def routes_that_miss(plan: Path, rtt_ms: dict[tuple[str, str], float | None]) -> tuple[list[dict], list[dict]]:  # type: ignore[type-arg]
    """Routes of the normal day, and of failures, that rule 2 does not allow."""
    normal, backups = [], []
    for row in pq.read_table(plan / "routes.parquet").to_pylist():
        rtt = planned_ms(rtt_ms.get((row["region"], row["site"])))
        budget = BUDGET_MS if row["failure"] is None else BACKUP_MS
        if rtt is None or rtt + TTFT_MS > budget:
            (normal if row["failure"] is None else backups).append(row)
    return normal, backups


def test_the_plan_of_day_one_has_backups_and_holds_on_day_one(plan: tuple[Path, Scenario, Pairs]) -> None:
    folder, scenario, pairs = plan
    assert {row["failure"] for row in pq.read_table(folder / "routes.parquet").to_pylist()} >= {None, "east"}
    found = holding(folder, scenario, pairs, pairs, 0.05)
    assert found.holds and not len(found.classes) and not found.figures and not found.inputs
    assert (found.requests_per_s, found.missing, found.tight, found.met) == (14.0, 0.0, 0.0, 1.0)


MS = st.one_of(st.none(), st.sampled_from(RTT_MS), st.sampled_from([-50.0, -125.0, -200.0]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(MS, MS, MS, MS))
def test_the_verdict_on_day_two_is_that_of_the_rules_worked_out_again(
    plan: tuple[Path, Scenario, Pairs], drawn: tuple[float | None, ...]
) -> None:
    folder, scenario, old = plan
    rtt_ms = dict(zip(PAIRS, drawn, strict=True))
    found = holding(folder, scenario, old, pairs_of(old, rtt_ms), 0.05)
    normal, backups = routes_that_miss(folder, rtt_ms)
    assert found.holds == (not normal and not backups)
    assert len(found.broken) == len(normal) + len(backups)
    rate = {"paris": 8.0, "berlin": 6.0}
    assert found.missing == pytest.approx(sum(rate[row["region"]] * row["share_ppb"] / 1e9 for row in normal))
    failing = {(row["region"], row["failure"]) for row in backups}
    told = {row["region"]: row["backups_missing"] for row in found.classes.to_dict("records")}
    assert {region: n for region, n in told.items() if n} == {
        region: len({failure for of, failure in failing if of == region}) for region, _ in failing
    }
    assert not found.inputs


def test_requests_that_keep_their_budget_narrowly_are_tight(plan: tuple[Path, Scenario, Pairs], tmp_path: Path) -> None:
    """All of the traffic of paris at 143 + 50 = 193 of 200 ms: less than 5 % are left, and more than 3 %."""
    folder, _, old = plan
    scenario = scenario_of(tmp_path, dict.fromkeys(PAIRS, 143.0))
    new = build_pairs(scenario).pairs
    assert holding(folder, scenario, old, new, 0.05).tight == 14.0
    assert holding(folder, scenario, old, new, 0.03).tight == 0.0
    assert holding(folder, scenario, old, new, 0.05).holds


def test_the_chance_of_a_budget_is_that_of_the_intervals(plan: tuple[Path, Scenario, Pairs], tmp_path: Path) -> None:
    """Every pair an average of 100 ms, its upper end 125: the budget leaves 150, and 1 - 0.05 · (125/150)² stay in."""
    folder, _, old = plan
    scenario = scenario_of(tmp_path, dict.fromkeys(PAIRS, -100.0))
    found = holding(folder, scenario, old, build_pairs(scenario).pairs, 0.0)
    assert found.met_before == 1.0
    assert found.met == pytest.approx(1 - 0.05 * (125 / 150) ** 2)


def test_tables_that_changed_are_named_and_new_measurements_are_not(
    plan: tuple[Path, Scenario, Pairs], tmp_path: Path
) -> None:
    folder, _, old = plan
    scenario_of(tmp_path, DAY_ONE)
    rates = (tmp_path / "demand.csv").read_text("utf-8").replace("berlin,m8,chat,6,6", "berlin,m8,chat,5,5")
    (tmp_path / "demand.csv").write_text(rates, "utf-8")
    (tmp_path / "measurements" / "more.csv").write_text(records(DAY_ONE), "utf-8")
    scenario = load(tmp_path)
    found = holding(folder, scenario, old, build_pairs(scenario).pairs, 0.05)
    assert (found.inputs, found.holds) == (("demand",), True)


def test_the_day_before_is_read_from_its_records_alone(plan: tuple[Path, Scenario, Pairs], tmp_path: Path) -> None:
    folder, _, old = plan
    scenario_of(tmp_path, DAY_ONE)
    worse = records(dict.fromkeys(PAIRS, 400.0)).replace("2025-12-31", "2026-01-01")
    (tmp_path / "measurements" / "worse.csv").write_text(worse, "utf-8")
    scenario = load(tmp_path)
    before, after = (
        topology_of(scenario, window_ending(day, 1)).pairs for day in (date(2025, 12, 31), date(2026, 1, 1))
    )
    assert np.array_equal(before.rtt_p95_ms, old.rtt_p95_ms)
    found = holding(folder, scenario, before, after, 0.05)
    assert not found.holds and found.missing == 14.0 and found.missing_before == 0.0


def test_a_folder_without_a_plan_is_refused(plan: tuple[Path, Scenario, Pairs], tmp_path: Path) -> None:
    _, scenario, pairs = plan
    with pytest.raises(UnreadablePlanError, match=r"no plan\.json"):
        holding(tmp_path, scenario, pairs, pairs, 0.05)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(UnreadablePlanError, match=r"routes\.parquet"):
        holding(tmp_path, scenario, pairs, pairs, 0.05)
