"""The constants of the model for country figures, derived again from data whose spread is known."""

import numpy as np
import pandas as pd
import pytest
from calibration import Held, cloud_pairs, hold_out, repeated_runs, slope_of_believable_minima
from reference import reference_data

from placement.topology import aggregate
from placement.topology.aggregate import JITTER_MS, SPREAD, upper_ms
from placement.topology.endpoints import endpoints
from placement.topology.populace import populaces


@pytest.fixture(scope="module")
def held() -> Held:
    return hold_out(cloud_pairs())


def test_the_upper_end_covers_nineteen_of_twenty_pairs_that_were_held_out(held: Held) -> None:
    covered = held.rtt_ms <= upper_ms(held.centre_ms)
    assert len(covered) > 500
    assert covered.mean() >= 0.95
    assert covered[held.siblings >= 9].mean() >= 0.95  # the country's figure stands on at least nine others
    assert covered[held.own].mean() >= 0.90


def test_the_spread_is_what_pairs_within_a_country_need_rounded(held: Held) -> None:
    assert round(held.spread(JITTER_MS, held.own), 1) == SPREAD
    assert held.spread(JITTER_MS) <= SPREAD


def test_the_upper_end_is_no_wider_than_it_must_be(held: Held) -> None:
    far = held.km > 2000
    assert np.median(upper_ms(held.centre_ms)[far] / held.rtt_ms[far]) < 1.35


def test_a_later_run_stays_below_the_upper_end_of_an_earlier_average() -> None:
    earlier, later = repeated_runs()
    assert len(earlier) > 500
    assert (later <= upper_ms(earlier)).mean() >= 0.95


def test_averages_of_planetlab_months_apart_stay_below_the_upper_end() -> None:
    first, last = np.load(reference_data() / "rtt" / "planetlab490_2snapshots.npz")["rtt_ms"]
    pair = np.triu_indices(len(first), 1)
    earlier, later = first[pair].astype(np.float64), last[pair].astype(np.float64)
    assert (later <= upper_ms(earlier)).mean() >= 0.95


def test_inflations_lie_where_cloud_routes_have_them() -> None:
    pairs = cloud_pairs()
    own = pairs["country_a"] == pairs["country_b"]
    inflation = (pairs["rtt_ms"] - 2 * aggregate.LEAST_LAST_MILE_MS) / (pairs["km"] / 100)
    within = inflation[own & (pairs["km"] > 1000)]
    between = inflation[~own]
    assert round(float(between.median()), 1) == aggregate.WORLD_INFLATION
    assert within.quantile(0.05) < aggregate.LEAST_OWN_INFLATION < within.quantile(0.25)
    assert within.quantile(0.50) < aggregate.MOST_OWN_INFLATION < within.quantile(0.75)
    assert within.quantile(0.90) < aggregate.MOST_OWN_INFLATION * (1 + SPREAD)
    assert between.quantile(0.10) < aggregate.LEAST_INFLATION < between.quantile(0.25)
    assert between.quantile(0.95) < aggregate.MOST_INFLATION < between.quantile(0.99)


def test_the_worlds_inflation_is_that_of_minima_between_countries() -> None:
    path = reference_data() / "rtt" / "ripe_country2025" / "country_rtt_stat.csv.gz"
    raw = pd.read_csv(path, keep_default_na=False).rename(columns={"cty1": "source", "cty2": "target"})
    raw = raw[(raw["rtt_cnt"] >= aggregate.LEAST_SAMPLES) & (raw["source"] != "None") & (raw["target"] != "None")]
    raw = raw.assign(rtt_min_ms=raw["rtt_min"].astype(float), observed_at_s=0.0, samples=raw["rtt_cnt"].astype(int))
    names = sorted({*raw["source"], *raw["target"]})
    table = pd.DataFrame({"endpoint": names, "kind": "country", "region": "r", "site": "", "weight": 1.0})
    place = pd.DataFrame({"region": ["r"], "site": ["s"], "latitude": [0.0], "longitude": [0.0]})
    code = {name: i for i, name in enumerate(names)}
    figures = aggregate.Figures(
        tuple(names), raw["source"].map(code).to_numpy(), raw["target"].map(code).to_numpy(),
        *[raw["rtt_min_ms"].to_numpy()] * 3, raw["samples"].to_numpy(), raw["observed_at_s"].to_numpy(),
    )  # fmt: skip
    behind = populaces(names, endpoints(table, ["r"], ["s"]), place, place)
    slope = slope_of_believable_minima(raw, aggregate.mean_distance_km(figures, behind))
    assert slope == pytest.approx(aggregate.WORLD_INFLATION, abs=0.1)
