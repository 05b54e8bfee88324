"""The tiny scenario, planned from its tables to its folder, is the one worked out by hand (tests/tiny.py)."""

import json
from pathlib import Path

import jsonschema
import pytest
import tiny

from placement.plan.document import PlanDocument, json_schema
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlanDocument, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    scenario = load(tiny.write(folder / "scenario"))
    return plan_scenario(scenario, folder / "plan", Request(method="exact")).document, folder / "plan"


def test_the_cost_of_the_tiny_plan_is_that_worked_out_by_hand(planned: tuple[PlanDocument, Path]) -> None:
    document, _ = planned
    assert document.cost.model_dump() == tiny.COST | {"jobs": 0.0, "moves": 0.0, "carbon": 0.0, "total": tiny.TOTAL}
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


def test_rows_in_another_order_give_the_same_bytes(planned: tuple[PlanDocument, Path], tmp_path: Path) -> None:
    _, first = planned
    backwards: dict[str, str | None] = {}
    for name, text in tiny.FILES.items():
        head, *rows = text.strip().splitlines()
        if name.endswith(".csv"):
            backwards[name] = "\n".join([head, *reversed(rows)]) + "\n"
    plan_scenario(load(tiny.write(tmp_path / "scenario", backwards)), tmp_path / "plan", Request(method="exact"))
    for name in ("plan.json", "routes.parquet", "certificate.npz"):
        assert (tmp_path / "plan" / name).read_bytes() == (first / name).read_bytes(), name


def test_unchanged_inputs_give_no_moves_and_more_demand_a_move_that_is_audited(
    planned: tuple[PlanDocument, Path], tmp_path: Path
) -> None:
    _, first = planned
    text = tiny.FILES["scenario.toml"] + f'[stability]\nprevious_plan = "{first}"\nusd_per_move = 3\n'
    scenario = load(tiny.write(tmp_path / "same", {"scenario.toml": text}))
    same = plan_scenario(scenario, tmp_path / "same-plan", Request(method="exact")).document
    assert (same.moves, same.cost.moves, same.objective_usd_month) == ((), 0.0, tiny.TOTAL)
    # paris asks 18 requests/s: 1.8 + 0.6 replicas are three, on a second server
    demand = tiny.FILES["demand.csv"].replace("8,4", "18,9")
    scenario = load(tiny.write(tmp_path / "more", {"scenario.toml": text, "demand.csv": demand}))
    more = plan_scenario(scenario, tmp_path / "more-plan", Request(method="exact")).document
    assert more.cost.moves == 3.0
    assert [(m.step, m.action, m.site, m.count, m.seconds) for m in more.moves] == [(1, "add", "beta", 1, 128.0)]
