"""What `nearserve plan` prints of a plan."""

from pathlib import Path

import pytest
import sketch
import test_plan_by_hand as by_hand

from placement.cli.plan_view import print_plan
from placement.plan.build import build_plan
from placement.problem.names import JobOption, Offer


def shown(folder: Path, capsys: pytest.CaptureFixture[str], drawn: list[sketch.Sketch], **changed: str | None) -> str:
    files = {name.replace("_", "."): text for name, text in changed.items()}
    solved = sketch.solved(folder, drawn, files)
    print_plan(build_plan(solved, {}).document, solved.scenario)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    return text


def test_a_roll_out_shows_its_last_period_and_each_month(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {name.replace(".", "_"): text for name, text in by_hand.GROWING.items()}
    text = shown(tmp_path, capsys, list(by_hand.growing()), **changed)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Plan of tiny, as it stands in 2027-H2" in lines
    assert "DE 1 2 4 1 3" in lines  # one site, two servers of two GPUs, one model, three replicas: not those of both
    assert any(line.startswith("2027-H1 3 2 1 4,800") and line.endswith("100.000") for line in lines)
    assert any(line.startswith("2027-H2 9 4 2 4,800") and line.endswith("85.714") for line in lines)
    assert any(line.startswith("net present value") and "over 48 months" in line for line in lines)
    # a quarter of paris' 8 mean requests/s in the 9 of 12 months: 0.75 x 2 x 3.6 x 730 USD
    assert any(line.startswith("1 3,942 4-12 capacity") for line in lines)


def test_failures_jobs_and_carbon_are_told_in_brief(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = sketch.Sketch(
        {Offer("beta", "s2", "rent"): 2},
        {by_hand.BETA: 2},
        by_hand.TINY.routes,
        jobs=[JobOption("tune", "beta", (), 0.0)],
        domains={"fra": ["beta"]},
    )
    head, row = by_hand.tiny.FILES["servers.csv"].strip().splitlines()
    servers = f"{head},rent_usd_month,embodied_kgco2e\n{row},90,2400\n"
    text = shown(
        tmp_path, capsys, [drawn], jobs_csv=by_hand.JOBS, sites_csv=by_hand.CARBON["sites.csv"], servers_csv=servers
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "GPUs 4 (4 new, 4 of them rented)" in lines
    assert "failures 1 domains, one at a time, failover planned" in lines
    assert "the worst, fra: 0.000 % of requests rerouted, 100.000 % lost" in lines
    assert "carbon 0.50 tCO2e a month: energy 0.40, new servers 0.10" in lines
    assert "tune beta all day 37.00" in lines


def test_a_plain_plan_says_nothing_of_rules_that_are_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(tmp_path, capsys, [by_hand.TINY])
    for word in ("Roll-out", "failures", "moves", "carbon", "goal", "net present value", "Jobs", "Unserved"):
        assert word not in text
