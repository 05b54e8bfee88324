"""`nearserve probe targets`: what a person and an agent get of the needs of a small world."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner, Result

from placement.cli import main
from probes.agent.targets import read_targets

ENDPOINTS = """
endpoint,kind,region,site
192.0.2.1,address,,alpha
2001:db8::1,address,,alpha
beta.example.net,host,,beta
198.51.100.9,address,paris,
AS64500,asn,berlin,
"""
NEW_YEAR = ("--as-of", "2026-01-01")  # to its end; measured on 2025-12-31
# 160 ms may have been 145 ms since: 150 ms are bearable
NEARLY = tiny.edited("measurements/pairs.csv", "180;180;180", "160;160;160")
STALE = (*NEW_YEAR, "--max-age-days", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["probe", "targets", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "scenario", {"endpoints.csv": ENDPOINTS, **NEARLY})


def test_the_pairs_stand_in_their_order_with_reason_and_score(scenario: Path) -> None:
    result = run(scenario, *STALE)
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines() if " stale" in line]
    assert [row[:4] for row in rows] == [
        ["berlin", "alpha", "stale*", "0.586"],
        ["paris", "beta", "stale", "0.00968"],
        ["paris", "alpha", "stale", "0.00108"],
        ["berlin", "beta", "stale", "0.00103"],
    ]
    assert "requests/s: what the answer may change" in result.stdout


def test_what_is_fresh_is_counted_and_not_listed(scenario: Path) -> None:
    report = json.loads(run(scenario, *NEW_YEAR, "--format", "json").stdout)
    assert (report["pairs"], report["fresh"], report["needed"]) == ([], 4, 0)
    assert (report["as_of"], report["max_age_days"]) == ("2026-01-01", 30)


def test_an_agent_reads_the_list_and_its_order(scenario: Path, tmp_path: Path) -> None:
    path = tmp_path / "targets.jsonl"
    assert run(scenario, *STALE, "--source", "berlin", "-o", path, "--method", "icmp").exit_code == 0
    targets = read_targets(path)
    assert [(t.host, t.methods, t.every) for t in targets] == [
        ("192.0.2.1", ("icmp",), 1),
        ("2001:db8::1", ("icmp",), 1),
        ("beta.example.net", ("icmp",), 4),
    ]


def test_a_folder_gets_a_list_for_each_source(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    assert run(scenario, *STALE, "-o", tmp_path / "lists").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "lists").iterdir()) == ["berlin.jsonl", "paris.jsonl"]
    assert [t.every for t in read_targets(tmp_path / "lists" / "paris.jsonl")] == [4, 4, 4]


def test_the_same_inputs_give_the_same_bytes(scenario: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(scenario, *STALE, "-o", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""
    assert run(scenario, *STALE, "--format", "json").stdout == run(scenario, *STALE, "--format", "json").stdout


def test_ages_count_from_today_unless_a_day_is_given(scenario: Path) -> None:
    before = datetime.now(UTC).date().isoformat()
    report = json.loads(run(scenario, "--format", "json").stdout)
    assert before <= report["as_of"] <= datetime.now(UTC).date().isoformat()


def test_a_limit_keeps_the_first_and_says_how_many_are_left(scenario: Path) -> None:
    report = json.loads(run(scenario, *STALE, "--limit", 1, "--format", "json").stdout)
    assert [(pair["region"], pair["site"]) for pair in report["pairs"]] == [("berlin", "alpha")]
    assert (report["needed"], report["left_out"]) == (4, 3)


def test_a_site_without_an_address_is_measured_from_its_side_or_named(tmp_path: Path) -> None:
    only_paris = "endpoint,kind,region,site\n192.0.2.1,address,,alpha\n198.51.100.9,address,paris,\n"
    scenario = tiny.write(tmp_path / "scenario", {"endpoints.csv": only_paris})
    report = json.loads(run(scenario, *STALE, "--format", "json").stdout)
    assert {(pair["region"], pair["site"]): (pair["source"], pair["addresses"]) for pair in report["pairs"]} == {
        ("berlin", "alpha"): ("berlin", ["192.0.2.1"]),
        ("paris", "alpha"): ("paris", ["192.0.2.1"]),
        ("paris", "beta"): ("beta", ["198.51.100.9"]),
    }
    assert report["without_address"] == {"beta": 1}
    assert [(pair["region"], pair["site"]) for pair in report["first_without_address"]] == [("berlin", "beta")]
    assert "1 pair cannot be measured: no address is known of 1 site: beta" in run(scenario, *STALE).stdout


def test_without_any_address_the_needs_are_still_told(tmp_path: Path) -> None:
    result = run(tiny.write(tmp_path / "scenario", NEARLY), *STALE)
    assert result.exit_code == 0
    assert "no address is known of 2 sites: alpha, beta" in result.stdout
    rows = [line for line in result.stdout.splitlines() if "stale" in line]
    limited = run(tmp_path / "scenario", *STALE, "--limit", 2).stdout
    assert "stale*" in rows[0] and len(rows) == 4
    assert [line for line in limited.splitlines() if "stale" in line] == rows[:2]


def test_bandwidth_is_measured_where_it_is_wanted(tmp_path: Path) -> None:
    services = tiny.FILES["services.csv"].replace("200,5,10", "200,100,10")
    scenario = tiny.write(tmp_path / "scenario", {"endpoints.csv": ENDPOINTS, "services.csv": services})
    run(scenario, *NEW_YEAR, "--bandwidth", "train:863", "--method", "icmp", "-o", tmp_path / "list")
    assert [t.methods for t in read_targets(tmp_path / "list")] == [("icmp", "train:863")] * 3


def test_a_plan_turns_the_score_into_money(scenario: Path, tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["plan", str(scenario), "-o", str(tmp_path / "plan")])
    assert made.exit_code == 0
    report = json.loads(run(scenario, *STALE, "--plan", tmp_path / "plan", "--format", "json").stdout)
    assert report["score_unit"] == "USD a month"
    carried = {(p["region"], p["site"]): p["requests_per_s"] for p in report["pairs"] if p["requests_per_s"]}
    assert carried == {("paris", "beta"): 8.0, ("berlin", "beta"): 6.0}
    assert all(p["decisive"] for p in report["pairs"] if p["site"] == "beta")
    assert [p["change"] for p in report["pairs"] if p["score"]] == ["save", "hold", "hold"]
    said = run(scenario, *STALE, "--plan", tmp_path / "plan").stdout
    assert "chat on m8 could be served for less" in said and "chat on m8 is served there, maybe too late" in said
    assert "USD/month: what the answer may change, times how likely it does" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--source", "rome"), 4, "rome is no region and no site of tiny"),
        (("--plan", "nowhere"), 4, "no plan that can be read"),
        (("--method", "pigeon"), 2, "'pigeon' is no method"),
        (("--method", "tcp:99999"), 2, "no port from 1 to 65535"),
    ],
)
def test_what_cannot_be_done_is_told(scenario: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(scenario, *arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    bad = "endpoint,kind,region,site\nhttps://alpha.example,host,,alpha\nbeta example,host,,beta\n"
    scenario = tiny.write(tmp_path / "scenario", {"endpoints.csv": bad})
    result = run(scenario, *STALE, "-o", tmp_path / "list")
    assert result.exit_code == 4
    assert "'beta example', 'https://alpha.example'" in result.stderr
    assert not (tmp_path / "list").exists()
