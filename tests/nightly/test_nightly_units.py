"""What runs nights: the units, the CronJob and the alert rules, each by the program that reads it; all in the wheel."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import placement.nightly
from placement.nightly.faults import CODES
from tests.servers import program

FOLDER = Path(placement.nightly.__file__).parent
ROOT = FOLDER.parent.parent
TIME = 1_800_000_000


def test_systemd_takes_both_units_and_finds_the_service_tight(tmp_path: Path) -> None:
    """systemd-analyze looks at whether the program is there, so the copy starts one that is."""
    analyze = program("systemd-analyze", "systemd")
    for name in ("nearserve-nightly.service", "nearserve-nightly.timer"):
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/local/bin/nearserve", "/bin/true"))
    units = [str(tmp_path / f"nearserve-nightly.{kind}") for kind in ("service", "timer")]
    found = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    found = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", "--threshold=20", units[0]],
        capture_output=True,
        text=True,
        check=False,
    )  # 20 of 100: "OK" in its words
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_timer_goes_off_at_two_in_the_night_utc() -> None:
    when = re.findall(r"^OnCalendar=(.*)$", (FOLDER / "nearserve-nightly.timer").read_text(), re.MULTILINE)
    analyze = program("systemd-analyze", "systemd")
    found = subprocess.run([analyze, "calendar", *when], capture_output=True, text=True, check=True, env={"TZ": "UTC"})
    assert re.search(r"Next elapse: \w+ [\d-]+ 02:00:00 UTC", found.stdout), found.stdout


def test_kubernetes_takes_the_cron_job() -> None:
    validate = program("kubernetes-validate", "kubernetes-validate (from PyPI)")
    path = FOLDER / "cronjob.json"
    found = subprocess.run([validate, "--strict", str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    spec = json.loads(path.read_bytes())["spec"]
    final = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    again = {CODES[reason] for reason in ("crash", "disk_full", "server_down")}
    assert set(final) == (set(CODES.values()) | {2}) - again  # what another try may mend is tried again
    assert spec["concurrencyPolicy"] == "Forbid"


def test_prometheus_takes_the_alert_rules_and_they_fire(tmp_path: Path) -> None:
    """promtool plays series to them: a failure, a death, and an old success with all well otherwise."""
    promtool = program("promtool", "prometheus")
    rules = FOLDER / "alerts.json"
    checked = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "7 rules found" in checked.stdout
    told = {
        f'{name}{{instance="a"{labels}}}': value
        for name, labels, value in (
            ("nearserve_nightly_failed", ',stage="gates",reason="gates"', "1"),
            ("nearserve_nightly_running", "", "1"),
            ("nearserve_nightly_last_run_timestamp_seconds", "", "0"),
            ("nearserve_nightly_last_success_timestamp_seconds", "", "0"),
            ("nearserve_nightly_served_share", "", "0.9"),
        )
    }
    names = ("Failed", "Died", "Stale", "ServesLess", "Locked", "Absent", "NeverWell")
    late = {"Failed", "Died", "Stale", "ServesLess"}
    early = {"Failed", "ServesLess"}
    tests = {
        "rule_files": [str(rules)],
        "evaluation_interval": "10m",
        "tests": [
            {
                "interval": "10m",
                "input_series": [{"series": name, "values": f"{value}x300"} for name, value in told.items()],
                "alert_rule_test": [
                    {"eval_time": at, "alertname": f"NearserveNightly{name}", "exp_alerts": _expected(name in fires)}
                    for at, fires in (("4h", early), ("30h", late))
                    for name in names
                ],
            }
        ],
    }
    for test in tests["tests"]:
        for one in test["alert_rule_test"]:
            for alert in one["exp_alerts"]:
                alert.update(_labels(one["alertname"]))
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    played = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "tests.json")], capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr


def _expected(fires: bool) -> list[dict[str, object]]:
    return [{}] if fires else []


def _labels(alert: str) -> dict[str, object]:
    """Labels and annotations that an alert has for these series."""
    rule = next(
        r for r in json.loads((FOLDER / "alerts.json").read_bytes())["groups"][0]["rules"] if r["alert"] == alert
    )
    labels = {"instance": "a"} | ({"stage": "gates", "reason": "gates"} if alert.endswith("Failed") else {})
    said = {
        key: text.replace("{{ $labels.reason }}", "gates").replace("{{ $labels.stage }}", "gates")
        for key, text in rule["annotations"].items()
    }
    return {"exp_labels": labels | rule["labels"], "exp_annotations": said}


def test_every_metric_of_the_rules_is_one_that_nights_tell() -> None:
    source = (FOLDER / "metrics.py").read_text()
    told = {name for rule in json.loads((FOLDER / "alerts.json").read_bytes())["groups"][0]["rules"]
            for name in re.findall(r"nearserve_nightly_(\w+)", rule["expr"])}  # fmt: skip
    assert told
    assert all(f'"{name}"' in source for name in told), told


def test_they_ship_in_the_wheel() -> None:
    """Hatchling takes every file of a package that git does not ignore, unless told otherwise."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "placement" in build["packages"]
    assert "exclude" not in build
    for name in ("nearserve-nightly.service", "nearserve-nightly.timer", "cronjob.json", "alerts.json"):
        ignored = subprocess.run(["git", "check-ignore", "-q", str(FOLDER / name)], cwd=ROOT, check=False)
        assert (FOLDER / name).is_file() and ignored.returncode == 1
