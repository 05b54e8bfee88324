"""The command as a planner meets it: every form of it, how it ends, how wide it is."""

import json
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner, Result
from explain_scenes import NO_STOCK, PINS, SHORT_OF_POWER, with_text

from placement.cli import main

FORMS = (
    (),
    ("--no-solve",),
    ("--worth",),
    ("--worth", "--check", "1"),
    ("--pins",),
    ("--here", "m8@alpha"),
    ("--class", "paris"),
    ("--class", "paris/m8/chat"),
    ("--class", "/m8"),
    ("--class", "berlin", "--not-to", "alpha"),
    ("--class", "paris", "--not-to", "beta"),
    ("--class", "paris", "--next"),
)


def explain(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("short"), {**SHORT_OF_POWER, **PINS})


@pytest.fixture(scope="module")
def plan(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans") / "plan"
    assert CliRunner().invoke(main, ["plan", str(short), "-o", str(folder)]).exit_code == 0
    return folder


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_every_form_answers_within_a_hundred_columns(form: tuple[str, ...], short: Path, plan: Path) -> None:
    result = explain(plan, "--scenario", short, *form)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    assert max(len(line) for line in result.stdout.splitlines()) <= 100


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_every_form_answers_in_json(form: tuple[str, ...], short: Path) -> None:
    result = explain(short, *form, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["question"] in ("blocked", "worth", "pins", "here", "class", "not_to", "next")


def test_a_plan_and_its_scenario_are_explained_alike(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "scenario", {**NO_STOCK})
    CliRunner().invoke(main, ["plan", str(scenario), "-o", str(tmp_path / "plan")])
    of_plan = explain(tmp_path / "plan", "--scenario", scenario)
    assert of_plan.stdout == explain(scenario).stdout
    assert "2 more GPUs (1 s2) delivered  100.00 %" in of_plan.stdout
    assert "25,951" in of_plan.stdout


def test_a_plan_made_with_pins_is_explained_with_them(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "scenario")
    CliRunner().invoke(main, ["plan", str(scenario), "-o", str(tmp_path / "plan"), "--pin", "m8@alpha:1"])
    result = explain(tmp_path / "plan", "--scenario", scenario, "--pins")
    assert "281.90" in result.stdout


def test_a_plan_of_other_inputs_is_stale(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "scenario")
    CliRunner().invoke(main, ["plan", str(scenario), "-o", str(tmp_path / "plan")])
    tiny.write(scenario, tiny.edited("demand.csv", "paris,m8,chat,8", "paris,m8,chat,9"))
    result = explain(tmp_path / "plan", "--scenario", scenario)
    assert result.exit_code == 6
    assert "demand" in result.stderr


def test_what_is_infeasible_is_explained_and_ends_well(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path, {**with_text("[limits]\nmin_served_share = 0.9\n"), **NO_STOCK})
    result = explain(scenario)
    assert result.exit_code == 0
    assert "no plan keeps the hard rules" in result.stdout
    assert "these contradict each other: stock (deliveries), limits.min_served_share" in result.stdout
    worth = explain(scenario, "--worth")
    assert worth.exit_code == 4
    assert "no plan" in worth.stderr


@pytest.mark.parametrize(
    "form",
    [
        ("--class", "rome"),
        ("--class", "paris", "--not-to", "gamma"),
        ("--class", "paris", "--next", "--not-to", "beta"),
        ("--here", "m8"),
        ("--here", "m9@alpha"),
        ("--next",),
        ("--check", "1"),
        ("--worth", "--pins"),
        ("--pins", "--no-solve"),
        ("--class", "a/b/c/d/e/f"),
    ],
    ids=" ".join,
)
def test_what_makes_no_question_is_a_usage_error(form: tuple[str, ...], short: Path, plan: Path) -> None:
    assert explain(plan, "--scenario", short, *form).exit_code == 2


def test_a_folder_that_is_neither_is_bad_data(tmp_path: Path) -> None:
    assert explain(tmp_path / "nothing").exit_code == 4
