"""nearserve topology and nearserve topology diff, as a person and as a nightly job call them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pyarrow.parquet as pq
import pytest
import tiny
from click.testing import CliRunner, Result

from placement.cli import main

HEADER = "observed_at,source,target,method,sent,received,rtt_ms\n"
MONDAY = [("paris", "alpha", 10), ("paris", "beta", 30), ("berlin", "beta", 8), ("berlin", "alpha", 180)]
TUESDAY = [("paris", "alpha", 10), ("paris", "beta", 31), ("berlin", "beta", 170)]
DAYS = ("--from", "2025-12-29", "--to", "2025-12-30", "--window-days", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def measured(day: str, rows: list[tuple[str, str, int]]) -> str:
    return "".join(f"2025-12-{day}T06:00:00Z,{region},{site},icmp,1,1,{ms}\n" for region, site, ms in rows)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    text = HEADER + measured("29", MONDAY) + measured("30", TUESDAY)
    return tiny.write(tmp_path / "scenario", {"measurements/pairs.csv": text})


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The plan of Monday: all of it at beta."""
    monday = {"measurements/pairs.csv": HEADER + measured("29", MONDAY)}
    assert run("plan", tiny.write(tmp_path / "monday", monday), "-o", tmp_path / "plan").exit_code == 0
    return tmp_path / "plan"


def test_help_shows_both_commands_with_examples() -> None:
    for arguments in (("--help",), ("-h",)):
        told = " ".join(run("topology", *arguments).output.split())
        assert "Usage:" in told and "topology [OPTIONS] SCENARIO" in told and "--output" in told
        assert "diff What moved between two days" in told
        assert "Example: nearserve topology atlas-2025" in told and "nearserve topology diff my-scenario --from" in told
    told = " ".join(run("topology", "diff", "--help").output.split())
    assert "nearserve topology diff [OPTIONS] SCENARIO | OLD_DIR NEW_DIR" in told.replace(
        "main topology", "nearserve topology"
    )
    assert "Example: nearserve topology diff my-scenario --from 2026-11-20" in told
    assert "--format [table|json]" in told


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, placement.cli; placement.cli.main(['topology', 'diff', '--help'], standalone_mode=False); "
        "print(sorted(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("numpy", "pandas", "duckdb", "pydantic", "networkx") if f"'{name}'" in out]


def test_without_a_scenario_or_with_a_strange_one_it_ends_as_before() -> None:
    assert run("topology").exit_code == 2
    assert run("topology", "no-such-place").exit_code == 4


def test_options_may_come_before_the_scenario_and_a_folder_called_diff_is_reached_by_its_path(
    tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(run("topology", "--format", "json", scenario).stdout)
    assert told["coverage"][-1]["measured"] == 4
    monkeypatch.chdir(tmp_path)
    scenario.rename("diff")
    assert json.loads(run("topology", "./diff", "--format", "json").stdout)["coverage"] == told["coverage"]
    assert run("topology", "diff").exit_code == 2


def test_the_environment_and_the_config_file_still_speak_to_topology(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "nearserve.toml"
    config.write_text('[topology]\nformat = "json"\n[topology.diff]\nwindow-days = 1\n')
    assert json.loads(run("--config", config, "topology", scenario).stdout)["coverage"]
    days = ("--from", "2025-12-29", "--to", "2025-12-30", "--format", "json")
    assert (
        json.loads(run("--config", config, "topology", "diff", scenario, *days).stdout)["after"] == "2025-12-30 alone"
    )
    monkeypatch.setenv("NEARSERVE_TOPOLOGY_OUTPUT", str(tmp_path / "out"))
    assert run("topology", scenario).exit_code == 0
    assert (tmp_path / "out" / "pairs.parquet").exists()


def test_topology_says_how_well_the_pairs_are_known(scenario: Path) -> None:
    result = run("topology", scenario)
    assert "2 regions × 2 sites = 4 pairs, newest observation 2025-12-30 06:00 UTC" in result.output
    told = json.loads(run("topology", scenario, "--format", "json").stdout)
    kinds = {row["kind"]: row for row in told["kinds"]}
    assert list(kinds) == ["measured"]
    # berlin – alpha was not measured on Tuesday: of four pairs three are as new as the newest, one is a day older
    assert (kinds["measured"]["pairs"], kinds["measured"]["age_p50"], kinds["measured"]["age_max"]) == (4, 0.0, 1.0)
    assert (kinds["measured"]["share"], kinds["measured"]["demand"], kinds["measured"]["width"]) == (1.0, 1.0, 0.0)


def test_what_is_not_known_weighs_by_the_nearest_site(tmp_path: Path) -> None:
    """paris asks for 8 of 14 requests/s and is measured; berlin for 6, and nothing is known."""
    rows = HEADER + measured("29", [("paris", "alpha", 10), ("lisbon", "alpha", 10)])
    scenario = tiny.write(tmp_path / "scenario", {"measurements/pairs.csv": rows})
    kinds = {row["kind"]: row for row in json.loads(run("topology", scenario, "--format", "json").stdout)["kinds"]}
    assert (kinds["measured"]["pairs"], kinds["unknown"]["pairs"]) == (1, 3)
    assert kinds["measured"]["demand"] == pytest.approx(8 / 14)
    assert kinds["unknown"]["demand"] == pytest.approx(6 / 14)
    assert kinds["unknown"]["width"] is None and kinds["unknown"]["age_p50"] is None
    shown = run("topology", scenario).output
    assert "unmapped: 1 name stands for no region and no site (1 record): lisbon" in shown


def test_the_output_holds_a_map_with_a_dot_for_each_region(tmp_path: Path) -> None:
    rows = HEADER + measured("29", [("paris", "alpha", 10)])
    scenario = tiny.write(tmp_path / "scenario", {"measurements/pairs.csv": rows})
    assert run("topology", scenario, "-o", tmp_path / "out").exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "findings.parquet", "graph.graphml", "map.svg", "pairs.parquet", "places.parquet"
    }  # fmt: skip
    tree = ElementTree.parse(tmp_path / "out" / "map.svg")
    titles = [title.text for title in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert "Paris (paris): alpha, 10 ms, measured" in titles
    assert "Berlin (berlin): no site is known" in titles


def test_a_place_that_cannot_be_written_is_told_with_the_mend(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for place, asked in (
        (tmp_path / "file" / "out", ["topology", scenario]),
        (tmp_path / "file" / "moved.parquet", ["topology", "diff", scenario, *DAYS]),
    ):
        result = run(*asked, "-o", place)
        assert result.exit_code == 2
        assert f"nearserve: {place}: cannot be written (" in result.output
        assert "name another place with -o" in result.output


def test_a_folder_without_findings_is_not_one_where_all_findings_are_gone(scenario: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("topology", scenario, "-o", tmp_path / name).exit_code == 0
    (tmp_path / "two" / "findings.parquet").unlink()
    result = run("topology", "diff", tmp_path / "one", tmp_path / "two")
    assert result.exit_code == 4
    assert "two/findings.parquet: there is no such file; `nearserve topology SCENARIO -o" in result.output


def test_the_graph_may_keep_the_nearest_sites_alone(scenario: Path, tmp_path: Path) -> None:
    assert run("topology", scenario, "-o", tmp_path / "out", "--nearest", "1").exit_code == 0
    graph = nx.read_graphml(tmp_path / "out" / "graph.graphml")
    edges = {(one, other) for one, other, kind in graph.edges(data="kind") if kind == "pair"}
    assert edges == {("region:paris", "site:alpha"), ("region:berlin", "site:beta")}
    assert pq.read_table(tmp_path / "out" / "pairs.parquet").num_rows == 4


def test_the_difference_of_two_days_and_of_the_folders_of_these_days_is_the_same(
    tmp_path: Path, scenario: Path
) -> None:
    of_days = json.loads(run("topology", "diff", scenario, *DAYS, "--format", "json").stdout)
    folders = []
    for day, rows in (("29", MONDAY), ("30", TUESDAY)):
        one = tiny.write(tmp_path / f"s{day}", {"measurements/pairs.csv": HEADER + measured(day, rows)})
        folders.append(tmp_path / f"t{day}")
        assert run("topology", one, "-o", folders[-1]).exit_code == 0
    of_folders = json.loads(run("topology", "diff", *folders, "--format", "json").stdout)
    # that berlin – alpha has only records before its window is seen where these records are
    assert [row.pop("why")[:6] for row in of_days["moved"]] == ["", "stale:"]
    assert [row.pop("why") for row in of_folders["moved"]] == ["", ""]
    for names in ("before", "after", "findings"):
        del of_days[names], of_folders[names]
    assert of_days == of_folders
    latency = {name: count for name, count in of_days["counts"]["latency"].items() if count}
    assert latency == {"slower": 1, "lost": 1}
    assert [(row["region"], row["site"], row["latency"]) for row in of_days["moved"]] == [
        ("berlin", "beta", "slower"),  # 6/s · 162 ms
        ("berlin", "alpha", "lost"),
    ]


def test_a_day_against_itself_has_nothing_to_tell(scenario: Path, plan: Path) -> None:
    same = ("--from", "2025-12-29", "--to", "2025-12-29", "--window-days", "1")
    result = run("topology", "diff", scenario, *same, "--plan", plan)
    assert result.exit_code == 0
    assert "nothing moved in 4 pairs" in result.output
    assert "the plan holds" in result.output.splitlines()[-1]


def test_a_plan_of_a_percentile_holds_while_nothing_moves_and_a_wider_interval_moves_it_not(tmp_path: Path) -> None:
    """Paris to alpha by averages: √(100 · 173) = 131.53 ms on the first day; on the second 80 … 216.2 ms, √ = 131.51.

    What 200 ms bear is 150: by the upper end alpha would be too far on either day, and 43 ms further on the second.
    """
    header = "observed_at,source,target,method,received,rtt_min_ms,rtt_avg_ms\n"
    days = {"29": (100, 140), "30": (80, 176)}
    rows = "".join(
        f"2025-12-{day}T06:00:00Z,paris,alpha,imported:x,3,{least},{mean}\n" for day, (least, mean) in days.items()
    )
    one = {"regions.csv": (tiny.FILES["regions.csv"] or "").replace("berlin,Berlin,DE,52.52,13.40,3000000\n", ""),
           "demand.csv": (tiny.FILES["demand.csv"] or "").replace("berlin,m8,chat,6,6\n", ""),
           "scenario.toml": (tiny.FILES["scenario.toml"] or "") + "\n[uncertainty]\npercentile = 0.5\n",
           "measurements/pairs.csv": header + rows}  # fmt: skip
    first = {**one, "measurements/pairs.csv": header + rows.splitlines(keepends=True)[0]}
    both, day_one = tiny.write(tmp_path / "both", one), tiny.write(tmp_path / "one", first)
    assert run("plan", day_one, "-o", tmp_path / "plan").exit_code == 0
    for to in ("2025-12-29", "2025-12-30"):
        days_ = ("--from", "2025-12-29", "--to", to, "--window-days", "1")
        told = json.loads(run("topology", "diff", both, *days_, "--plan", tmp_path / "plan", "--format", "json").stdout)
        assert (told["counts"]["latency"]["raised"], told["moved"]) == (0, [])
        assert (told["plan"]["holds"], told["plan"]["missing"], told["plan"]["requests_per_s"]) == (True, 0.0, 8.0)


def test_a_plan_that_no_longer_holds_ends_with_exit_6_and_says_how_to_mend_it(scenario: Path, plan: Path) -> None:
    result = run("topology", "diff", scenario, *DAYS, "--plan", plan)
    assert result.exit_code == 6
    # 170 + 50 = 220 of 200 ms
    assert "2 latency: berlin/m8/chat to m8-one at beta: 220 ms where 200 are allowed" in result.output
    assert "the plan no longer holds: 1 class misses its budget, 1 promise broken" in result.output
    assert f"plan again: nearserve plan {scenario} -o NEW_PLAN --start {plan}" in result.output
    told = json.loads(run("topology", "diff", scenario, *DAYS, "--plan", plan, "--format", "json").stdout)["plan"]
    assert (told["holds"], told["requests_per_s"], told["missing_before"], told["missing"]) == (False, 14.0, 0.0, 6.0)
    assert (told["met_before"], told["met"]) == (1.0, pytest.approx(8 / 14))


def test_without_a_plan_a_move_is_no_failure(scenario: Path) -> None:
    assert run("topology", "diff", scenario, *DAYS).exit_code == 0


def test_every_pair_that_moved_goes_into_a_file(scenario: Path, tmp_path: Path) -> None:
    assert run("topology", "diff", scenario, *DAYS, "-o", tmp_path / "moved.parquet", "--top", "1").exit_code == 0
    assert pq.read_table(tmp_path / "moved.parquet")["site"].to_pylist() == ["beta", "alpha"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("one",), "--from and --to DAY"),
        (("one", "--from", "2025-12-30"), "--to DAY"),
        (("one", "--from", "2025-12-31", "--to", "2025-12-30"), "--from is after --to"),
        (("one", "two", "--from", "2025-12-30"), "--from goes with one scenario"),
        (("one", "two", "three"), "not 3 names"),
        (("one", "two", "--scenario", "x"), "--scenario goes with --plan"),
        (("one", "--from", "yesterday", "--to", "2025-12-30"), "yesterday"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(arguments: tuple[str, ...], told: str) -> None:
    result = run("topology", "diff", *arguments)
    assert result.exit_code == 2
    assert told in re.sub(r"\s+", " ", result.stderr)


def test_bad_data_ends_with_exit_4_and_names_all_of_it(scenario: Path, tmp_path: Path) -> None:
    result = run("topology", "diff", scenario, "--from", "2024-01-01", "--to", "2024-01-02", "--window-days", "1")
    assert result.exit_code == 4
    assert "2024-01-01 alone" in result.stderr and "2024-01-02 alone" in result.stderr
    result = run("topology", "diff", tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 4
    assert all(str(tmp_path / name / "pairs.parquet") in result.stderr for name in "ab")
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("topology", "diff", scenario, *DAYS, "--plan", empty)
    assert result.exit_code == 4 and "plan.json" in result.stderr
