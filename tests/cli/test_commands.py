"""The commands as a new user meets them: what they print, and how they end."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import tiny
from click.testing import CliRunner, Result

from placement.cli import COMMANDS, main
from placement.cli.imports import KINDS
from probes.importers import FORMATS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "scenario")


def leaves(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands that do something: those of a group in its place."""
    found: click.Command = main
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word) or pytest.fail(word)
    if not isinstance(found, click.Group):
        return [words]
    return [leaf for name in found.list_commands(click.Context(found)) for leaf in leaves((*words, name))]


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"probe"}))  # its own page: test_probe_commands.py
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert f"Example: nearserve {name}" in " ".join(run(name, "--help").output.split())
    for words in leaves((name,)):
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert f"Example: nearserve {' '.join(words)}" in " ".join(result.output.split())
        assert "--format [table|json]" in result.output


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, placement.cli; placement.cli.main(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'click'" in out
    assert not [name for name in ("numpy", "pandas", "ortools", "duckdb", "pydantic", "rich") if f"'{name}'" in out]


def test_plan_then_audit_ends_well_and_says_what_it_found(scenario: Path, tmp_path: Path) -> None:
    planned = run("plan", scenario, "-o", tmp_path / "plan")
    assert planned.exit_code == 0
    for text in ("328.84 USD a month", "p50 58 ms, p95 80 ms", "100.000 % of requests", "verified gap", "1 of 2"):
        assert text in planned.output, text
    audited = run("audit", tmp_path / "plan", "--scenario", scenario)
    assert audited.exit_code == 0
    assert "audit: passed" in audited.output


def test_plan_as_json_is_the_plan_document(scenario: Path, tmp_path: Path) -> None:
    result = run("plan", scenario, "-o", tmp_path / "plan", "--format", "json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "plan" / "plan.json").read_bytes())


def test_a_tampered_plan_fails_its_audit_with_exit_5(scenario: Path, tmp_path: Path) -> None:
    run("plan", scenario, "-o", tmp_path / "plan")
    path = tmp_path / "plan" / "plan.json"
    document = json.loads(path.read_bytes())
    document["replicas"][0]["count"] = 1
    path.write_text(json.dumps(document))
    result = run("audit", tmp_path / "plan", "--scenario", scenario)
    assert result.exit_code == 5
    assert "4 replica capacity" in result.output
    assert "FAILED" in result.output


def test_bad_data_ends_with_exit_4_names_every_error_and_writes_nothing(tmp_path: Path) -> None:
    bad = tiny.FILES["demand.csv"].replace("paris,m8,chat,8,4", "paris,m9,chat,-8,4")
    scenario = tiny.write(tmp_path / "scenario", {"demand.csv": bad})
    for command in (("check", scenario), ("plan", scenario, "-o", tmp_path / "plan"), ("topology", scenario)):
        result = run(*command)
        assert result.exit_code == 4, command
        assert "m9" in result.stderr and "-8" in result.stderr and "demand.csv" in result.stderr
    assert not (tmp_path / "plan").exists()


def test_a_rule_of_later_work_is_refused_by_name(tmp_path: Path) -> None:
    changed = tiny.edited("sites.csv", "usd_per_kwh,pue\n", "usd_per_kwh,pue,storage_gb\n")
    changed["sites.csv"] = (changed["sites.csv"] or "").replace("0.1,1.5\n", "0.1,1.5,500\n")
    scenario = tiny.write(tmp_path / "scenario", changed)
    checked = run("check", scenario)
    assert checked.exit_code == 0
    assert "storage_gb" in checked.output
    result = run("plan", scenario, "-o", tmp_path / "plan")
    assert result.exit_code == 4
    assert "storage_gb" in result.stderr
    assert not (tmp_path / "plan").exists()


def test_a_rule_that_the_search_cannot_honour_is_refused_by_name(tmp_path: Path) -> None:
    text = (tiny.FILES["scenario.toml"] or "") + '[objective]\ngoals = ["served", "latency", "cost"]\n'
    scenario = tiny.write(tmp_path / "scenario", {"scenario.toml": text})
    result = run("plan", scenario, "-o", tmp_path / "plan", "--method", "scale")
    assert result.exit_code == 4
    assert "goals served, latency, cost" in result.stderr and "--method exact" in result.stderr
    assert not (tmp_path / "plan").exists()


def test_a_job_that_fits_nowhere_ends_with_exit_3_and_points_to_explain(tmp_path: Path) -> None:
    jobs = "job,kind,model,gpu,gpus,hours\ntune,finetune,m8,g96,2,100\n"
    nothing = "period,delivery_group,server,quantity\n,,s2,0\n"
    scenario = tiny.write(tmp_path / "scenario", {"jobs.csv": jobs, "deliveries.csv": nothing})
    result = run("plan", scenario, "-o", tmp_path / "plan")
    assert result.exit_code == 3
    assert "nearserve explain" in result.stderr
    assert not (tmp_path / "plan").exists()


@pytest.mark.parametrize("method", ["auto", "scale"])
def test_a_job_whose_data_arrive_nowhere_in_time_is_named(method: str, tmp_path: Path) -> None:
    """Half a kW at alpha holds no server, and over 1 Mbit/s 500 GB take 1,111 hours, where 19 days are left."""
    head = "job,kind,model,gpu,gpus,hours,deadline,data_gb,data_site\n"
    jobs = head + "near,finetune,m8,g96,2,100,,,\nfar,finetune,m8,g96,2,100,2026-01-20,500,alpha\n"
    sites = tiny.FILES["sites.csv"].replace("48.86,2.35,10,42,1000,", "48.86,2.35,0.5,42,1,")
    scenario = tiny.write(tmp_path / "scenario", {"jobs.csv": jobs, "sites.csv": sites})
    result = run("plan", scenario, "-o", tmp_path / "plan", "--method", method)
    assert result.exit_code == 3, result.stderr
    assert "no way to run far: no site" in result.stderr and "nearserve explain" in result.stderr
    assert not (tmp_path / "plan").exists()


def test_an_existing_plan_is_replaced_only_with_force(scenario: Path, tmp_path: Path) -> None:
    assert run("plan", scenario, "-o", tmp_path / "plan").exit_code == 0
    assert run("plan", scenario, "-o", tmp_path / "plan").exit_code == 2
    assert run("plan", scenario, "-o", tmp_path / "plan", "--force").exit_code == 0


def test_a_scenario_that_does_not_exist_is_named_with_those_that_do() -> None:
    result = run("check", "no-such-place")
    assert result.exit_code == 4
    assert "no-such-place" in result.stderr and "atlas-2025" in result.stderr


def test_check_lists_what_is_assumed(scenario: Path) -> None:
    result = run("check", scenario)
    assert result.exit_code == 0
    assert "round_trips" in result.output and "bandwidth_free_kbyte" in result.output
    assert {a["column"] for a in json.loads(run("check", scenario, "--format", "json").stdout)["assumed"]} >= {
        "round_trips"
    }


def test_init_makes_a_scenario_that_checks_and_plans(tmp_path: Path) -> None:
    made = run("init", tmp_path / "mine")
    assert made.exit_code == 0
    assert run("check", tmp_path / "mine").exit_code == 0
    assert run("plan", tmp_path / "mine", "-o", tmp_path / "plan").exit_code == 0
    again = run("init", tmp_path / "mine")
    assert again.exit_code == 2


def test_import_offers_every_format_that_there_is() -> None:
    assert sorted(FORMATS) == list(KINDS)


def test_import_adds_records_once_and_the_topology_sees_them(tmp_path: Path) -> None:
    scenario = tiny.write(tmp_path / "scenario", {"measurements/pairs.csv": None})
    text = (
        "PING alpha (192.0.2.1) 56(84) bytes of data.\n"
        "64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=10.0 ms\n"
        "64 bytes from 192.0.2.1: icmp_seq=2 ttl=57 time=12.0 ms\n\n"
        "--- alpha ping statistics ---\n"
        "3 packets transmitted, 2 received, 33.3333% packet loss, time 2003ms\n"
        "rtt min/avg/max/mdev = 10.000/11.000/12.000/1.000 ms\n"
    )
    (tmp_path / "ping.txt").write_text(text)
    arguments = ("import", tmp_path / "ping.txt", "--as", "ping", "--source", "paris", "--target", "alpha")
    stamp = ("--observed-at", "2025-12-30", "-o", scenario / "measurements", "--format", "json")
    first = json.loads(run(*arguments, *stamp).stdout)
    assert first["files"] == [{"file": str(tmp_path / "ping.txt"), "records": 1, "lost": 1, "bad": 0}]
    files = sorted((scenario / "measurements").rglob("*.parquet"))
    run(*arguments, *stamp)
    assert sorted((scenario / "measurements").rglob("*.parquet")) == files
    result = run("topology", scenario, "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["coverage"]


def test_options_come_from_the_config_file_then_the_environment_then_flags(scenario: Path, tmp_path: Path) -> None:
    config = tmp_path / "nearserve.toml"
    config.write_text('[plan]\nformat = "json"\ngap = 0.5\n[check]\nformat = "json"\n')
    result = run("--config", config, "plan", scenario, "-o", tmp_path / "plan", "--gap", "0.25")
    assert json.loads(result.stdout)["provenance"]["parameters"]["gap"] == 0.25
    other = run("--config", config, "plan", scenario, "-o", tmp_path / "other")
    assert json.loads(other.stdout)["provenance"]["parameters"]["gap"] == 0.5


def test_doctor_finds_a_whole_installation() -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "BROKEN" not in result.output


def test_doctor_tells_what_probing_lacks_without_calling_it_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/sbin")  # ip stays, iperf3 is out of reach
    result = run("doctor", "--format", "json")
    assert result.exit_code == 0, result.output
    found = {row["check"]: row for row in json.loads(result.stdout)}
    assert found["iperf3"]["state"] == "absent" and "not installed" in found["iperf3"]["detail"]
    assert found["kernel time stamps"]["ok"]
    either = [found[name] for name in ("ICMP, no root", "ICMP, raw")]
    assert all(row["ok"] or "sysctl" in row["detail"] or "CAP_NET_RAW" in row["detail"] for row in either)


def test_datasets_lists_what_is_bundled() -> None:
    names = {row["name"] for row in json.loads(run("datasets", "--format", "json").stdout)}
    assert {"atlas-2025", "intercloud-2022"} <= names
