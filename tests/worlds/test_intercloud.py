"""intercloud-2022: what was measured stays what was measured, at the places where it was measured."""

import filecmp
from pathlib import Path

import pandas as pd
from reference import reference_data

from placement.datasets import dataset
from placement.geo import fibre_floor_ms, great_circle_km
from placement.worlds import intercloud

# Where the origin's consensus of seven lists is known to be wrong (see its description).
TRAPS = {"gcp-southamerica-east1", "gcp-northamerica-northeast1"}


def bundled(name: str) -> pd.DataFrame:
    return pd.read_csv(dataset("intercloud-2022") / name, keep_default_na=False)


def test_intercloud_rebuilds_to_the_same_bytes(tmp_path: Path) -> None:
    intercloud.build(reference_data(), tmp_path)
    ours = dataset("intercloud-2022")
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert len(names) == 8
    assert filecmp.cmpfiles(tmp_path, ours, names, shallow=False) == (names, [], [])


def test_the_rate_of_the_column_called_bytes_is_read_as_bits() -> None:
    # results.csv: GCP southamerica-east1 to AWS eu-west-2, 44171264.0, 191.605
    records = bundled("measurements/intercloud-2022.csv")
    run = records[
        (records["source"] == "gcp-southamerica-east1")
        & (records["target"] == "aws-eu-west-2")
        & (records["observed_at"] == "2022-02-14T08:59:09Z")
    ]
    assert run[["rtt_avg_ms", "mbps", "direction"]].to_numpy().tolist() == [[191.605, 44.1713, "up"]]
    assert records["mbps"].max() < 5_100  # a t3.nano's burst is 5 Gbit/s


def test_a_mean_of_pings_is_kept_as_a_mean_and_never_as_a_sample() -> None:
    assert not {"rtt_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_min_ms"} & set(bundled("measurements/intercloud-2022.csv"))


def test_every_run_of_the_origin_is_a_record_and_every_end_is_known() -> None:
    records = bundled("measurements/intercloud-2022.csv")
    assert len(records) == 2138
    assert len(records[["source", "target"]].drop_duplicates()) == 1556
    endpoints = bundled("endpoints.csv")
    assert set(records["source"]) == set(records["target"]) == set(endpoints["endpoint"])
    assert len(bundled("sites.csv")) == len(bundled("regions.csv")) == 45


def test_no_round_trip_is_faster_than_light_in_fibre_between_the_places() -> None:
    records, sites = bundled("measurements/intercloud-2022.csv"), bundled("sites.csv").set_index("site")
    one, other = (sites.loc[records[end], ["latitude", "longitude"]].to_numpy().T for end in ("source", "target"))
    assert (records["rtt_avg_ms"] > fibre_floor_ms(great_circle_km(*one, *other))).all()


def test_places_agree_with_the_origin_where_the_origin_is_sound() -> None:
    consensus = pd.read_csv(reference_data() / "rtt" / "intercloud2022" / "locations.csv", keep_default_na=False)
    consensus.index = pd.Index(consensus["cloud"].str.lower() + "-" + consensus["region"])
    sites = bundled("sites.csv").set_index("site")
    theirs = consensus.loc[sites.index]
    km = great_circle_km(sites["latitude"], sites["longitude"], theirs["latitude"], theirs["longitude"])
    assert set(sites.index[km > 250]) == TRAPS


def test_users_of_one_city_are_shared_by_its_clouds_and_counted_once() -> None:
    users = bundled("regions.csv").set_index("region")["users"]
    assert users["near-aws-ap-northeast-1"] == users["near-gcp-asia-northeast1"]
    # Within 500 km of Tokyo and nearer than Osaka live some 60 of Japan's 126 million, 85 % of them online.
    assert 40e6 < users[["near-aws-ap-northeast-1", "near-gcp-asia-northeast1"]].sum() < 90e6
