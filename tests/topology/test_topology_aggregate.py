"""Country and network figures to pairs: by hand, and against every trap that is known of such figures."""

import numpy as np
import pandas as pd
import pytest
from topology_world import DEGREE_KM, endpoints, record, regions, sites, topology

from placement.topology import Provenance, State, Topology
from placement.topology.aggregate import Figures, Populace, fit, mean_distance_km, upper_ms
from probes.record import Record

ONE_COUNTRY = endpoints(
    ("QA1", "asn", "r1", "", None), ("QA1", "asn", "r2", "", None), ("QA2", "asn", "", "s1", None)
)  # fmt: skip


def figure(source: str, target: str, **figures: float | int) -> Record:
    count = int(figures.pop("n", 100))
    return record(source, target, method="imported:ripe-country", sent=count, received=count, **figures)


def made(average_ms: float, minimum_ms: float, km: float, own_ms: tuple[float, float] | None = None, n: int = 100):  # type: ignore[no-untyped-def]
    """Figures of countries A and B `km` apart (and of each alone, over no distance), fitted."""
    nan = np.full(3, np.nan)
    own = own_ms or (np.nan, np.nan)
    figures = Figures(
        names=("A", "B"), a=np.array([0, 0, 1]), b=np.array([0, 1, 1]),
        average_ms=np.array([own[0], average_ms, own[1]]), minimum_ms=np.array([0.1, minimum_ms, 0.1]),
        p95_ms=nan, samples=np.array([100, n, 100]), observed_at_s=nan,
    )  # fmt: skip
    return figures, fit(figures, np.array([0.0, km, 0.0]))


def test_the_last_mile_is_half_of_the_countrys_own_average_within_bounds() -> None:
    _, model = made(50.0, 1.0, 1000.0, own_ms=(12.0, 100.0))
    assert model.last_mile_ms.tolist() == [6.0, 8.0]
    _, model = made(50.0, 1.0, 1000.0, own_ms=(1.0, np.nan))
    assert model.last_mile_ms.tolist() == [3.0, 5.0]  # machines of one data centre; no figure at all


def test_inflation_and_centre_of_a_pair_of_countries_by_hand() -> None:
    # 12 and 8 ms of their own: last miles 6 and 4. 35 - 10 = 25 ms over 1,000 km: 2.5 times light, half drawn to 1.7.
    figures, model = made(35.0, 5.0, 1000.0, own_ms=(12.0, 8.0))
    assert model.inflation[1] == pytest.approx(2.1)
    assert model.detour_ms[1] == 0.0  # the minimum of 5 ms lies below light over 1,000 km
    centre = model.centre_ms(figures, 1, np.array([0.0, 500.0]))
    assert centre.tolist() == pytest.approx([10.0, 20.5])
    assert upper_ms(centre).tolist() == pytest.approx([17.0, 29.6])


def test_a_minimum_above_light_shows_a_detour_that_does_not_shrink_with_distance() -> None:
    # 223 ms over 4,000 km, minimum 149: last miles 10, inflation (213 + 17) / 50 = 4.6, capped to 3; detour 93.
    figures, model = made(223.0, 149.0, 4000.0)
    assert (model.inflation[1], model.detour_ms[1]) == pytest.approx((3.0, 93.0))
    assert model.centre_ms(figures, 1, np.array([4000.0, 1000.0])).tolist() == pytest.approx([223.0, 133.0])


def test_an_inflation_below_any_that_is_known_is_raised() -> None:
    _, model = made(110.0, 2.0, 10000.0)
    assert model.inflation[1] == 1.4


def test_an_average_faster_than_light_and_a_figure_of_nine_samples_are_not_believed() -> None:
    assert np.isnan(made(99.0, 0.2, 10000.0)[1].inflation[1])
    assert np.isnan(made(200.0, 0.2, 10000.0, n=9)[1].inflation[1])
    assert not np.isnan(made(200.0, 0.2, 10000.0, n=10)[1].inflation[1])


def test_the_mean_distance_is_weighted_by_people_on_both_sides() -> None:
    figures, _ = made(1.0, 1.0, 1.0)
    one = Populace(np.array([0.0, 0.0]), np.array([0.0, 4.0]), np.array([0.75, 0.25]))
    other = Populace(np.array([0.0]), np.array([1.0]), np.array([1.0]))
    distance = mean_distance_km(figures, [one, other])
    assert distance == pytest.approx([2 * 0.75 * 0.25 * 4 * DEGREE_KM, (0.75 + 0.25 * 3) * DEGREE_KM, 0.0], rel=1e-4)


def test_figures_of_networks_reach_every_pair_of_them_and_no_other() -> None:
    pairs = topology([figure("QA1", "QA2", rtt_avg_ms=20.0, rtt_min_ms=4.0)], endpoints=ONE_COUNTRY).pairs
    assert pairs.rtt_state.tolist() == [[State.INFERRED, State.UNKNOWN], [State.INFERRED, State.UNKNOWN]]
    assert (pairs.rtt_provenance[:, 0] == Provenance.MODEL).all()
    # Mean distance half a degree: inflation (10 + 17) / 10.556 = 2.558; its light is below the minimum, no detour left.
    km = DEGREE_KM
    inflation = (10 + 17) / (km / 200 + 10)
    detour = 10 - inflation * km / 200
    assert pairs.rtt_upper_ms[0, 0] == pytest.approx((10 + detour) * 1.2 + 5, rel=1e-4)
    assert pairs.rtt_upper_ms[1, 0] == pytest.approx((10 + detour + inflation * km / 100) * 1.2 + 5, rel=1e-4)
    assert pairs.rtt_lower_ms[:, 0].tolist() == [4.0, 4.0]
    assert pairs.samples[:, 0].tolist() == [100, 100]
    assert np.isnan(pairs.rtt_p95_ms).all()


def test_a_figure_counts_either_way_round() -> None:
    there = topology([figure("QA1", "QA2", rtt_avg_ms=20.0, rtt_min_ms=4.0)], endpoints=ONE_COUNTRY).pairs
    back = topology([figure("QA2", "QA1", rtt_avg_ms=20.0, rtt_min_ms=4.0)], endpoints=ONE_COUNTRY).pairs
    np.testing.assert_array_equal(there.rtt_upper_ms, back.rtt_upper_ms)


def test_nine_samples_of_a_network_leave_the_pair_unknown() -> None:
    pairs = topology([figure("QA1", "QA2", rtt_avg_ms=20.0, rtt_min_ms=4.0, n=9)], endpoints=ONE_COUNTRY).pairs
    assert (pairs.rtt_state == State.UNKNOWN).all()


def test_a_network_with_a_p95_of_its_own_needs_no_model() -> None:
    known = figure("QA1", "QA2", rtt_min_ms=4.0, rtt_p50_ms=9.0, rtt_p95_ms=31.0)
    pairs = topology([known], endpoints=ONE_COUNTRY).pairs
    assert (pairs.rtt_lower_ms[1, 0], pairs.rtt_upper_ms[1, 0]) == (4.0, 31.0)
    assert (pairs.rtt_provenance[:, 0] == Provenance.AGGREGATE).all()


def test_a_host_measured_against_a_whole_network_gives_an_interval_and_no_measurement() -> None:
    pairs = topology([record("r2", "QA2", *[20.0] * 12)], endpoints=ONE_COUNTRY).pairs
    assert pairs.rtt_state[:, 0].tolist() == [State.UNKNOWN, State.INFERRED]
    assert (pairs.rtt_upper_ms[1, 0], pairs.rtt_provenance[1, 0]) == (20.0, Provenance.AGGREGATE)


def test_a_pairs_own_measurement_beats_its_networks_figure() -> None:
    records = [figure("QA1", "QA2", rtt_avg_ms=20.0, rtt_min_ms=4.0), record("r1", "s1", 70.0)]
    pairs = topology(records, endpoints=ONE_COUNTRY).pairs
    assert (pairs.rtt_state[0, 0], pairs.planned_rtt_ms[0, 0]) == (State.MEASURED, 70.0)
    assert pairs.rtt_state[1, 0] == State.INFERRED


# Real countries: Germany and France with their figures of spring 2025, rounded.
PLACES = {"Paris": (48.85, 2.35), "Marseille": (43.30, 5.37), "Berlin": (52.52, 13.41), "Frankfurt": (50.11, 8.68)}
HOME = {"Paris": "FR", "Marseille": "FR", "Berlin": "DE", "Frankfurt": "DE"}


def europe(*records: Record) -> Topology:
    names = sorted(PLACES)
    place = pd.DataFrame({"latitude": [PLACES[n][0] for n in names], "longitude": [PLACES[n][1] for n in names]})
    world = regions(*names).assign(country=[HOME[n] for n in names], **place)
    pops = sites(*[n.lower() for n in names]).assign(country=[HOME[n] for n in names], **place)
    rows = [(HOME[n], "country", n, "", None) for n in names] + [
        (HOME[n], "country", "", n.lower(), None) for n in names
    ]
    return topology(list(records), regions=world, sites=pops, endpoints=endpoints(*rows))


def test_within_france_and_to_germany_the_outcome_is_sensible() -> None:
    found = europe(
        figure("FR", "FR", rtt_avg_ms=36.8, rtt_std_ms=66.7, rtt_min_ms=0.02, n=4356820),
        figure("DE", "DE", rtt_avg_ms=26.8, rtt_std_ms=54.3, rtt_min_ms=0.01, n=21369946),
        figure("DE", "FR", rtt_avg_ms=43.2, rtt_std_ms=60.9, rtt_min_ms=0.34, n=17299508),
    ).pairs
    upper = {
        (region, site): found.rtt_upper_ms[i, j]
        for i, region in enumerate(found.regions)
        for j, site in enumerate(found.sites)
    }
    assert 20 <= upper["Paris", "paris"] <= 30
    assert 30 <= upper["Paris", "marseille"] <= 45
    assert 30 <= upper["Paris", "frankfurt"] <= 45
    assert 40 <= upper["Paris", "berlin"] <= 60
    assert (found.rtt_state == State.INFERRED).all()
    # Paris to Marseille is some 660 km as the crow flies.
    lower = found.rtt_lower_ms[found.regions.index("Paris"), found.sites.index("marseille")]
    assert lower == pytest.approx(6.6, abs=0.05)


def test_a_country_without_a_figure_of_its_own_stays_unknown_at_home() -> None:
    pairs = europe(figure("DE", "FR", rtt_avg_ms=43.2, rtt_min_ms=0.34)).pairs
    state = pairs.rtt_state[pairs.regions.index("Paris"), pairs.sites.index("marseille")]
    assert state == State.UNKNOWN
    assert pairs.rtt_state[pairs.regions.index("Paris"), pairs.sites.index("berlin")] == State.INFERRED


def test_outliers_of_minutes_and_a_minimum_of_nothing_widen_no_interval() -> None:
    quiet = europe(figure("FR", "FR", rtt_avg_ms=36.8, rtt_std_ms=5.0, rtt_min_ms=0.02)).pairs
    wild = europe(figure("FR", "FR", rtt_avg_ms=36.8, rtt_std_ms=4392.0, rtt_min_ms=0.02, rtt_max_ms=3.6e6)).pairs
    np.testing.assert_array_equal(quiet.rtt_upper_ms, wild.rtt_upper_ms)


def test_namibia_is_a_country_whose_figures_reach_its_pairs() -> None:
    table = endpoints(("NA", "country", "r1", "", None), ("NA", "country", "", "s1", None))
    world = regions("r1", country="NA").assign(latitude=-22.56, longitude=17.08)
    pops = sites("s1", country="NA").assign(latitude=-22.56, longitude=17.08)
    found = topology([figure("NA", "NA", rtt_avg_ms=1.0, rtt_min_ms=0.9)], regions=world, sites=pops, endpoints=table)
    assert found.unmapped == {}
    assert found.pairs.rtt_state.tolist() == [[State.INFERRED]]
    assert found.pairs.rtt_upper_ms[0, 0] == pytest.approx(6 * 1.2 + 5)


def rates(source: str, target: str, *mbps: float, direction: str = "up", method: str = "ndt7") -> list[Record]:
    return [record(source, target, method=method, mbps=value, direction=direction) for value in mbps]


def test_a_fifth_of_a_networks_least_median_is_the_bandwidth_of_its_pairs() -> None:
    records = [
        *rates("QA1", "QA2", *[float(v) for v in range(90, 101)]),  # median 95
        *rates("QA1", "QA2", *[60.0] * 10, method="train"),
        *rates("QA1", "QA2", *[1.0] * 9, method="http"),  # too few to be believed
        *rates("QA2", "QA1", *[45.0] * 10, direction="down"),  # from the region's network to the site's as well
        *rates("QA2", "QA1", *[2.0] * 10, direction="up"),  # from site to region
    ]
    pairs = topology(records, endpoints=ONE_COUNTRY).pairs
    assert pairs.mbps[:, 0].tolist() == [9.0, 9.0]
    assert pairs.mbps_state[:, 0].tolist() == [State.INFERRED, State.INFERRED]
    assert pairs.mbps_provenance[:, 0].tolist() == [Provenance.AGGREGATE, Provenance.AGGREGATE]
    assert np.isnan(pairs.mbps[:, 1]).all()
    assert (pairs.rtt_state == State.UNKNOWN).all()


def test_of_the_bandwidth_of_a_pair_what_was_measured_stands_before_its_networks_figure() -> None:
    records = [*rates("QA1", "QA2", *[60.0] * 10), *rates("r1", "s1", 500.0)]
    pairs = topology(records, endpoints=ONE_COUNTRY).pairs
    assert pairs.mbps[:, 0].tolist() == [500.0, 12.0]
    assert pairs.mbps_provenance[:, 0].tolist() == [Provenance.DIRECT, Provenance.AGGREGATE]


def test_of_two_figures_that_reach_a_pair_the_lower_bandwidth_counts() -> None:
    table = pd.concat([ONE_COUNTRY, endpoints(("EC", "country", "r1", "", None), ("EC", "country", "", "s1", None))])
    records = [*rates("QA1", "QA2", *[60.0] * 10), *rates("EC", "EC", *[40.0] * 10)]
    pairs = topology(records, endpoints=table).pairs
    assert pairs.mbps[:, 0].tolist() == [8.0, 12.0]
