"""The edge generator: shape, determinism, demand against sites, and what any site may serve, worked out here anew."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from placement.datasets import dataset
from placement.worlds import edge_full
from placement.worlds.edge import generate
from placement.worlds.edge_demand import MODELS as MODELS_KNOWN
from placement.worlds.edge_demand import draw_offer
from placement.worlds.edge_places import cities, draw_regions, draw_sites

SITES, REGIONS, MODELS, SEED = 120, 60, 8, 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("edge") / "scenario"
    generate(out, sites=SITES, regions=REGIONS, models=MODELS, seed=SEED)
    return out


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False)


def records(folder: Path) -> pd.DataFrame:
    return pd.concat([pq.read_table(path).to_pandas() for path in sorted((folder / "measurements").rglob("*.parquet"))])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def admissible_sites(folder: Path) -> list[int]:
    """For each class of demand, how many sites are near enough and allowed: straight from the written tables."""
    demand, services, sites, regions = (table(folder, n) for n in ("demand", "services", "sites", "regions"))
    shapes, sets = table(folder, "shapes"), table(folder, "residency")
    blocs = pd.read_csv(dataset("world") / "blocs.csv", keep_default_na=False)
    endpoint = table(folder, "endpoints").set_index("endpoint")
    measured = records(folder)
    measured["region"] = endpoint["region"].loc[measured["source"]].to_numpy()
    measured["site"] = endpoint["site"].loc[measured["target"]].to_numpy()
    measured["country"] = sites.set_index("site")["country"].loc[measured["site"]].to_numpy()
    near = dict(tuple(measured.groupby("region")))
    home_of = dict(zip(regions["region"], regions["country"], strict=True))
    promise = services.set_index("service")
    ttft_ms = shapes.groupby("model")["ttft_p95_ms"].min()
    counts = []
    for row in demand.drop_duplicates(["region", "model", "service"]).itertuples():
        service = promise.loc[row.service]
        allowed: set[str] = set()
        anywhere = False
        for word in sets.loc[sets["residency"] == (row.residency or service["residency"]), "country"]:
            anywhere |= word == "@any"
            if word == "@own":
                allowed.add(home_of[row.region])
            elif word.startswith("@bloc:"):
                allowed |= set(blocs.loc[blocs["bloc"] == word.removeprefix("@bloc:"), "country"])
        pairs = near.get(row.region, measured.iloc[:0])
        latency_ms = pairs["rtt_p95_ms"] + 8 * service["kbyte_in"] / pairs["mbps"] + ttft_ms[row.model]
        open_to = pairs["country"].isin(allowed) | anywhere
        counts.append(int(((latency_ms <= service["latency_budget_ms"]) & open_to).sum()))
    return counts


def test_the_scenario_has_the_sites_regions_and_models_asked_for(folder: Path) -> None:
    assert table(folder, "sites")["site"].nunique() == SITES
    assert table(folder, "regions")["region"].nunique() == REGIONS
    assert table(folder, "models")["model"].nunique() == MODELS
    assert table(folder, "demand")["model"].nunique() == MODELS
    assert list(table(folder, "servers")["gpus"]) == [2, 4, 8]
    assert set(table(folder, "shapes")["model"]) == set(table(folder, "models")["model"])


def test_the_core_has_one_shape_for_each_model(folder: Path) -> None:
    shapes = table(folder, "shapes")
    assert len(shapes) == MODELS
    assert set(shapes["operating_point"]) == {"balanced"}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", sites=SITES, regions=REGIONS, models=MODELS, seed=SEED)
    assert digests(tmp_path / "again") == digests(folder)
    generate(tmp_path / "other", sites=SITES, regions=REGIONS, models=MODELS, seed=SEED + 1)
    assert digests(tmp_path / "other")["demand.csv"] != digests(folder)["demand.csv"]


def test_demand_is_between_one_and_two_gpus_a_site(folder: Path) -> None:
    demand, shapes = table(folder, "demand"), table(folder, "shapes").set_index("model")
    shape = shapes.loc[demand["model"]]
    gpus = (
        demand["requests_per_s"].to_numpy() / shape["requests_per_s"].to_numpy() * shape["gpus_per_replica"].to_numpy()
    )
    assert SITES <= gpus.sum() <= 2 * SITES
    assert np.median(gpus) < 2, "lumpy: most classes are smaller than the smallest server"


@pytest.mark.parametrize("seed", [0, 7])
def test_less_than_one_class_in_a_hundred_has_no_admissible_site(tmp_path: Path, seed: int) -> None:
    generate(tmp_path / "edge", sites=90, regions=40, models=len(MODELS_KNOWN), seed=seed)
    counts = admissible_sites(tmp_path / "edge")
    assert len(counts) > 200
    assert sum(count == 0 for count in counts) < 0.01 * len(counts)
    assert max(counts) > 20


def test_only_pairs_that_some_budget_could_reach_are_measured(folder: Path) -> None:
    measured = records(folder)
    services = table(folder, "services").set_index("service")["latency_budget_ms"]
    ttft_ms = table(folder, "shapes").set_index("model")["ttft_p95_ms"]
    reach = max(services[f"chat-{model}"] - ttft_ms[model] for model in ttft_ms.index)
    assert 0 < len(measured) < SITES * REGIONS
    assert measured["rtt_p95_ms"].max() <= reach
    assert not measured.duplicated(["source", "target"]).any()


def test_no_round_trip_is_faster_than_light_in_fibre(folder: Path) -> None:
    measured = records(folder)
    places = {
        name: frame.set_index(key)
        for name, key in (("sites", "site"), ("regions", "region"))
        for frame in [table(folder, name)]
    }
    start = places["regions"].loc[measured["source"].str.removeprefix("probe.")]
    end = places["sites"].loc[measured["target"].str.removeprefix("reflector.")]
    a, b = np.radians(start["latitude"].to_numpy()), np.radians(end["latitude"].to_numpy())
    turn = np.radians(end["longitude"].to_numpy() - start["longitude"].to_numpy())
    cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(turn)
    distance_km = 6371.0088 * np.arccos(np.clip(cosine, -1, 1))
    assert (measured["rtt_min_ms"].to_numpy() >= distance_km / 100).all()
    assert (measured["rtt_min_ms"] <= measured["rtt_p50_ms"]).all()
    assert (measured["rtt_p50_ms"] <= measured["rtt_p95_ms"]).all()


def test_no_region_goes_by_the_name_of_a_site_however_many_there_are() -> None:
    towns = cities(without=[])
    regions = draw_regions(np.random.default_rng(0), towns, len(towns))
    sites = draw_sites(np.random.default_rng(1), towns, regions, 20_000)
    assert not set(regions["region"]) & set(sites["site"])
    assert regions["region"].is_unique


def test_no_place_lies_where_export_is_banned(folder: Path) -> None:
    limits = table(folder, "export")
    banned = set(limits.loc[limits["max_gpus"] == 0, "country"])
    assert banned
    assert not banned & (set(table(folder, "sites")["country"]) | set(table(folder, "regions")["country"]))


def test_stock_exceeds_demand_by_less_than_twice(folder: Path) -> None:
    gpus = table(folder, "servers").set_index("server")["gpus"]
    stock = table(folder, "deliveries").set_index("server")["quantity"]
    assert 1.2 * SITES < (gpus * stock).sum() < 3 * SITES


def test_the_full_variant_adds_slices_points_domains_jobs_and_periods(tmp_path: Path) -> None:
    generate(tmp_path / "full", sites=60, regions=30, models=6, seed=3, full=True)
    full = tmp_path / "full"
    assert table(full, "slices")["hours_per_day"].sum() == 24
    assert set(table(full, "demand")["slice"]) == set(table(full, "slices")["slice"])
    assert set(table(full, "shapes")["operating_point"]) == {"latency", "balanced"}
    assert set(table(full, "domains")["site"]) == set(table(full, "sites")["site"])
    assert set(table(full, "jobs")["data_site"]) <= set(table(full, "sites")["site"])
    assert set(table(full, "deliveries")["period"]) == set(table(full, "demand")["period"]) == {"2027-H1", "2027-H2"}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        generate(tmp_path, sites=4, regions=2, models=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("sites", "regions", "models"), [(1, 2, 1), (4, 0, 1), (4, 2, 0), (4, 2, 99), (4, 99999, 1)])
def test_counts_that_no_table_can_fill_are_refused(tmp_path: Path, sites: int, regions: int, models: int) -> None:
    with pytest.raises(ValueError, match=r"(sites|regions|models) = "):
        generate(tmp_path / "edge", sites=sites, regions=regions, models=models, seed=0)


@pytest.mark.parametrize("seed", range(8))
def test_the_smallest_world_still_asks_for_something(tmp_path: Path, seed: int) -> None:
    generate(tmp_path / "edge", sites=2, regions=1, models=1, seed=seed)
    demand = table(tmp_path / "edge", "demand")
    assert len(demand) == 1
    assert demand["requests_per_s"].iloc[0] > 0
    assert max(admissible_sites(tmp_path / "edge")) >= 1


def test_every_job_has_its_data_in_time_or_stands_beside_them() -> None:
    """Wires so thin that what was drawn would not arrive in the four hours that the window leaves."""
    sites = pd.DataFrame(
        {"site": [f"s{j}" for j in range(4000)], "power_kw": 3.0, "rack_units": 8, "uplink_mbps": 20.0}
    )
    sites.loc[::2, "power_kw"] = 6.0
    servers = pd.DataFrame({"gpus": ["2", "4", "8"], "power_kw": ["1.6", "3.1", "6"], "rack_units": ["2", "4", "6"]})
    rng = np.random.default_rng(5)
    jobs = edge_full.jobs(rng, draw_offer(rng, 2, ("latency", "balanced")), sites, servers)
    bound = jobs[(jobs["preemptible"] == "no") & (jobs["window"] != "")]
    small = bound["data_site"].str[1:].astype(int) % 2 == 1  # 3 kW hold a server of 2 GPUs, 6 kW any
    held = ~small | (bound["gpus"] == 2)
    hours = bound["hours"] + bound["data_gb"] * 8000 / 20 / 3600
    assert (hours[~held] <= 8).all()
    assert (hours[held] > 8).any()  # what was drawn stays where nothing has to move
    assert len(hours[~held]) > 2
    assert (hours[~held] > 7.9).any()
