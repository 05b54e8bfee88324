"""nearserve feed, as a person or a script calls it."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.cli import main
from placement.scenario import Scenario

Plan = tuple[Path, Scenario]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["feed", *map(str, arguments)])


@pytest.fixture
def place(three_sites_plan: Plan, tmp_path: Path) -> Path:
    """The plan, its scenario, its addresses and a configuration in one folder."""
    shutil.copytree(three_sites_plan[0].parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "feeds.toml").write_text('targets = ["csv", "envoy"]\naddresses = "addresses.csv"\n')
    return tmp_path


def feed(place: Path, *more: object) -> Result:
    given = ("--scenario", place / "scenario", "--feeds", place / "feeds.toml", "-o", place / "out")
    return run(place / "plan", *given, *more)


def test_feeds_are_written_and_told(place: Path) -> None:
    result = feed(place)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()[2:4]] == [["csv", "planned"], ["envoy", "planned"]]
    assert (place / "out/envoy/all/eds/paris/chat@m8.json").is_file()
    assert json.loads((place / "out/feeds.json").read_bytes())["schema"] == "nearserve-feeds-1"


def test_feeds_are_replaced_only_when_asked_for_and_nothing_else_ever(place: Path) -> None:
    assert feed(place).exit_code == 0
    again = feed(place)
    assert again.exit_code == 2
    assert again.stderr.endswith("out exists; give another folder, or --force to replace it\n"), again.stderr
    assert feed(place, "--force", "--target", "csv").exit_code == 0
    assert not (place / "out/envoy").exists()
    refused = run(place / "plan", "-s", place / "scenario", "--target", "csv", "-o", place / "scenario", "--force")
    assert refused.exit_code == 2
    assert "holds no feeds" in refused.stderr
    assert (place / "scenario/scenario.toml").is_file()


def test_as_json_it_says_the_same(place: Path) -> None:
    told = json.loads(feed(place, "--format", "json").stdout)
    assert [entry["target"] for entry in told["feeds"]] == ["csv", "envoy"]
    assert told["feeds"][1]["failures"] == ["metro-alpha", "metro-beta", "metro-gamma"]


def test_a_target_that_would_break_the_plan_ends_in_5_and_nothing_is_written(place: Path) -> None:
    with (place / "feeds.toml").open("a") as file:
        file.write('[envoy]\nfailover = "proportional"\n')
    result = feed(place)
    assert result.exit_code == 5
    assert "2.4 replicas busy" in result.stderr
    assert sorted(path.name for path in place.iterdir()) == ["addresses.csv", "feeds.toml", "plan", "scenario"]


def test_a_site_without_an_address_ends_in_4(place: Path) -> None:
    (place / "addresses.csv").write_text("site,model,host,port\nalpha,,127.0.0.1,8001\n")
    result = feed(place)
    assert result.exit_code == 4
    assert "site gamma has no address" in result.stderr
    (place / "addresses.csv").write_text("site,model,host,port\nalpha,,127.0.0.1,0\nalpa,,127.0.0.1,1\n")
    result = feed(place)
    assert result.exit_code == 4
    assert "addresses.csv:2: port = '0'" in result.stderr
    assert "addresses.csv:3: site = 'alpa'" in result.stderr


def test_of_many_reasons_a_person_is_told_the_first_and_a_script_all(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "addresses.csv").write_text("site,model,host,port\n")
    monkeypatch.setattr("placement.cli.feed.MOST_REASONS", 1)
    result = feed(place)
    assert result.exit_code == 4
    assert "site alpha has no address" in result.stderr
    assert "site gamma" not in result.stderr
    assert "... and 1 more; --format json lists them all" in result.stderr
    assert [reason.split()[2] for reason in json.loads(feed(place, "--format", "json").stdout)["reasons"]] == [
        "alpha",
        "gamma",
    ]


def test_a_plan_of_other_inputs_ends_in_6(place: Path) -> None:
    demand = place / "scenario/demand.csv"
    demand.write_text(demand.read_text().replace("24,24", "23,23"))
    result = feed(place)
    assert result.exit_code == 6
    assert "demand differ" in result.stderr


def test_without_a_plan_or_a_target_it_says_what_it_wants(place: Path) -> None:
    assert run().exit_code == 2
    assert run(place / "plan", "-o", place / "out").exit_code == 2
    assert run(place / "plan", "-o", place / "out", "--target", "envoi", "-s", place / "scenario").exit_code == 4


def test_the_feeds_are_listed_with_what_they_can_say() -> None:
    listed = {entry["name"]: entry for entry in json.loads(run("--list", "--format", "json").stdout)}
    assert listed["envoy"]["failover"] == ["planned", "priority", "proportional"]
    assert listed["envoy"]["says"] == ["shares", "unserved"]
    assert "csv" in run("--list").stdout
