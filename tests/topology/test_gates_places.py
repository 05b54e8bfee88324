"""Light, bad geolocation and anycast: worked out by hand on the equator, and planted in measured cloud regions."""

import numpy as np
import pandas as pd
import pytest
from gates_tools import frame, judged, places, row, said
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.scenario import load
from placement.topology.endpoints import endpoints
from placement.topology.gates.blame import Blamed, disjoint, wilson_lower
from placement.topology.gates.evidence import Positions
from placement.topology.gates.geolocation import estimate
from placement.topology.gates.light import GLASS_KM_PER_MS, impossible_km
from placement.topology.gates.verdicts import Verdicts
from placement.topology.summaries import summarise
from probes.store import read_folder


def test_light_in_glass_gets_102_km_in_a_millisecond_of_a_round_trip() -> None:
    assert pytest.approx(102.1, abs=0.05) == GLASS_KM_PER_MS  # 299.792 km/ms / 1.468, there and back
    # 10 ms: 1,021 km, and 100 km for where both ends stand.
    assert impossible_km(np.array([10.0, 10.0]), np.array([1121.0, 1122.0])).tolist() == pytest.approx(
        [-0.1, 0.9], abs=0.1
    )


def test_a_pair_faster_than_light_is_out_and_says_why() -> None:
    # Ten degrees are 1,112 km; light needs (1,112 - 100) / 102.1 = 9.91 ms.
    rows = frame(row("r1", "s1", 9.90), row("r2", "s1", 9.92))
    kept, verdicts = judged(rows, places("region", r1=0.0, r2=0.0), places("site", s1=10.0))
    assert said(verdicts) == [("light", "r1", "s1", "exclude")]
    assert verdicts.frame["why"][0] == (
        "r1 to s1 took 9.9 ms, but they are 1,112 km apart, for which light in fibre needs 10.9 ms"
    )
    assert kept["source"].tolist() == ["r2"]


def test_an_average_below_light_is_as_impossible_as_a_minimum() -> None:
    only_average = row("r1", "s1", np.nan, rtt_avg_ms=5.0)
    kept, verdicts = judged(frame(only_average), places("region", r1=0.0), places("site", s1=10.0))
    assert (len(kept), said(verdicts)) == (0, [("light", "r1", "s1", "exclude")])


def test_an_end_that_stands_for_two_places_apart_has_no_position() -> None:
    regions, sites = places("region", r1=0.0, r2=40.0), places("site", s1=20.0)
    table = pd.DataFrame(
        {"endpoint": ["x", "x"], "kind": ["probe"] * 2, "region": ["r1", "r2"], "site": ["", ""], "weight": [1.0, 1.0]}
    )
    ends = endpoints(table, ["r1", "r2"], ["s1"])
    kept, verdicts = judged(frame(row("x", "s1", 0.5)), regions, sites, ends)
    assert (len(kept), len(verdicts.frame)) == (1, 0)


def test_minima_of_countries_are_flagged_and_stay() -> None:
    table = pd.DataFrame(
        {
            "endpoint": ["FR", "JP"],
            "kind": ["country"] * 2,
            "region": ["r1", ""],
            "site": ["", "s1"],
            "weight": [1.0] * 2,
        }
    )
    regions, sites = places("region", r1=0.0), places("site", s1=140.0)
    ends = endpoints(table, ["r1"], ["s1"])
    kept, verdicts = judged(frame(row("FR", "JP", 0.4), row("FR", "FR", 0.01)), regions, sites, ends)
    assert (len(kept), said(verdicts)) == (2, [("light", "FR", "JP", "flag")])


def test_the_score_interval_by_hand() -> None:
    # 3 of 3: 1 / (1 + 1.96² / 3) = 0.4385; of 20 places 5: (0.25 + 0.0960 - 1.96 · 0.1083) / 1.1921
    assert wilson_lower(np.array([3, 5, 0]), np.array([3, 20, 0])).tolist() == pytest.approx(
        [0.4385, 0.1119, 0.0], abs=1e-3
    )


def test_an_end_that_three_places_contradict_stands_elsewhere_and_all_of_it_is_out() -> None:
    # s1 is said to stand at 60° east and stands at 0°: it is 2 ms from three regions there, 70 ms from one at 60°.
    regions = places("region", r1=0.0, r2=2.0, r3=358.0, r4=60.0)
    sites = places("site", s1=60.0, s2=60.0)
    times = {"r1": 1.0, "r2": 4.0, "r3": 4.0, "r4": 110.0}
    rows = [row(region, "s1", ms, records=10) for region, ms in times.items()]
    rows += [row(region, "s2", 110.0) for region in ("r1", "r2", "r3")] + [row("r4", "s2", 1.0)]
    rows += [row("s1", "r1", np.nan, method="train")]
    kept, verdicts = judged(frame(*rows), regions, sites)
    assert said(verdicts) == [("geolocation", "s1", None, "exclude")]
    assert set(kept["target"]) == {"s2"}
    told = verdicts.frame.iloc[0]
    assert (told["series"], told["records"], told["severity"]) == (5, 41, 3.0)
    # 1 ms · 102.1 + 50 km around r1; the mean of 0, 2 and 358 degrees weighted by 1/152², 1/458², 1/458² is 0;
    # r4, 11,281 km wide, draws it by half a kilometre to the east.
    assert told["why"] == (
        "3 of 4 places contradict where s1 is said to stand: it stands within 152 km of r1, perhaps at 0.0° N 0.0° E, "
        "6,671 km away"
    )


def test_two_contradictions_blame_nobody_and_only_their_pairs_are_out() -> None:
    regions, sites = places("region", r1=0.0, r2=2.0, r4=60.0), places("site", s1=60.0, s2=60.0)
    rows = frame(row("r1", "s1", 1.0), row("r2", "s1", 4.0), row("r4", "s1", 110.0), row("r4", "s2", 1.0))
    kept, verdicts = judged(rows, regions, sites)
    assert said(verdicts) == [("light", "r1", "s1", "exclude"), ("light", "r2", "s1", "exclude")]
    assert len(kept) == 2


def test_a_region_in_the_wrong_place_does_not_take_its_sites_along() -> None:
    # r1 stands at 0° and is said to stand at 90°: all sites near 0° contradict it, none of them another region.
    regions = places("region", r1=90.0, r2=0.0, r3=5.0)
    sites = places("site", s1=0.0, s2=3.0, s3=6.0, s4=9.0)
    rows = [row("r1", f"s{i + 1}", 1.0 + 3.5 * i) for i in range(4)]
    rows += [row(region, f"s{i + 1}", 20.0) for region in ("r2", "r3") for i in range(4)]
    kept, verdicts = judged(frame(*rows), regions, sites)
    assert said(verdicts) == [("geolocation", "r1", None, "exclude")]
    assert len(kept) == 8


def test_an_address_that_is_near_to_everybody_is_anycast() -> None:
    regions = places("region", r1=0.0, r2=60.0, r3=120.0, r4=180.0, r5=240.0)
    sites = places("site", s1=0.0, s2=30.0)
    rows = [row(f"r{i + 1}", "s1", 3.0) for i in range(5)]
    rows += [row(f"r{i + 1}", "s2", 200.0) for i in range(5)]
    kept, verdicts = judged(frame(*rows), regions, sites)
    assert said(verdicts) == [("anycast", "s1", None, "exclude")]
    # Discs of 3 · 102.1 + 50 km, 6,672 km apart from each other: all five are instances of their own.
    assert "4 of 5 places contradict" in verdicts.frame["why"][0]
    assert "at least 5 machines answer" in verdicts.frame["why"][0]
    assert set(kept["target"]) == {"s2"}


def test_discs_that_touch_are_no_proof_of_two_machines() -> None:
    positions = Positions(pd.Index(["a", "b", "c"], dtype=object), np.zeros(3), np.array([0.0, 10.0, 20.0]))
    touching = Blamed(0, "icmp", 3, 3, 0.0, 0.0, np.array([1, 2]), np.array([556.0, 556.0]))  # 1,111.95 km apart
    apart = Blamed(0, "icmp", 3, 3, 0.0, 0.0, np.array([1, 2]), np.array([555.0, 556.0]))
    assert len(disjoint(positions, touching)[0]) == 0
    ends, instances = disjoint(positions, apart)
    assert (ends.tolist(), instances) == ([1, 2], 2)


def test_a_proxy_beside_the_source_takes_out_that_method_only() -> None:
    regions = places("region", r1=0.0, r2=10.0, r3=20.0)
    sites = places("site", s1=40.0, s2=80.0, s3=120.0, s4=160.0)
    far = [row(f"r{i}", f"s{j}", 250.0) for i in (1, 2, 3) for j in (1, 2, 3, 4)]
    proxied = [row("r1", f"s{j}", 1.5, method="tcp") for j in (1, 2, 3, 4)]
    kept, verdicts = judged(frame(*far, *proxied), regions, sites)
    assert said(verdicts) == [("anycast", "r1", None, "exclude")]
    assert verdicts.frame["method"][0] == "tcp"
    assert verdicts.frame["why"][0].endswith("alike, so something beside it answers")
    assert (len(kept), set(kept["method"])) == (12, {"icmp"})


def test_the_estimate_is_the_mean_on_the_sphere() -> None:
    positions = Positions(pd.Index(["a", "b"], dtype=object), np.zeros(2), np.array([170.0, 190.0]))
    one = Blamed(0, "icmp", 3, 3, 0.0, 0.0, np.array([0, 1]), np.array([100.0, 100.0]))
    latitude, longitude = estimate(positions, one)
    assert (latitude, abs(longitude)) == pytest.approx((0.0, 180.0))


def intercloud(place: str, latitude: float, longitude: float) -> tuple[pd.DataFrame, Verdicts, NDArray[np.float64]]:
    """Measured cloud regions, one of them said to stand elsewhere: what stands, the verdicts, where it really is."""
    scenario = load(dataset("intercloud-2022"))
    regions = scenario.table("regions").sort_values("region", ignore_index=True)
    sites = scenario.table("sites").sort_values("site", ignore_index=True)
    ends = endpoints(scenario.table("endpoints"), list(regions["region"]), list(sites["site"]))
    rows = summarise(read_folder(scenario.folder / "measurements"), ends.names).frame
    assert len(judged(rows, regions, sites, ends)[1].frame) == 0  # as it stands nothing is wrong with it
    true = sites.loc[sites["site"] == place, ["latitude", "longitude"]].to_numpy(np.float64)[0]
    for table, name in ((regions, f"near-{place}"), (sites, place)):
        table.loc[table.iloc[:, 0] == name, ["latitude", "longitude"]] = latitude, longitude
    return *judged(rows, regions, sites, ends), true


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [("aws-eu-west-1", 39.0, -77.5), ("aws-ap-southeast-2", 51.5, 0.0), ("gcp-us-east4", 35.7, 139.7)],
)
def test_a_cloud_region_put_in_the_wrong_place_is_found_among_measured_ones(
    place: str, latitude: float, longitude: float
) -> None:
    kept, verdicts, true = intercloud(place, latitude, longitude)
    assert said(verdicts) == [("geolocation", place, None, "exclude")]
    assert not ((kept["source"] == place) | (kept["target"] == place)).any()
    why = verdicts.frame["why"][0]
    guess = why.split("perhaps at ")[1].split(",")[0].replace("°", "").split()
    sign = {"N": 1, "E": 1, "S": -1, "W": -1}
    off = great_circle_km(true[0], true[1], float(guess[0]) * sign[guess[1]], float(guess[2]) * sign[guess[3]])
    assert off < 0.4 * great_circle_km(true[0], true[1], latitude, longitude), why


def test_a_place_that_only_its_neighbour_contradicts_loses_that_pair_alone() -> None:
    # The origin's list of positions puts Google's São Paulo at longitude 2.12; only Amazon's, 2 ms away, says no.
    _, verdicts, _ = intercloud("gcp-southamerica-east1", -23.5, 2.12)
    ends = {"aws-sa-east-1", "gcp-southamerica-east1"}
    assert {gate for gate, *_ in said(verdicts)} == {"light"}
    assert all({source, target} == ends for _, source, target, _ in said(verdicts))
