"""nearserve diff as a person calls it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.cli import main
from placement.scenario import Scenario
from tests.diff.diff_world import SHARES, scenario, write_plan

EAST, CODE = ("east", "small", "chat"), ("east", "large", "code")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return scenario(tmp_path_factory.mktemp("three"), 1)


def plan_of(small: str, large: str, folder: Path, of: Scenario) -> Path:
    routes = {EAST: {(small, "small-2"): SHARES}, CODE: {(large, "large-2"): SHARES}}
    servers = {(site, "s2"): 1 for site in (small, large)}
    return write_plan(folder, of, servers, {(small, "small-2"): 1, (large, "large-2"): 1}, routes)


@pytest.fixture(scope="module")
def plans(three: Scenario, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("plans")
    places = [
        plan_of(*sites, folder / name, three) for name, *sites in (("a", "alpha", "beta"), ("b", "beta", "alpha"))
    ]
    return str(places[0]), str(places[1])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments], catch_exceptions=False)


def test_it_says_what_comes_and_goes_and_that_the_swap_is_not_safe(plans: tuple[str, str], three: Scenario) -> None:
    said = run(*plans, "--scenario", str(three.folder))
    assert said.exit_code == 0
    assert all(len(line) <= 100 for line in said.stdout.splitlines() if not line.startswith("three:"))
    assert "\x1b" not in said.stdout  # no colours where nobody looks
    assert "~ alpha" in said.stdout
    assert "+ large-2  0 → 1  from beta" in said.stdout
    assert "- small-2  1 → 0  to beta" in said.stdout
    assert "Plan: replicas 0 to add, 2 to move, 0 to reshape, 0 to remove." in said.stdout
    # 6 of 24 requests/s are east's small ones, 2 its large: the large wait
    assert "NOT SAFE: up to 8.333 % of requests unserved" in said.stdout
    assert "wave 1: east large code: 100.000 % unserved" in said.stdout


def test_json_and_the_file_say_the_same_and_again_the_same(
    plans: tuple[str, str], three: Scenario, tmp_path: Path
) -> None:
    file = tmp_path / "diff.json"
    said = run(*plans, "--scenario", str(three.folder), "--format", "json", "-o", str(file))
    assert json.loads(said.stdout) == json.loads(file.read_bytes())
    before = file.read_bytes()
    run(*plans, "--scenario", str(three.folder), "-o", str(file))
    assert file.read_bytes() == before
    assert json.loads(before)["counts"]["moved"] == 2


def test_an_approval_is_written_held_against_and_refused_with_six_for_another_change(
    plans: tuple[str, str], three: Scenario, tmp_path: Path
) -> None:
    file, of = str(tmp_path / "approval.json"), ["--scenario", str(three.folder)]
    wrote = run(*plans, *of, "--approve", file, "--by", "Ada", "--at", "2026-11-22T05:00:00+00:00")
    assert (wrote.exit_code, json.loads(Path(file).read_bytes())["at"]) == (0, "2026-11-22T05:00:00Z")
    held = run(*plans, *of, "--approval", file, "--at", "2026-11-22T06:00:00+00:00", "--no-steps")
    assert (held.exit_code, "approves exactly this" in held.stdout) == (0, True)
    late = run(*plans, *of, "--approval", file, "--at", "2026-11-24T06:00:00+00:00", "--no-steps")
    assert (late.exit_code, "expired" in late.stderr) == (6, True)
    other = run("none", plans[1], *of, "--approval", file, "--at", "2026-11-22T06:00:00+00:00", "--no-steps")
    assert (other.exit_code, "given for another as the old plan" in other.stderr) == (6, True)


def test_a_stale_new_plan_is_six_no_plan_is_four_and_a_wrong_word_two(
    plans: tuple[str, str], three: Scenario, tmp_path: Path
) -> None:
    changed = scenario(tmp_path / "changed", 2)
    stale = run(*plans, "--scenario", str(changed.folder))
    assert (stale.exit_code, "sites" in stale.stderr) == (6, True)
    assert run(str(tmp_path), plans[1], "--scenario", str(three.folder)).exit_code == 4
    assert run("nowhere", plans[1], "--scenario", str(three.folder)).exit_code == 2
    assert run(*plans, "--scenario", str(three.folder), "--approve", str(tmp_path / "x")).exit_code == 2
    assert run(*plans, "--scenario", str(three.folder), "--approval", plans[0] + "/plan.json").exit_code == 4


def test_from_nothing_and_to_the_same(plans: tuple[str, str], three: Scenario) -> None:
    first = run("none", plans[0], "--scenario", str(three.folder))
    assert "+ alpha  (opens)" in first.stdout
    assert "server s2  0 → 1  (1 bought)" in first.stdout
    assert "what is bought costs 9,600 USD once" in first.stdout
    same = run(plans[0], plans[0], "--scenario", str(three.folder))
    assert "Plan: nothing comes or goes, and traffic stays." in same.stdout
    assert "Steps: none" in same.stdout
