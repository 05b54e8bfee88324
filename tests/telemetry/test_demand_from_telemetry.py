"""From rates to the table demand of a scenario that loads and plans, and every way in which that is refused."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from placement.cli import main
from placement.scenario import load
from placement.telemetry.config import TelemetryConfig, read_telemetry_config
from placement.telemetry.demanding import demand_from_telemetry
from placement.telemetry.errors import StaleTelemetryError, TelemetryError
from placement.telemetry.history import merged, read_history, write_history
from placement.telemetry.table import PROVENANCE, plan_demand_sha256, provenance_of, write_demand
from tests.telemetry.rates_world import counted, history_of, intensity
from tests.tiny import FILES

DAYS = 21
START = datetime(2026, 1, 5, 2, tzinfo=UTC)  # a Monday; days are counted from the hour that is planned at
AS_OF = START + timedelta(days=DAYS, minutes=10)
NAMES = [("paris", "m8", "chat"), ("berlin", "m8", "chat"), ("atlantis", "m9", "chat")]
SLICES = "slice,start_utc,hours_per_day\nnight,22:00,8\nday,06:00,16\n"


def scenario(folder: Path, **other: str) -> Path:
    """The tiny scenario, with files added or put in its place."""
    for name, text in (FILES | {name.replace("__", "."): text for name, text in other.items()}).items():
        path = folder / "scenario" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    return folder / "scenario"


def past(
    days: int = DAYS, levels: tuple[float, ...] = (6.0, 3.0, 0.05), seed: int = 1, weekend: float = 0.6
) -> pd.DataFrame:
    """The history that ends at AS_OF's hour."""
    rates = counted(intensity(np.array(levels), np.array([1, 1, 1]), days, weekend), seed)
    first = int((START + timedelta(days=DAYS - days)).timestamp()) // 3600
    return history_of(rates, NAMES, first)


def config(folder: Path, history: pd.DataFrame | None = None, **other: object) -> TelemetryConfig:
    """A configuration whose source adds nothing to the history that is written."""
    write_history(past() if history is None else history, folder / "history.parquet")
    (folder / "rates.csv").write_text("observed_at,region,model,service,value\n")
    files = {"paths": [folder / "rates.csv"], "kind": "rates"}
    return TelemetryConfig.model_validate({"history": folder / "history.parquet", "files": files, **other})


def test_the_table_is_the_quantile_of_each_slice_and_the_scenario_loads_with_it(tmp_path: Path) -> None:
    demand = "region,model,service,requests_per_s,residency\nparis,m8,chat,8,\nberlin,m8,chat,6,eu\n"
    toml = FILES["scenario.toml"] + '[limits]\ndefault_residency = "all"\n'
    tables = {
        "slices__csv": SLICES,
        "demand__csv": demand,
        "residency__csv": "residency,country\neu,DE\nall,DE\nall,FR\n",
    }
    folder = scenario(tmp_path, scenario__toml=toml, **tables)
    expected = demand_from_telemetry(config(tmp_path, past(weekend=1.0), quantile=0.9), folder, AS_OF)
    write_demand(expected, folder)
    table = load(folder).table("demand").set_index(["region", "slice"])
    true = intensity(np.array([6.0, 3.0]), np.array([1, 1]), 1)[:, 0]  # by five minutes
    draws = np.random.default_rng(5).poisson(true[None] * 300, (4000, 2, 288)) / 300
    # 00:00 to 24:00 of rates_world is 02:00 to 02:00 of UTC
    hour = (np.arange(288) // 12 + 2) % 24
    for j, region in enumerate(("paris", "berlin")):
        for name, at in (("day", (hour >= 6) & (hour < 22)), ("night", (hour < 6) | (hour >= 22))):
            row = table.loc[(region, name)]
            assert row["requests_per_s"] == pytest.approx(np.quantile(draws[:, j, at].max(axis=1), 0.9), rel=0.1)
            assert row["mean_requests_per_s"] == pytest.approx(true[j, at].mean(), rel=0.06)
            assert row["residency"] == ("eu" if region == "berlin" else "")
    assert len(table) == 4


def test_what_a_plan_is_made_of_is_found_by_its_hash(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    expected = demand_from_telemetry(config(tmp_path), folder, AS_OF)
    write_demand(expected, folder)
    loaded = load(folder)
    found = provenance_of(folder, loaded.sha256["demand"])
    assert found == json.loads(json.dumps(expected.provenance))
    assert found["settings"]["quantile"] == 0.9
    assert found["history"]["days"] == DAYS
    assert found["history"]["last_hour"] == "2026-01-26T01:00Z"
    assert found["classes"]["unmapped_names"] == ["atlantis m9 chat"]
    runner = CliRunner()
    made = runner.invoke(main, ["plan", str(folder), "-o", str(tmp_path / "plan"), "--work", "5"])
    assert made.exit_code == 0, made.output
    assert plan_demand_sha256(tmp_path / "plan") == found["demand_sha256"]
    said = runner.invoke(main, ["demand", "show", str(folder), "--plan", str(tmp_path / "plan")])
    assert (said.exit_code, "0.9 quantile" in said.output) == (0, True)
    (folder / "demand.csv").write_text(FILES["demand.csv"].lstrip())
    said = runner.invoke(main, ["demand", "show", str(folder)])
    assert (said.exit_code, "is not the one" in said.output) == (4, True)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    for _ in range(2):
        write_demand(demand_from_telemetry(config(tmp_path), folder, AS_OF), folder, keep_old=True)
    assert (folder / "demand.csv").read_bytes() == (folder / "demand.csv.old").read_bytes()


@pytest.mark.parametrize(
    ("choice", "rows"), [("keep", {"paris": 5.0, "berlin": None}), ("drop", {"berlin": None}), ("refuse", None)]
)
def test_classes_that_nobody_saw_are_kept_dropped_or_refused_as_said(
    tmp_path: Path, choice: str, rows: dict[str, float | None] | None
) -> None:
    folder = scenario(tmp_path, demand__csv="region,model,service,requests_per_s\nparis,m8,chat,5\nberlin,m8,chat,1\n")
    history = past()
    settings = config(tmp_path, history[history["region"] != "paris"], without_telemetry=choice)
    if rows is None:
        with pytest.raises(TelemetryError, match=r"1 classes of demand have no telemetry.*paris m8 chat"):
            demand_from_telemetry(settings, folder, AS_OF)
        return
    expected = demand_from_telemetry(settings, folder, AS_OF)
    found = dict(zip(expected.frame["region"], expected.frame["requests_per_s"], strict=True))
    assert set(found) == set(rows)
    assert found.get("paris") == rows.get("paris")
    assert any("paris m8 chat" in line for line in expected.told)


def test_later_periods_keep_their_proportion_to_the_first(tmp_path: Path) -> None:
    rows = "paris,m8,chat,2027-H1,8\nparis,m8,chat,2027-H2,20\nberlin,m8,chat,2027-H1,6\nberlin,m8,chat,2027-H2,6\n"
    folder = scenario(tmp_path, demand__csv="region,model,service,period,requests_per_s\n" + rows)
    frame = demand_from_telemetry(config(tmp_path), folder, AS_OF).frame.set_index(["region", "period"])
    rate = frame["requests_per_s"]
    assert rate["paris", "2027-H2"] / rate["paris", "2027-H1"] == pytest.approx(2.5, rel=1e-4)
    assert rate["berlin", "2027-H2"] == rate["berlin", "2027-H1"]


def late(history: pd.DataFrame) -> pd.DataFrame:
    return history.assign(observed_at=history["observed_at"] - timedelta(hours=30))


def ahead(history: pd.DataFrame) -> pd.DataFrame:
    return history.assign(observed_at=history["observed_at"] + timedelta(hours=3))


def holed(history: pd.DataFrame) -> pd.DataFrame:
    return history[history["observed_at"].dt.hour % 4 != 0]


def jumped(history: pd.DataFrame) -> pd.DataFrame:
    """Each of nine days greater by more than the one before was."""
    new = history["observed_at"] > AS_OF - timedelta(days=9)
    days = (history["observed_at"].dt.day_of_year).where(new, 0)
    factor = np.where(new, 1.2 ** ((days - days[new].min()).clip(lower=0) ** 2), 1.0)
    figures = {name: history[name] * factor for name in ("requests_per_s", "peak_requests_per_s")}
    return history.assign(**figures)


def changed_units(history: pd.DataFrame) -> pd.DataFrame:
    factor = np.where(history["observed_at"] > AS_OF - timedelta(days=7), 1000.0, 1.0)
    return history.assign(**{name: history[name] * factor for name in ("requests_per_s", "peak_requests_per_s")})


@pytest.mark.parametrize(
    ("change", "other", "error", "told"),
    [
        (late, {}, StaleTelemetryError, "ended 30.2 hours ago, more than max_age_hours = 26"),
        (ahead, {}, TelemetryError, "hours up to 2026-01-26T04:00Z, after .* 2026-01-26T02:10Z: the clock is wrong"),
        (holed, {}, TelemetryError, "25.* of the classes' hours are absent"),
        (lambda h: h[h["observed_at"] > AS_OF - timedelta(days=12)], {}, TelemetryError, "11 days of history"),
        (lambda h: h, {"max_unmapped_share": 0.001}, TelemetryError, "belong to no class.*atlantis m9 chat"),
        (lambda h: h[h["region"] == "atlantis"], {}, TelemetryError, "no class that was seen.*atlantis m9 chat"),
        (jumped, {}, TelemetryError, r"only .* were not exceeded"),
        (changed_units, {}, TelemetryError, r"widened by 1.* times each class' level, and max_widened = 2"),
        (lambda h: h.iloc[:0], {}, TelemetryError, "nothing was seen at all"),
    ],
)
def test_telemetry_that_cannot_be_relied_on_is_refused_and_the_table_stays(
    tmp_path: Path, change: object, other: dict[str, object], error: type[TelemetryError], told: str
) -> None:
    folder = scenario(tmp_path, slices__csv=SLICES)
    before = (folder / "demand.csv").read_bytes()
    settings = config(tmp_path, change(past()), **other)  # type: ignore[operator]
    with pytest.raises(error, match=told) as caught:
        demand_from_telemetry(settings, folder, AS_OF)
    assert type(caught.value) is error
    assert (folder / "demand.csv").read_bytes() == before
    assert not (folder / PROVENANCE).exists()


def test_a_day_that_is_left_out_teaches_nothing(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    history = past(levels=(6.0, 3.0, 0.0))
    holiday = history["observed_at"].dt.strftime("%Y-%m-%d") == "2026-01-20"
    for name in ("requests_per_s", "peak_requests_per_s"):
        history[name] = history[name].where(~holiday, history[name] * 10)
    rates = {}
    for name, days in (("in", []), ("out", ["2026-01-20"])):
        settings = config(tmp_path, history, left_out=days, coverage_slack=1.0, max_widened=100)
        rates[name] = demand_from_telemetry(settings, folder, AS_OF).frame["requests_per_s"].to_numpy()
    calm = demand_from_telemetry(config(tmp_path, past(levels=(6.0, 3.0, 0.0))), folder, AS_OF)
    assert rates["out"] == pytest.approx(calm.frame["requests_per_s"].to_numpy(), rel=0.1)
    assert (rates["in"] > rates["out"] * 1.3).all()


def test_the_history_is_added_to_and_the_better_seen_hour_stays(tmp_path: Path) -> None:
    history = past(days=2)
    worse = history.assign(windows=9, requests_per_s=0.0, peak_requests_per_s=0.0)
    for frame in (merged(history, worse.iloc[:50]), merged(worse, history)):
        pd.testing.assert_frame_equal(frame, history)
    write_history(history, tmp_path / "history.parquet")
    pd.testing.assert_frame_equal(read_history(tmp_path / "history.parquet"), history)


def test_a_history_that_was_meddled_with_is_told_fault_by_fault(tmp_path: Path) -> None:
    history = past(days=2).astype({"windows": int})
    history.loc[0, "requests_per_s"] = -1.0
    history.loc[1, "windows"] = 13
    history.loc[2, "peak_requests_per_s"] = history.loc[2, "requests_per_s"] / 2
    again = pd.concat([history, history.iloc[[7]]], ignore_index=True)
    again.to_parquet(tmp_path / "history.parquet")
    with pytest.raises(TelemetryError) as caught:
        read_history(tmp_path / "history.parquet")
    assert len(caught.value.reasons) == 4
    assert all("move it away" in reason for reason in caught.value.reasons)


def test_rates_from_prometheus_join_what_the_history_has(tmp_path: Path, prometheus_url: str) -> None:
    """The six hours of telemetry_world end a history of which the rest was kept."""
    end = datetime(2026, 1, 5, 6, tzinfo=UTC)
    old = past().assign(observed_at=lambda frame: frame["observed_at"] - timedelta(days=DAYS, hours=2))
    settings = TelemetryConfig.model_validate(
        {
            "prometheus": {"url": prometheus_url, "template": "vllm"},
            "history": tmp_path / "history.parquet",
            "classes": {},
        }
    )
    write_history(old, tmp_path / "history.parquet")
    expected = demand_from_telemetry(settings, scenario(tmp_path), end)
    kept = read_history(tmp_path / "history.parquet")
    paris = kept[(kept["region"] == "paris") & (kept["observed_at"] >= datetime(2026, 1, 5, tzinfo=UTC))]
    assert paris["requests_per_s"].round(9).tolist() == [2.5, 2.5, 2.5, 2.5, 3.0, 2.5]
    assert expected.provenance["history"]["last_hour"] == "2026-01-05T05:00Z"


TOML = """
[demand]
history = "history.parquet"
[demand.files]
paths = ["rates.csv"]
kind = "rates"
"""


def test_the_command_writes_the_table_and_says_what_it_is(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    config(tmp_path)
    (tmp_path / "telemetry.toml").write_text(TOML)
    arguments = [str(tmp_path / "telemetry.toml"), "--scenario", str(folder), "--as-of", "2026-01-26T02:10Z"]
    before = (folder / "demand.csv").read_text()
    tried = CliRunner().invoke(main, ["demand", "forecast", *arguments, "--dry-run", "--format", "json"])
    assert (tried.exit_code, (folder / "demand.csv").read_text()) == (0, before)
    said = CliRunner().invoke(main, ["demand", "forecast", *arguments, "--keep-old"])
    assert said.exit_code == 0, said.output
    assert "not exceeded" in said.output
    assert (folder / "demand.csv.old").read_text() == before
    again = CliRunner().invoke(main, ["demand", "backtest", *arguments, "--quantile", "0.8", "--format", "json"])
    assert json.loads(again.stdout)["backtests"][0]["quantile"] == 0.8
    seen = CliRunner().invoke(main, ["demand", "import", arguments[0], *arguments[3:], "--format", "json"])
    assert json.loads(seen.stdout)["classes"][0]["region"] == "paris"
    stale = CliRunner().invoke(main, ["demand", "forecast", *arguments[:3], "--as-of", "2026-02-03T00:00Z"])
    assert (stale.exit_code, "max_age_hours" in stale.output) == (6, True)
    bad = CliRunner().invoke(main, ["demand", "forecast", *arguments[:3], "--as-of", "2026-01-02T00:00Z"])
    assert (bad.exit_code, "clock is wrong" in bad.output) == (4, True)


def test_a_label_that_no_series_has_is_told_and_so_is_what_was_asked(tmp_path: Path, prometheus_url: str) -> None:
    folder, toml = scenario(tmp_path), tmp_path / "telemetry.toml"
    source = f'[demand.prometheus]\nurl = "{prometheus_url}"\ntemplate = "vllm"\n'
    toml.write_text('[demand]\nclasses = { region = "zone" }\n' + source)
    at = ["--as-of", "2026-01-05T06:10Z"]
    seen = CliRunner().invoke(main, ["demand", "import", str(toml), *at])
    assert (seen.exit_code, "no label that names their region: see classes" in seen.output) == (0, True)
    made = CliRunner().invoke(main, ["demand", "forecast", str(toml), "--scenario", str(folder), *at])
    assert (made.exit_code, "seen were (no label) m8 chat, (no label) m9 chat" in made.output) == (4, True)
    late = CliRunner().invoke(main, ["demand", "import", str(toml), "--as-of", "2026-06-05T06:10Z"])
    told = "nothing was seen at all in the 56 days before: try rate(vllm:request_success_total{}[5m]) at http://127"
    assert (late.exit_code, told in late.output) == (4, True)


def test_every_fault_of_a_configuration_is_told_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.toml"
    path.write_text('[demand]\nquantile = 1.5\nhorizon = 2\n[demand.prometheus]\nurl = "no address"\n')
    with pytest.raises(TelemetryError) as caught:
        read_telemetry_config(path)
    told = str(caught.value)
    assert "demand.quantile = 1.5" in told
    assert "demand.horizon" in told
    assert "demand.prometheus.url" in told


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "telemetry.toml").write_text(TOML)
    found = read_telemetry_config(tmp_path / "telemetry.toml")
    assert found.history == tmp_path / "history.parquet"
    assert found.files is not None
    assert found.files.paths == (tmp_path / "rates.csv",)
