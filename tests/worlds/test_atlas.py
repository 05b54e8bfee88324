"""atlas-2025: rebuilt byte for byte, checked against raw files, published figures and hand-made cases."""

import filecmp
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference import reference_data

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.scenario import inspect, load
from placement.topology import build_pairs
from placement.worlds import atlas, atlas_regions, atlas_rules, pops
from placement.worlds.slugs import slug


def bundled(name: str, folder: str = "atlas-2025") -> pd.DataFrame:
    return pd.read_csv(dataset(folder) / name, keep_default_na=False)


def test_atlas_rebuilds_to_the_same_bytes(tmp_path: Path) -> None:
    atlas.build(reference_data(), tmp_path)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert len(names) == 10
    assert filecmp.cmpfiles(tmp_path, dataset("atlas-2025"), names, shallow=False) == (names, [], [])


def test_the_published_anchor_of_users_within_thirty_and_eighty_milliseconds_is_met() -> None:
    """With a site in 134 PoP countries 67 % of users have an average within 30 ms, 94 % within 80 ms, 2.6 % no data."""
    raw = reference_data()
    lists = pd.read_csv(raw / "sites" / "cloudflare" / "DC-Colos.csv", keep_default_na=False)
    rtt = atlas_rules.country_rtt(raw)[["cty1", "cty2", "rtt_avg"]]
    both = pd.concat([rtt, rtt.rename(columns={"cty1": "cty2", "cty2": "cty1"})])
    best_ms = both[both["cty2"].isin(set(lists["cca2"]))].groupby("cty1")["rtt_avg"].min()
    users = bundled("countries.csv", "world").set_index("country")["internet_users"].replace("", "nan").astype(float)
    users = users[users > 0]
    ms = users.index.map(best_ms)
    share = [float(users[chosen].sum() / users.sum()) for chosen in (ms <= 30, ms <= 80, ms.isna())]
    assert lists["cca2"].nunique() == 134
    assert share == pytest.approx([0.67, 0.94, 0.026], abs=0.006)


def test_a_country_pair_is_the_record_that_the_origin_holds() -> None:
    # country_rtt_stat.csv: NA,NA,115,1.0236997542173967,0.4030773582079987,0.87979,4.791309
    records = bundled("measurements/ripe-country-2025.csv").set_index(["source", "target"])
    columns = ["method", "sent", "received", "rtt_min_ms", "rtt_avg_ms", "rtt_std_ms", "rtt_max_ms"]
    figures = records.loc[("NA", "NA"), columns].astype(str).tolist()
    assert figures == ["imported:ripe-country", "115", "115", "0.88", "1.024", "0.403", "4.791"]


def test_namibia_is_measured_and_places_that_are_no_countries_are_not() -> None:
    records = bundled("measurements/ripe-country-2025.csv")
    ends = set(records["source"]) | set(records["target"])
    assert "NA" in ends
    assert not {"None", "Unknown", "EU", "nan", ""} & ends


def test_a_minimum_of_zero_is_absent_and_never_a_round_trip() -> None:
    # DE,DE,21369946,26.79,54.34,0,32453.3: a probe that pinged itself.
    records = bundled("measurements/ripe-country-2025.csv").set_index(["source", "target"])
    assert records.loc[("DE", "DE"), "rtt_min_ms"] == ""
    assert float(records.loc[("DE", "DE"), "rtt_avg_ms"]) == pytest.approx(26.794, abs=0.001)


def test_regions_share_out_exactly_their_countrys_internet_users() -> None:
    users = bundled("regions.csv").groupby("country")["users"].agg(["sum", "size"])
    # internet_users_by_country.csv: US 317,777,401; NA 1,523,182; each part is rounded once.
    assert abs(users.loc["US", "sum"] - 317_777_401) <= users.loc["US", "size"]
    assert users.loc["NA"].tolist() == [1_523_182, 1]
    assert users.loc["US", "size"] > 8


def test_two_far_towns_are_two_parts_and_near_ones_share_theirs() -> None:
    latitude, longitude = pd.Series([0.0, 0.5, 0.0, 0.5]), pd.Series([0.0, 0.0, 40.0, 40.0])
    points, weight = atlas_regions.unit_vectors(latitude, longitude), np.array([5.0, 1.0, 4.0, 1.0])
    assert atlas_regions.split(points, weight, 2).tolist() == [0, 0, 1, 1]
    # One part spreads over some 20 degrees, 2,200 km; two parts over a quarter of a degree.
    assert atlas_regions.parts_of(points, weight, 10_000_000).tolist() == [0, 0, 1, 1]
    assert atlas_regions.parts_of(points, weight, 1_000_000).tolist() == [0, 0, 0, 0]


def test_names_become_plain_identifiers() -> None:
    cities = ["São Paulo", "Łódź", "Nay Pyi Taw", "Saint George's", "Tromsø"]
    assert [slug(city) for city in cities] == ["sao-paulo", "lodz", "nay-pyi-taw", "saint-georges", "tromso"]
    assert bundled("regions.csv")["region"].str.fullmatch(r"[a-z]{2}(-[a-z0-9-]+)?").all()


def test_a_spread_is_the_mean_distance_from_the_centre() -> None:
    # Two equal towns two degrees apart on the equator: each one degree, 111.2 km, from their middle.
    points = atlas_regions.unit_vectors(pd.Series([0.0, 0.0]), pd.Series([10.0, 12.0]))
    assert atlas_regions.spread_km(points, np.ones(2)) == pytest.approx(111.195, abs=0.01)


def test_lists_with_unquoted_commas_and_wrong_countries_are_read_right() -> None:
    metros = pops.metros(reference_data()).set_index("site")
    assert metros.loc["icn", "country"] == "KR"  # "Seoul,Korea, Republic of,KR" in three lists
    assert metros.loc["jnb", "country"] == "ZA"  # one list says SA
    assert metros.loc["sju", "country"] == "PR"  # one list says US
    assert "qas" not in metros.index  # a code that no airport has
    assert {"lcy", "lgw"}.isdisjoint(metros.index)  # London is one metro
    # LHR: cloudflare, cloudfront, azurecdn and many more, counted once each
    assert metros.loc["lhr", "providers"] > 30


def test_sites_stand_apart_and_in_known_countries() -> None:
    sites = bundled("sites.csv")
    assert 250 <= len(sites) <= 400
    assert set(sites["country"]) <= set(bundled("countries.csv", "world")["country"])
    for _, mine in sites.groupby("country"):
        km = great_circle_km(*(mine[a].to_numpy()[:, None] for a in ("latitude", "longitude")),
                             *(mine[a].to_numpy() for a in ("latitude", "longitude")))  # fmt: skip
        assert (km[np.triu_indices(len(mine), 1)] > pops.METRO_KM).all()


def test_prices_are_the_published_ones_of_the_nearest_kin() -> None:
    sites = bundled("sites.csv").set_index("site")
    # Mean of the 8,784 hours of DE-LU in 2024, 84.6 USD/MWh, and 0.05 on top; AWS eu-central-1 to the internet 0.09.
    assert sites.loc["fra", ["usd_per_kwh", "egress_usd_per_gb"]].tolist() == [0.1346, 0.09]
    assert sites.loc["gru", "egress_usd_per_gb"] == 0.15
    # codecarbon: FRA and POL differ fifteenfold
    assert sites.loc["waw", "gco2_per_kwh"] > 10 * sites.loc["cdg", "gco2_per_kwh"]


def test_endpoints_give_every_country_its_regions_and_sites() -> None:
    endpoints, regions, sites = bundled("endpoints.csv"), bundled("regions.csv"), bundled("sites.csv")
    assert set(endpoints["kind"]) == {"country"}
    of_region = endpoints[endpoints["region"] != ""].set_index("region")["endpoint"]
    of_site = endpoints[endpoints["site"] != ""].set_index("site")["endpoint"]
    assert of_region.to_dict() == dict(zip(regions["region"], regions["country"], strict=True))
    assert of_site.to_dict() == dict(zip(sites["site"], sites["country"], strict=True))
    weights = endpoints[endpoints["region"] != ""].groupby("endpoint")["weight"].sum()
    assert np.allclose(weights, 1, atol=1e-4)


def test_rules_name_europe_the_localising_countries_and_the_banned() -> None:
    assert atlas_rules.localising_countries(reference_data()) == ("CN", "RU")
    demand = bundled("demand.csv").merge(bundled("regions.csv")[["region", "country"]], on="region")
    sets = demand.groupby(["country", "service"])["residency"].agg(lambda column: sorted(set(column)))
    assert sets["DE", "chat"] == ["eea-adequate"]
    assert sets["DE", "code"] == [""]
    assert sets["RU", "agentic"] == ["own-country"]
    assert sets["NA", "chat"] == [""]
    assert not {"CU", "IR", "KP", "SY"} & set(demand["country"])
    banned = bundled("export.csv").query("max_gpus == 0")["country"]
    assert {"CN", "HK", "RU", "IR", "KP"} <= set(banned)


def test_the_largest_request_passes_without_a_known_bandwidth() -> None:
    document = tomllib.loads((dataset("atlas-2025") / "scenario.toml").read_text("utf-8"))
    assert bundled("services.csv")["kbyte_in"].max() <= document["limits"]["bandwidth_free_kbyte"]


def test_the_order_covers_what_the_demand_needs_with_room_for_whole_replicas() -> None:
    shapes = bundled("shapes.csv", "catalog")
    shapes = shapes[(shapes["gpu"] == "rtx-pro-6000-se") & (shapes["precision"] == "fp4")]
    services = bundled("services.csv").set_index("service")
    rates = bundled("demand.csv").groupby(["model", "service"])["requests_per_s"].sum()
    need = 0.0
    for (model, service), rate in rates.items():
        promise = services.loc[service]
        mine = shapes[(shapes["model"] == model) & (shapes["profile"] == promise["profile"])]
        near_rtt_ms = 20.0
        mine = mine[mine["ttft_p95_ms"] + promise["round_trips"] * near_rtt_ms <= promise["latency_budget_ms"]]
        need += rate / (mine["requests_per_s"] / mine["gpus_per_replica"]).max()
    gpus = bundled("servers.csv", "catalog").set_index("server")["gpus"]
    order = bundled("deliveries.csv")
    ordered = int((order["quantity"] * order["server"].map(gpus)).sum())
    assert ordered == 4400
    assert 3_700 < need < 4_100
    assert 1.08 < ordered / need < 1.2


def test_the_scenarios_load_without_a_finding_and_hold_no_later_rule() -> None:
    for name in ("atlas-2025", "intercloud-2022"):
        report = inspect(dataset(name))
        assert report.scenario is not None, report.findings
        assert [f for f in report.findings if f.severity == "error"] == []
        assert report.scenario.later == ()


def test_classes_that_nobody_can_serve_are_below_three_percent_and_each_has_its_reason() -> None:
    scenario = load(dataset("atlas-2025"))
    pairs = build_pairs(scenario).pairs
    banned = set(bundled("export.csv").query("max_gpus == 0")["country"])
    allowed = {name: set(rows["country"]) for name, rows in bundled("residency.csv").groupby("residency")}
    blocs = bundled("blocs.csv", "world").groupby("bloc")["country"].agg(set)
    at = bundled("sites.csv").set_index("site")["country"].loc[list(pairs.sites)].to_numpy()
    home = bundled("regions.csv").set_index("region")["country"]
    services, shapes = scenario.table("services").set_index("service"), scenario.table("shapes")
    fastest_ms = shapes.groupby(["model", "profile"])["ttft_p95_ms"].min()
    legal: dict[tuple[str, str], np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}

    def may(rule: str, own: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if (rule, own) not in legal:
            names = allowed[rule]
            where = names | ({own} if "@own" in names else set())
            where |= {c for n in names if n.startswith("@bloc:") for c in blocs[n.removeprefix("@bloc:")]}
            legal[rule, own] = np.array([("@any" in names or c in where) and c not in banned for c in at])
        return legal[rule, own]

    lost: dict[str, float] = {"law": 0.0, "no data": 0.0, "too far": 0.0}
    demand = bundled("demand.csv")
    rtt_ms = dict(zip(pairs.regions, pairs.planned_rtt_ms, strict=True))
    for region, model, service, rate, rule in demand.drop(columns="mean_requests_per_s").itertuples(index=False):
        promise = services.loc[service]
        mine = may(rule or promise["residency"], home[region])
        known = mine & ~np.isnan(rtt_ms[region])
        left_ms = promise["latency_budget_ms"] - fastest_ms[model, promise["profile"]]
        if not (promise["round_trips"] * rtt_ms[region][known] <= left_ms).any():
            lost["law" if not mine.any() else "too far" if known.any() else "no data"] += rate
    total = demand["requests_per_s"].sum()
    assert 0 < sum(lost.values()) < 0.03 * total
    assert 0 < lost["law"] < 0.001 * total
    assert lost["no data"] > 0.003 * total
