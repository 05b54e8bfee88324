"""The plan of the tiny scenario is the one worked out by hand, to the cent (tests/tiny.py)."""

import json
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
import tiny

from placement.plan.document import PlanDocument, json_schema
from placement.plan.ledger import Ledger, Route, Standing, cents, exact
from placement.planning import Request, plan_scenario
from placement.problem import demand_rows
from placement.scenario import load


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlanDocument, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    scenario = load(tiny.write(folder / "scenario"))
    return plan_scenario(scenario, folder / "plan", Request(method="exact")).document, folder / "plan"


def test_the_cost_of_the_tiny_plan_is_that_worked_out_by_hand(planned: tuple[PlanDocument, Path]) -> None:
    document, _ = planned
    assert document.cost.model_dump() == tiny.COST | {"total": tiny.TOTAL}
    assert document.objective_usd_month == tiny.TOTAL
    assert document.served_share == 1.0
    assert document.unserved == ()


def test_the_tiny_plan_puts_one_server_with_two_replicas_at_beta(planned: tuple[PlanDocument, Path]) -> None:
    document, _ = planned
    assert [(s.site, s.server, s.count, s.new) for s in document.servers] == [("beta", "s2", 1, 1)]
    assert [(r.site, r.shape, r.count) for r in document.replicas] == [("beta", "m8-one", 2)]


def test_percentiles_weigh_requests(planned: tuple[PlanDocument, Path]) -> None:
    # berlin asks 6 of 10 mean requests and plans 8 + 50 ms, paris 4 of 10 and 30 + 50 ms
    document, _ = planned
    assert (document.latency.p50_ms, document.latency.p95_ms, document.latency.p99_ms) == (58.0, 80.0, 80.0)


def test_the_bound_is_verified_and_below_the_plan(planned: tuple[PlanDocument, Path]) -> None:
    document, _ = planned
    assert document.bound_verified_usd_month is not None and document.gap is not None
    assert 0 < document.bound_verified_usd_month <= document.objective_usd_month
    # the bound is told at the cent below, the gap is that of the bound itself
    told = 1 - document.bound_verified_usd_month / document.objective_usd_month
    assert told - 0.01 / document.objective_usd_month - 1e-9 <= document.gap <= told


def test_plan_json_is_canonical_and_follows_its_schema(planned: tuple[PlanDocument, Path]) -> None:
    document, folder = planned
    text = (folder / "plan.json").read_bytes()
    assert text == document.canonical()
    value = json.loads(text)
    jsonschema.Draft202012Validator(json_schema()).validate(value)
    assert json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n" == text.decode()


def test_the_schema_in_docs_is_the_one_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plan.schema.json").read_text("utf-8")
    assert json.loads(text) == json_schema()


def test_the_same_inputs_give_the_same_bytes(planned: tuple[PlanDocument, Path], tmp_path: Path) -> None:
    _, first = planned
    scenario = load(tiny.write(tmp_path / "scenario"))
    plan_scenario(scenario, tmp_path / "plan", Request(method="exact"))
    for name in ("plan.json", "routes.parquet", "certificate.npz"):
        assert (tmp_path / "plan" / name).read_bytes() == (first / name).read_bytes(), name


def test_money_at_interest_is_the_capital_recovery_factor_in_fractions(tmp_path: Path) -> None:
    # 4,800 USD at 1 % a month over 48 months: 126.4024 USD a month in any annuity table (0.0263338 each)
    changed = tiny.edited("scenario.toml", "wacc = 0.0", "wacc = 0.12")
    scenario = load(tiny.write(tmp_path, changed))
    ledger = Ledger(scenario, demand_rows(scenario))
    cost = ledger.cost([Standing("beta", "s2", 1, 1)], [], [])
    assert cost.servers == 126.40


def test_transit_is_paid_by_the_peak_and_egress_by_the_mean(tmp_path: Path) -> None:
    text = tiny.FILES["sites.csv"].replace("usd_per_kwh,pue", "usd_per_kwh,pue,transit_usd_per_mbps_month")
    text = text.replace("0.05,40,100,0.1,1.5", "0.05,40,100,0.1,1.5,2").replace(
        "0.05,50,100,0.1,1.5", "0.05,50,100,0.1,1.5,"
    )
    scenario = load(tiny.write(tmp_path, {"sites.csv": text}))
    ledger = Ledger(scenario, demand_rows(scenario))
    half = Route(demand=1, site="beta", shape="m8-one", share_ppb=500_000_000, latency_ms=Fraction(80))
    # half of paris: 4 requests/s at the peak x 10 kB x 8 / 1000 = 0.32 Mbit/s at 2 USD
    assert ledger.cost([], [half], []).egress == 0.64
    at_alpha = Route(demand=1, site="alpha", shape="m8-one", share_ppb=500_000_000, latency_ms=Fraction(60))
    # half of paris: 2 requests/s in the mean x 3600 x 730 x 10 / 10^6 = 52.56 GB at 0.05 USD
    assert ledger.cost([], [at_alpha], []).egress == 2.63


def test_half_cents_round_to_even() -> None:
    assert cents(Fraction("0.125")) == 0.12
    assert cents(Fraction("0.135")) == 0.14
    assert exact(0.1) == Fraction(1, 10)
