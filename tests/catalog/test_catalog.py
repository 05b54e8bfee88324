"""The shipped catalog: consistent in itself, and what its command derives from the reference data."""

from pathlib import Path

import pandas as pd
import pytest

from placement.catalog import derive
from placement.catalog.calibration import calibrate, read_measurements
from placement.catalog.facts import read_gpus, read_models
from placement.catalog.roofline import Load, Replica
from placement.datasets import dataset
from tests.reference import reference_data

TABLES = ("gpus", "servers", "profiles", "models", "shapes", "calibration")


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(dataset("catalog") / f"{name}.csv", keep_default_na=False)


def test_every_shape_fits_the_memory_of_its_gpus() -> None:
    shapes = table("shapes").merge(table("gpus")[["gpu", "memory_gb"]], on="gpu", suffixes=("", "_of_gpu"))
    room_gb = shapes.gpus_per_replica * shapes.memory_gb_of_gpu
    assert (shapes.memory_gb <= room_gb).all()
    assert (shapes.weights_gb < shapes.memory_gb).all()


def test_more_capacity_costs_time_to_first_token() -> None:
    group = ["model", "gpu", "gpus_per_replica", "precision", "profile"]
    for _, rows in table("shapes").groupby(group):
        by_rate = rows.sort_values("requests_per_s")
        assert list(by_rate.operating_point) == ["latency", "balanced", "throughput"]
        assert by_rate.requests_per_s.is_monotonic_increasing
        assert by_rate.ttft_p95_ms.is_monotonic_increasing
        assert by_rate.requests_per_s.is_unique


def test_a_shape_is_the_same_thing_in_all_its_profiles() -> None:
    same = ["model", "gpu", "gpus_per_replica", "precision", "operating_point", "memory_gb", "weights_gb"]
    shapes = table("shapes")
    assert (shapes.groupby("shape")[same].nunique() == 1).all(axis=None)
    assert not shapes.duplicated(["shape", "profile"]).any()


def test_the_catalog_reaches_from_a_mig_quarter_to_eight_gpus_in_three_precisions() -> None:
    own = table("shapes").query("gpu == 'rtx-pro-6000-se'")
    assert set(own.gpus_per_replica) == {0.25, 0.5, 1, 2, 4, 8}
    assert set(own.precision) == {"bf16", "fp8", "fp4"}
    assert own.model.nunique() >= 20
    assert set(table("shapes").gpu) == set(table("servers").gpu) == set(table("gpus").gpu)
    assert len(table("shapes")) < 6000


def test_mig_quarters_exist_only_where_four_make_a_gpu() -> None:
    cut = table("shapes").query("gpus_per_replica < 1").gpu.unique()
    assert (table("gpus").set_index("gpu").mig_slices[cut] == 4).all()


def test_no_rtx_server_is_rented() -> None:
    servers = table("servers").query("gpu == 'rtx-pro-6000-se'")
    assert list(servers.gpus) == [2, 4, 8]
    assert (servers.rent_usd_month == "").all()
    assert (servers.power_kw > servers.gpus * 0.6).all()


def test_every_row_says_where_it_comes_from() -> None:
    for name in ("gpus", "servers", "profiles", "models", "shapes"):
        assert (table(name).source.str.len() > 5).all()
    assert set(table("shapes").source.str.split(" ").str[0]) == {"measured", "roofline"}


def test_the_derivation_gives_the_shipped_bytes(tmp_path: Path) -> None:
    derive(reference_data(), tmp_path)
    for name in TABLES:
        assert (tmp_path / f"{name}.csv").read_bytes() == (dataset("catalog") / f"{name}.csv").read_bytes(), name


def test_calibration_reads_the_published_figures_of_the_projects_gpu() -> None:
    found = {
        (m.benchmark, m.scenario): m.tokens_per_s_gpu
        for m in read_measurements(reference_data())
        if m.gpu == "rtx-pro-6000-se"
    }
    assert found["llama2-70b-99", "Offline"] == pytest.approx(3276, abs=1)
    assert found["llama3.1-8b", "Offline"] == pytest.approx(5855, abs=1)
    assert ("mixtral-8x7b", "Server") in found


def test_the_calibrated_roofline_is_within_a_tenth_of_the_projects_gpu_and_a_third_of_the_others() -> None:
    reference = reference_data()
    report = calibrate(reference, read_gpus(reference), read_models(reference))
    own = [abs(row.error) for row in report.rows if row.measurement.gpu == "rtx-pro-6000-se"]
    assert max(own) < 0.10
    assert report.median_error() < 0.08
    assert report.max_error() < 0.34


def test_chat_and_code_have_the_mean_lengths_of_the_azure_trace() -> None:
    profiles = table("profiles").set_index("profile")
    assert profiles.loc["chat", ["tokens_in", "tokens_out"]].tolist() == [1155, 211]
    assert profiles.loc["code", ["tokens_in", "tokens_out"]].tolist() == [2048, 28]


def test_shapes_that_mlperf_measured_carry_its_figure_and_no_others() -> None:
    shapes = table("shapes")
    found = shapes[shapes.source.str.startswith("measured")]
    own = found[found.gpu == "rtx-pro-6000-se"]
    named = set(zip(own.model, own.gpus_per_replica, own.precision, strict=True))
    assert named == {("llama-3.1-8b", 1, "fp4"), ("llama-3.1-70b", 1, "fp4"), ("mixtral-8x7b", 1, "fp8")}


def test_an_anchored_replica_gives_the_measured_tokens_under_the_benchmarks_own_load() -> None:
    # MLPerf v5.1, llama3.1-8b, Server: 5,757.5 tokens a second and GPU, 128 tokens a request
    reference = reference_data()
    gpus, models = read_gpus(reference), read_models(reference)
    report = calibrate(reference, gpus, models)
    anchor = report.anchor("llama-3.1-8b", "rtx-pro-6000-se", 1.0, "fp4")
    assert anchor is not None
    assert anchor.measurement.scenario == "Server"
    efficiency = report.efficiency.scaled(5757.5 / anchor.predicted)
    replica = Replica(models["llama-3.1-8b"], gpus["rtx-pro-6000-se"], 1.0, "fp4", efficiency)
    load = Load(tokens_in=778, tokens_out=128, tpot_ms=100)
    in_flight = replica.in_flight_within_tpot(load, replica.slots_in_memory(load))
    assert replica.requests_per_s(load, in_flight) * 128 == pytest.approx(5757.5, rel=0.01)
