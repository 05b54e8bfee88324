"""scenario.toml: its keys and its mistakes."""

import datetime as dt
from pathlib import Path

import pytest
from small_scenario import only, put

from placement.scenario import inspect
from placement.scenario.document import Document, parse


def test_a_name_is_enough_and_the_rest_has_defaults() -> None:
    document, found = parse('name = "x"')
    assert found == []
    assert document is not None
    assert (document.currency, document.planning_date, document.seed) == ("USD", None, 0)
    assert (document.uncertainty.percentile, document.uncertainty.late_usd_per_1000) == (None, 0.0)
    assert (document.money.wacc, document.limits.bandwidth_free_kbyte) == (0.08, 14.0)
    assert document.shapes.gpus == ()
    assert document.limits.replicas_follow_slices is False
    assert (document.limits.max_tco2e_month, document.limits.installs_per_period) == (None, None)
    assert document.limits.min_served_share is None
    assert (document.reliability.failover, document.reliability.n_minus_1) == ("planned", ())
    assert (document.stability.max_moves, document.stability.usd_per_move) == (None, None)
    assert document.stability.previous_plan is None
    assert (document.objective.goals, document.objective.goal_gaps) == (("cost",), ())
    assert document.objective.usd_per_tco2e is None


def test_a_date_is_taken_with_and_without_quotes() -> None:
    for text in ("2026-03-01", '"2026-03-01"'):
        document, _ = parse(f'name = "x"\nplanning_date = {text}')
        assert document is not None
        assert document.planning_date == dt.date(2026, 3, 1)


@pytest.mark.parametrize(
    ("line", "rule", "column", "value", "words"),
    [
        ("planing_date = 2026-01-01", "unknown-key", "planing_date", "2026-01-01", "Did you mean 'planning_date'"),
        ("[monye]\nwacc = 1", "unknown-key", "monye", "{'wacc': 1}", "Did you mean 'money'"),
        ("[money]\nwaac = 0.1", "unknown-key", "money.waac", "0.1", "Did you mean 'wacc'"),
        ("[money]\nwacc = 8", "units", "money.wacc", "8", "0.08"),
        ("[money]\nwacc = -0.1", "units", "money.wacc", "-0.1", "share"),
        ("[money]\nwacc = nan", "units", "money.wacc", "nan", "share"),
        ('[money]\nwacc = "cheap"', "units", "money.wacc", "cheap", "share"),
        ("planning_date = 20260101", "planning-date", "planning_date", "20260101", "2026-01-31"),
        ('planning_date = "soon"', "planning-date", "planning_date", "soon", "2026-01-31"),
        ('currency = "EUR"', "bad-value", "currency", "EUR", "USD"),
        ("seed = -1", "bad-value", "seed", "-1", ""),
        ("seed = 1.5", "bad-value", "seed", "1.5", ""),
        ("[limits]\nbandwidth_free_kbyte = -1", "bad-value", "limits.bandwidth_free_kbyte", "-1", ""),
        ("[shapes]\ngpus = 3", "bad-value", "shapes.gpus", "3", ""),
        ("limits = 3", "bad-value", "limits", "3", ""),
        ("[limits]\nreplicas_follow_slices = 1", "bad-value", "limits.replicas_follow_slices", "1", ""),
        ("[limits]\nmax_tco2e_month = -1", "bad-value", "limits.max_tco2e_month", "-1", ""),
        ("[limits]\ninstalls_per_period = 2.5", "bad-value", "limits.installs_per_period", "2.5", ""),
        ("[limits]\ninstalls_per_period = -1", "bad-value", "limits.installs_per_period", "-1", ""),
        ("[limits]\nmin_served_share = 99", "bad-value", "limits.min_served_share", "99", ""),
        ("[uncertainty]\npercentile = 80", "units", "uncertainty.percentile", "80", "0.05 to 0.95"),
        ("[uncertainty]\npercentile = 0.049", "units", "uncertainty.percentile", "0.049", "as 0.8"),
        ("[uncertainty]\npercentile = 0.951", "units", "uncertainty.percentile", "0.951", "upper end"),
        ("[uncertainty]\nlate_usd_per_1000 = -1", "bad-value", "uncertainty.late_usd_per_1000", "-1", ""),
        ('[reliability]\nfailover = "hope"', "bad-value", "reliability.failover", "hope", "'priority'"),
        ("[reliability]\nn_minus_1 = true", "bad-value", "reliability.n_minus_1", "True", ""),
        ("[stability]\nmax_moves = true", "bad-value", "stability.max_moves", "True", ""),
        ("[stability]\nusd_per_move = inf", "bad-value", "stability.usd_per_move", "inf", ""),
        ('[stability]\nprevious_plan = ""', "bad-value", "stability.previous_plan", "", ""),
        ('[objective]\ngoals = ["cheap"]', "bad-value", "objective.goals.0", "cheap", "'served'"),
        ("[objective]\ngoal_gaps = [1.5]", "bad-value", "objective.goal_gaps.0", "1.5", ""),
        ("[objective]\nusd_per_tco2e = -1", "bad-value", "objective.usd_per_tco2e", "-1", ""),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(
    folder: Path, line: str, rule: str, column: str, value: str, words: str
) -> None:
    put(folder, "scenario.toml", f'name = "x"\n\n{line}\n')
    finding = only(folder, rule)
    assert (finding.file, finding.column, finding.value, finding.severity) == ("scenario.toml", column, value, "error")
    assert finding.row == 3 + ("\n" in line and "." in column)
    assert words in f"{finding.message} {finding.mend}"


def test_a_missing_name_is_named(folder: Path) -> None:
    put(folder, "scenario.toml", "seed = 1\n")
    assert only(folder, "missing-key").column == "name"


def test_all_mistakes_are_reported_beside_those_of_tables(folder: Path) -> None:
    put(folder, "scenario.toml", 'name = "x"\nseed = -1\n[money]\nwacc = 9\n[limit]\na = 1\n')
    (folder / "regions.csv").unlink()
    assert {(f.rule, f.column) for f in inspect(folder).findings} == {
        ("bad-value", "seed"),
        ("units", "money.wacc"),
        ("unknown-key", "limit"),
        ("missing-table", ""),
    }


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('name = "x"\nseed = \n', 2),
        ('name = "x"\n\n[money\nwacc = 1\n', 3),
        ("name = x\n", 1),
        ('name = "x"\nname = "y"\n', 2),
        ('name = "x"\nplanning_date = 31.12.2026\n', 2),
    ],
)
def test_broken_toml_is_named_with_its_line(folder: Path, text: str, row: int) -> None:
    put(folder, "scenario.toml", text)
    finding = only(folder, "toml-syntax")
    assert finding.row == row


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "9" * 5000, "\x00", "a = 1e999999", "a." * 3000 + "b = 1", "seed = 0x" + "f" * 5000],
)
def test_toml_made_to_break_parsers_is_a_finding(text: str) -> None:
    document, found = parse(text)
    assert document is None
    assert found
    assert all(f.message for f in found)


def test_the_keys_of_every_rule_are_read() -> None:
    text = """
name = "x"
[limits]
replicas_follow_slices = true
max_tco2e_month = 12.5
installs_per_period = 0
min_served_share = 0.99
[reliability]
failover = "priority"
n_minus_1 = ["metro", "grid"]
[stability]
max_moves = 5
usd_per_move = 40
previous_plan = "../plans/yesterday"
[objective]
goals = ["served", "cost"]
goal_gaps = [0, 0.01]
usd_per_tco2e = 90
"""
    document, found = parse(text)
    assert found == []
    assert document is not None
    limits, stability = document.limits, document.stability
    assert (limits.replicas_follow_slices, limits.max_tco2e_month) == (True, 12.5)
    assert (limits.installs_per_period, limits.min_served_share) == (0, 0.99)
    assert (document.reliability.failover, document.reliability.n_minus_1) == ("priority", ("metro", "grid"))
    assert (stability.max_moves, stability.usd_per_move, stability.previous_plan) == (5, 40.0, "../plans/yesterday")
    assert (document.objective.goals, document.objective.goal_gaps) == (("served", "cost"), (0.0, 0.01))
    assert document.objective.usd_per_tco2e == 90.0


def test_every_key_of_the_document_is_described() -> None:
    for section in ("money", "limits", "reliability", "stability", "objective"):
        part = type(Document.model_fields[section].default)
        for name, field in part.model_fields.items():
            assert field.description, f"{section}.{name}"
