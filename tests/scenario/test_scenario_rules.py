"""Which rules are on, as `check` tells them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_scenario import DOCUMENT, findings, put
from whole_scenario import write_whole

from placement.cli import main
from placement.scenario import load, rules_on


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_whole(tmp_path / "whole")


def test_a_scenario_with_every_rule_on_is_sound(whole: Path) -> None:
    assert findings(whole) == ()


def test_every_rule_that_is_on_is_told_with_its_size(whole: Path) -> None:
    assert {rule.rule: rule.says for rule in rules_on(load(whole)) if rule.rule != "transit"} == {
        "residency": "2 residency sets",
        "dedicated": "1 tenant on servers of its own",
        "min_share": "1 service without slivers",
        "max_sites": "1 service of few sites",
        "revenue": "revenue is reported",
        "slices": "3 slices, replicas follow them",
        "periods": "2 periods (h1 to h2)",
        "fleet": "1 server stands today",
        "deliveries": "18 servers delivered",
        "rent": "2 kinds of servers for rent",
        "cloud": "1 cloud site",
        "export": "1 export limit",
        "capex_usd": "2 budgets of capex",
        "monthly_usd": "1 monthly budget",
        "n_minus_1": "N-1 over metro and grid (3 domains, priority)",
        "pins": "1 pin",
        "previous_plan": "moves from before",
        "max_moves": "at most 20 moves",
        "usd_per_move": "40 USD a move",
        "jobs": "2 jobs",
        "installs_per_period": "at most 10 installs a period",
        "max_tco2e_month": "at most 50 tCO2e a month",
        "usd_per_tco2e": "90 USD a tCO2e",
        "min_served_share": "at least 50.0000% served",
        "goals": "goals: served, then cost",
    }
    assert [rule.says for rule in rules_on(load(whole)) if rule.rule == "transit"] == [
        "transit by mean at 1 site",
        "transit by p95 at 1 site",
    ]


def test_without_tables_and_keys_no_rule_is_on(folder: Path) -> None:
    assert rules_on(load(folder)) == ()


def test_a_table_that_nothing_switches_on_is_no_rule(folder: Path) -> None:
    put(folder, "domains.csv", "domain,kind,site\nrhine,metro,fra\nsadc,grid,whk\n")
    assert rules_on(load(folder)) == ()
    put(folder, "scenario.toml", DOCUMENT + '[reliability]\nn_minus_1 = ["grid"]\n')
    assert [rule.says for rule in rules_on(load(folder))] == ["N-1 over grid (1 domain, planned)"]
    put(folder, "scenario.toml", DOCUMENT + '[reliability]\nn_minus_1 = ["all"]\n')
    assert [rule.says for rule in rules_on(load(folder))] == ["N-1 over all domains (2 domains, planned)"]


def test_check_tells_the_rules_in_words_and_as_json(folder: Path) -> None:
    put(folder, "pins.csv", "model,site,min_replicas,reason\nm8,fra,1,contract\n")
    shown = CliRunner().invoke(main, ["check", str(folder)])
    assert shown.exit_code == 0
    assert "\nRules on: 1 pin\n" in shown.stdout
    told = json.loads(CliRunner().invoke(main, ["check", str(folder), "--format", "json"]).stdout)
    assert told["rules"] == [{"rule": "pins", "says": "1 pin"}]
    (folder / "pins.csv").unlink()
    assert "\nRules on: those of every scenario only\n" in CliRunner().invoke(main, ["check", str(folder)]).stdout


def test_check_ends_with_4_and_every_mistake_at_once(whole: Path) -> None:
    (whole / "periods.csv").unlink()
    (whole / "domains.csv").unlink()
    (whole / "before" / "plan.json").unlink()
    put(whole, "jobs.csv", "job,kind,model,gpu,gpus,hours,deadline\nj,finetune,m8,pro,3,10,2025-01-01\n")
    result = CliRunner().invoke(main, ["check", str(whole)])
    assert result.exit_code == 4
    for mistake in ("reliability.n_minus_1", "stability.previous_plan", "jobs.csv:2: gpus", "jobs.csv:2: deadline"):
        assert mistake in result.stderr
