"""Files of counters and rates: against figures worked out by hand, against Prometheus, and any file that may come."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.telemetry.config import Classes, Files, Prometheus
from placement.telemetry.counters import counter_rates, sampled_rates
from placement.telemetry.errors import TelemetryError
from placement.telemetry.files import hours_of_files
from placement.telemetry.mapping import mapping
from placement.telemetry.prometheus import hours_of_prometheus
from tests.telemetry.prometheus_server import fill, openmetrics, prometheus
from tests.telemetry.telemetry_world import BEGIN_S, HOURS, METRIC, START, labels, minutes, series

CLASSES = Classes(model="model_name")
LABELS = (*CLASSES.labels().values(), "finished_reason")
END_S = BEGIN_S + HOURS * 3600


def table(samples: list[tuple[dict[str, str], list[tuple[int, float]]]]) -> pd.DataFrame:
    """Samples as a file holds them."""
    rows = [{"observed_at": at, **of, "value": value} for of, figures in samples for at, value in figures]
    return pd.DataFrame(rows).drop(columns="job", errors="ignore")


def read(path: Path, kind: str = "counters", until_s: float = END_S, **other: object) -> pd.DataFrame:
    """The history of a file."""
    files = Files.model_validate({"paths": [path], "kind": kind, **other})
    wanted, class_of = mapping(CLASSES)
    extra = ("finished_reason",) if "finished_reason" in path.read_text(errors="replace") else ()

    def of_all(values: tuple[str, ...]) -> tuple[str, str, str]:
        return class_of(values[: len(wanted)])

    return hours_of_files(files, (*wanted, *extra), of_all, until_s)


def test_counters_in_a_file_are_what_prometheus_makes_of_them(prometheus_url: str, tmp_path: Path) -> None:
    path = tmp_path / "counters.csv"
    table(series()).to_csv(path, index=False)  # type: ignore[arg-type]
    source = Prometheus.model_validate({"url": prometheus_url, "template": "vllm"})
    wanted, class_of = mapping(Classes(), "vllm")
    theirs = hours_of_prometheus(source, wanted, class_of, range(BEGIN_S // 3600, END_S // 3600))
    ours = read(path)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


def test_random_counters_agree_with_prometheus_and_lose_nothing(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    counts = np.cumsum(draw.poisson(90, 181)).astype(float)
    counts[100:] -= counts[100] - 7.0  # the process began again, and had seen 7 requests since
    samples = [(labels("paris"), minutes(list(counts)))]
    table(samples).to_csv(tmp_path / "counters.csv", index=False)  # type: ignore[arg-type]
    ours = read(tmp_path / "counters.csv", until_s=BEGIN_S + 3 * 3600)
    with prometheus(tmp_path, fill(tmp_path, openmetrics(METRIC, samples))) as port:
        source = Prometheus.model_validate({"url": f"http://127.0.0.1:{port}", "template": "vllm"})
        wanted, class_of = mapping(Classes(), "vllm")
        theirs = hours_of_prometheus(source, wanted, class_of, range(BEGIN_S // 3600, BEGIN_S // 3600 + 3))
    # theirs extrapolates four minutes to five, so that it is near and not the same
    assert ours["requests_per_s"].to_numpy() == pytest.approx(theirs["requests_per_s"].to_numpy(), rel=0.03)
    grown = np.where(np.diff(counts) < 0, counts[1:], np.diff(counts)).sum()
    assert ours["requests_per_s"].sum() * 3600 == pytest.approx(grown, rel=1e-12)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 2000), st.floats(0, 1e6), st.booleans()), min_size=2, max_size=40),
    st.floats(0, 1e9),
)
def test_windows_of_a_counter_hold_every_request_once(steps: list[tuple[float, float, bool]], begin_s: float) -> None:
    time_s, count, requests = [begin_s], [5.0], []
    for gap_s, more, restarts in steps:
        time_s.append(time_s[-1] + gap_s)
        count.append(more if restarts else count[-1] + more)
        requests.append(count[-1] if count[-1] < count[-2] else count[-1] - count[-2])
    window, rate = counter_rates(np.array(time_s), np.array(count), longest_gap_s=1e9)
    known = ~np.isnan(rate)
    if not known.any():
        return
    first, last = (window[known][0] - 1) * 300.0, window[known][-1] * 300.0
    expected = 0.0
    for j, grown in enumerate(requests):  # what falls into [first, last], each step spread evenly
        covered = max(min(time_s[j + 1], last) - max(time_s[j], first), 0.0)
        expected += grown * covered / (time_s[j + 1] - time_s[j])
    assert np.diff(window[known]).max(initial=1) == 1  # without long gaps all windows between are known
    assert float(rate[known].sum() * 300) == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_a_gap_longer_than_allowed_says_nothing_of_its_windows() -> None:
    time_s = np.array([0.0, 300.0, 600.0, 1500.0, 1800.0, 2100.0])
    window, rate = counter_rates(time_s, np.array([0.0, 300.0, 600.0, 1500.0, 1800.0, 2100.0]), longest_gap_s=600)
    assert window.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert np.isnan(rate).tolist() == [False, False, True, True, True, False, False]
    assert np.nansum(rate) == pytest.approx(4.0)


def test_rates_of_a_minute_are_averaged_and_those_of_ten_minutes_held() -> None:
    window, rate = sampled_rates(np.arange(60.0, 601.0, 60.0), np.array([1, 1, 1, 1, 6, 2, 2, 2, 2, 2.0]))
    assert (window.tolist(), rate.tolist()) == ([1, 2], [2.0, 2.0])
    window, rate = sampled_rates(np.array([600.0, 1200.0, 2400.0, 3000.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert window.tolist() == list(range(1, 11))
    np.testing.assert_array_equal(rate, [1, 1, 2, 2, np.nan, np.nan, 3, 3, 4, 4])


def test_rates_further_apart_than_an_hour_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    table([(labels("paris"), [(BEGIN_S + j * 86400, 1.0) for j in range(5)])]).to_csv(path, index=False)
    with pytest.raises(TelemetryError, match=r"86400 s apart.*hour or shorter"):
        read(path, "rates", BEGIN_S + 5 * 86400)


def test_a_window_that_one_of_several_series_lacks_is_not_known_for_their_class(tmp_path: Path) -> None:
    whole = [(BEGIN_S + 300 * j, 1.0) for j in range(1, 13)]
    samples = [(labels("paris", finished_reason=why), list(whole)) for why in ("stop", "length")]
    del samples[1][1][4:6]
    path = tmp_path / "rates.csv"
    table(samples).to_csv(path, index=False)
    found = read(path, "rates", BEGIN_S + 3600)
    assert found[["requests_per_s", "peak_requests_per_s", "windows"]].to_numpy().tolist() == [[2.0, 2.0, 10]]


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("stamp", ["seconds", "iso", "typed"])
def test_csv_and_parquet_and_all_kinds_of_time_say_the_same(tmp_path: Path, form: str, stamp: str) -> None:
    frame = table([(labels("NA", model="NaN"), [(BEGIN_S + 300 * j, 0.5) for j in range(1, 13)])])
    times = pd.to_datetime(frame["observed_at"], unit="s", utc=True)
    if stamp != "seconds":
        frame["observed_at"] = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ") if stamp == "iso" else times
    path = tmp_path / f"rates.{form}"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)
    found = read(path, "rates")
    assert found[["region", "model", "service"]].to_numpy().tolist() == [["NA", "NaN", "chat"]]
    assert found["observed_at"].tolist() == [pd.Timestamp(START)]
    assert found["requests_per_s"].tolist() == [0.5]


CELL = st.one_of(
    st.sampled_from(["", "1", "-1", "nan", "inf", "2026-01-05T00:00:00Z", "x", "1e400", "é", "NO"]),
    st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=5),
)


@settings(deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=5), st.sampled_from(["rates", "counters"]))
def test_any_cells_are_read_or_refused_with_the_file_and_the_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], kind: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "rates.csv"
    frame = pd.DataFrame(rows, columns=["observed_at", "value", "region"]).assign(model_name="m8", service="chat")
    frame.to_csv(path, index=False)
    try:
        found = read(path, kind)
    except TelemetryError as error:
        assert all(path.name in reason or "two figures" in reason or "apart" in reason for reason in error.reasons)
    else:
        assert np.isfinite(found["requests_per_s"]).all()
        assert (found["requests_per_s"] >= 0).all()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_no_parquet_and_that_is_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "rates.parquet"
    path.write_bytes(data)
    with pytest.raises(TelemetryError, match="cannot be read"):
        read(path, "rates")


def test_rows_after_the_time_that_is_asked_for_tell_of_a_wrong_clock(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    table([(labels("paris"), [(BEGIN_S, 1.0), (END_S + 1, 1.0)])]).to_csv(path, index=False)
    with pytest.raises(TelemetryError, match=r"rates\.csv:3: .*a clock is wrong"):
        read(path, "rates")


def test_all_that_is_wrong_with_all_files_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("observed_at,value\n1,1\n")
    (tmp_path / "b.csv").write_text("observed_at,region,model_name,service,value\nsoon,paris,m8,chat,-1\n")
    files = Files.model_validate({"paths": [tmp_path, tmp_path / "none.csv"], "kind": "rates"})
    wanted, class_of = mapping(CLASSES)
    with pytest.raises(TelemetryError) as caught:
        hours_of_files(files, wanted, class_of, END_S)
    told = str(caught.value)
    assert "none.csv: is no file" in told
    assert "a.csv: has no column model_name, region, service" in told
    assert "b.csv:2: observed_at is no time" in told
    assert "b.csv:2: value is no figure" in told
