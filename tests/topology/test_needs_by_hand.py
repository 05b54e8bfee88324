"""Which pairs to measure next: scores worked out on paper, and against plain loops over a generated world.

In the tiny world a round trip of 150 ms is bearable (budget 200 ms, TTFT 50 ms). Paris asks for 8 requests/s, Berlin
for 6. Measured on 2025-12-31: Paris 10 ms to alpha and 30 ms to beta, Berlin 180 ms to alpha and 8 ms to beta; where
figures are stale, 160 ms to alpha, which may have been 160/1.1 = 145 ms since.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from click.testing import CliRunner

from placement.cli import main
from placement.needs import Need, needs
from placement.needs.planned import Planned, Prices, Route, read_planned
from placement.scenario import load
from placement.topology import State, Topology, build_pairs

NEW_YEAR_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
EVERYTHING_IS_STALE_S = NEW_YEAR_S
NOTHING_IS_STALE_S = 0.0
PAIRS = tiny.FILES["measurements/pairs.csv"]
NEARLY = tiny.edited("measurements/pairs.csv", "180;180;180", "160;160;160")
DRIFT = 1.1
TOO_LATE = {ms: 0.05 * (ms * DRIFT / 150) ** 2 for ms in (8, 10, 30)}
"""The chance that a stale figure of so many ms has become one above 150 ms: the rest beyond the upper end."""
IN_TIME = 0.05 + 0.45 * math.log(150 / (160 / DRIFT)) / math.log(DRIFT)
"""The chance that the stale 160 ms are 150 ms or less."""


def found(folder: Path, oldest_s: float = NOTHING_IS_STALE_S, planned: Planned | None = None) -> list[Need]:
    scenario = load(folder)
    wanted = needs(scenario, build_pairs(scenario).pairs, oldest_s, planned)
    return wanted.rows(wanted.order, NEW_YEAR_S)


def names(rows: list[Need]) -> list[str]:
    return [f"{row.region}-{row.site}" for row in rows]


def without(text: str, *starts: str) -> dict[str, str | None]:
    """The measurements but for the lines that hold one of `starts`."""
    lines = [line for line in text.splitlines() if not any(start in line for start in starts)]
    return {"measurements/pairs.csv": "\n".join(lines) + "\n"}


def test_what_is_measured_and_fresh_needs_nothing(tmp_path: Path) -> None:
    scenario = load(tiny.write(tmp_path))
    wanted = needs(scenario, build_pairs(scenario).pairs, NOTHING_IS_STALE_S)
    assert (wanted.count, wanted.fresh, wanted.useless) == (0, 4, 0)


def test_stale_pairs_are_ordered_by_what_the_answer_may_change(tmp_path: Path) -> None:
    rows = found(tiny.write(tmp_path, NEARLY), EVERYTHING_IS_STALE_S)
    # One other site serves Berlin, and two serve Paris.
    by_hand = [6 * IN_TIME / 2, 8 * TOO_LATE[30] / 2, 8 * TOO_LATE[10] / 2, 6 * TOO_LATE[8] / 1]
    assert names(rows) == ["berlin-alpha", "paris-beta", "paris-alpha", "berlin-beta"]
    assert [row.score for row in rows] == pytest.approx(by_hand, rel=1e-5)
    assert [row.decisive for row in rows] == [True, False, False, False]
    assert {row.reason for row in rows} == {"stale"}
    assert {row.age_days for row in rows} == {1.0}
    assert {row.bearable_ms for row in rows} == {150.0}


def test_an_unknown_pair_comes_before_stale_ones_and_claims_no_figures(tmp_path: Path) -> None:
    rows = found(tiny.write(tmp_path, without(PAIRS, "berlin,beta", "berlin,alpha")), EVERYTHING_IS_STALE_S)
    assert names(rows)[:2] == ["berlin-beta", "berlin-alpha"] or names(rows)[:2] == ["berlin-alpha", "berlin-beta"]
    # Nothing serves Berlin; 95 % lie below twice the world's mean at its distance, the rest falls off beyond.
    km = {"berlin-alpha": 878.1, "berlin-beta": 423.7}
    upper_ms = [2 * (24 + 1.74 * km[name] / 100) for name in names(rows)[:2]]
    assert [row.score for row in rows[:2]] == pytest.approx(
        [6 * (1 - 0.05 * (ms / 150) ** 2) for ms in upper_ms], rel=1e-4
    )
    assert all(row.decisive and row.reason == "unknown" for row in rows[:2])
    assert (rows[0].rtt_lower_ms, rows[0].rtt_upper_ms, rows[0].age_days) == (None, None, None)
    assert rows[0].wants == ("rtt",)


def test_an_average_gives_an_inferred_pair_whose_interval_decides(tmp_path: Path) -> None:
    text = (
        "observed_at,source,target,method,sent,received,rtt_min_ms,rtt_avg_ms\n"
        "2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,100,140\n"
    )
    scenario = load(tiny.write(tmp_path, {"measurements/pairs.csv": text}))
    topology = build_pairs(scenario)
    r, p = topology.pairs.regions.index("paris"), topology.pairs.sites.index("alpha")
    upper_ms = float(topology.pairs.rtt_upper_ms[r, p])
    assert topology.pairs.rtt_state[r, p] == State.INFERRED and upper_ms > 150
    wanted = needs(scenario, topology.pairs, NOTHING_IS_STALE_S)
    row = next(row for row in wanted.rows(wanted.order, NEW_YEAR_S) if (row.region, row.site) == ("paris", "alpha"))
    assert (row.reason, row.decisive, row.rtt_lower_ms) == ("inferred", True, 100.0)
    mid_ms = math.sqrt(100 * upper_ms)  # nothing says where in between: the middle of the logarithms
    assert 100 < mid_ms < 150
    above = 0.5 + 0.45 * math.log(150 / mid_ms) / math.log(upper_ms / mid_ms)
    assert row.score == pytest.approx(8 * above, rel=1e-5)


@pytest.mark.parametrize(("percentile", "serves"), [("", False), ("0.95", False), ("0.5", True), ("0.05", True)])
def test_whether_a_pair_serves_now_is_what_the_scenario_plans_with(
    percentile: str, serves: bool, tmp_path: Path
) -> None:
    """An average of 140 ms: 100 … 131.5 … 173 ms, of which 150 are bearable. Nothing else serves Paris."""
    lines = f"\n[uncertainty]\npercentile = {percentile}\n" if percentile else ""
    text = (
        "observed_at,source,target,method,sent,received,rtt_min_ms,rtt_avg_ms\n"
        "2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,100,140\n"
    )
    changes = {"measurements/pairs.csv": text, "scenario.toml": (tiny.FILES["scenario.toml"] or "") + lines}
    rows = found(tiny.write(tmp_path, changes))
    row = next(row for row in rows if (row.region, row.site) == ("paris", "alpha"))
    mid_ms = math.sqrt(100 * 173)
    in_time = 0.5 + 0.45 * math.log(150 / mid_ms) / math.log(173 / mid_ms)
    assert row.score == pytest.approx(8 * (1 - in_time if serves else in_time), rel=1e-5)


def test_a_pair_that_light_itself_makes_too_long_is_useless(tmp_path: Path) -> None:
    sites = tiny.FILES["sites.csv"].replace("alpha,Paris,FR,48.86,2.35", "alpha,Wellington,NZ,-41.29,174.78")
    rows = found(tiny.write(tmp_path, {"sites.csv": sites, **without(PAIRS, "paris", "alpha")}))
    assert names(rows) == ["paris-beta"]  # half the globe away: light needs 181 ms


def test_a_pair_that_residency_forbids_is_useless(tmp_path: Path) -> None:
    changed = {
        "residency.csv": "residency,country\nonly-de,DE\n",
        "services.csv": tiny.FILES["services.csv"].replace("usd_per_1000\n", "usd_per_1000,residency\n").replace(
            ",10,1\n", ",10,1,only-de\n"
        ),
        **without(PAIRS, "paris", "alpha"),
    }  # fmt: skip
    assert names(found(tiny.write(tmp_path, changed))) == ["paris-beta"]


def test_a_fresh_pair_lacks_its_bandwidth_where_the_request_is_large(tmp_path: Path) -> None:
    services = tiny.FILES["services.csv"].replace("200,5,10", "200,100,10")
    rows = found(tiny.write(tmp_path, {"services.csv": services}))
    # No site serves anybody without a known bandwidth. Berlin-alpha stays too far whatever its bandwidth: 180 ms.
    assert names(rows) == ["paris-alpha", "paris-beta", "berlin-beta"]
    assert [row.score for row in rows] == pytest.approx([8, 8, 6])  # the round trips are known
    assert {(row.reason, row.decisive, row.wants) for row in rows} == {("bandwidth", True, ("mbps",))}


def prices(**class_usd: float) -> Prices:
    """Prices of the tiny world's one period: what a class pays."""
    paid = {(region, "m8", "chat", ""): usd for region, usd in class_usd.items()}
    return Prices(period="", class_usd=paid, up_usd={}, down_usd={}, limit_usd={}, budget=0.0)


def route(region: str, site: str, share: float) -> Route:
    return Route(region, "m8", "chat", "", "", site, "m8-one", share)


def test_with_a_plan_a_pair_is_worth_its_reduced_cost_and_its_risk_times_their_chances(tmp_path: Path) -> None:
    planned = Planned(
        prices=(prices(paris=250.0, berlin=260.0),), routes=(route("paris", "beta", 1.0), route("berlin", "beta", 1.0))
    )
    rows = found(tiny.write(tmp_path, NEARLY), EVERYTHING_IS_STALE_S, planned)
    # Serving Berlin at alpha: half of a server for each replica, 0.6 replicas, load energy and egress as in tiny.py.
    server = 100 + 10 + 100 + 21.90
    berlin_usd = 0.6 * server / 2 + 26.28 + 6 * 3600 * 730 * 10 / 1e6 * 0.05
    paris_usd = 0.8 * server / 2 + 17.52 + 4 * 3600 * 730 * 10 / 1e6 * 0.05
    berlin_saves, paris_saves = 260 - berlin_usd, 250 - paris_usd
    # Paris may use alpha already: a measurement brings nothing new. Opening alpha takes 50 of what both could save.
    opened = 1 - 50 / (berlin_saves + paris_saves)
    penalty = {"berlin": 6 * 3600 * 730 / 1000, "paris": 4 * 3600 * 730 / 1000}  # 1 USD for 1,000 requests
    by_hand = {
        "berlin-alpha": berlin_saves * IN_TIME * opened,
        "paris-beta": (penalty["paris"] - 250) * TOO_LATE[30],
        "berlin-beta": (penalty["berlin"] - 260) * TOO_LATE[8],
        "paris-alpha": 0.0,
    }
    assert names(rows) == sorted(by_hand, key=lambda name: -by_hand[name])
    assert {name: row.score for name, row in zip(names(rows), rows, strict=True)} == pytest.approx(by_hand, rel=1e-4)
    assert {name: row.change for name, row in zip(names(rows), rows, strict=True) if row.score} == {
        "berlin-alpha": "save",
        "paris-beta": "hold",
        "berlin-beta": "hold",
    }
    assert {row.requests_per_s for row in rows if row.site == "beta"} == {8.0, 6.0}


def test_a_class_that_is_left_unserved_pays_its_penalty(tmp_path: Path) -> None:
    planned = Planned((prices(paris=250.0, berlin=0.0),), (route("paris", "alpha", 1.0),))
    rows = found(tiny.write(tmp_path, NEARLY), EVERYTHING_IS_STALE_S, planned)
    row = next(row for row in rows if (row.region, row.site) == ("berlin", "alpha"))
    server = 100 + 10 + 100 + 21.90
    saves = 6 * 3600 * 730 / 1000 - (0.6 * server / 2 + 26.28 + 6 * 3600 * 730 * 10 / 1e6 * 0.05)
    # alpha stands already. Beta may serve Berlin now, so that no measurement of it brings anything.
    assert (row.score, row.change) == (pytest.approx(saves * IN_TIME, rel=1e-4), "serve")


def test_a_site_that_could_never_pay_for_itself_is_worth_no_probe(tmp_path: Path) -> None:
    dear = tiny.FILES["sites.csv"].replace("0.05,50,", "0.05,5000,")
    planned = Planned((prices(paris=250.0, berlin=260.0),), (route("paris", "beta", 1.0), route("berlin", "beta", 1.0)))
    rows = found(tiny.write(tmp_path, {**NEARLY, "sites.csv": dear}), EVERYTHING_IS_STALE_S, planned)
    assert {row.site for row in rows if row.score == 0} == {"alpha"}


def test_a_class_seeks_one_site_and_not_all(tmp_path: Path) -> None:
    unknown = without(PAIRS, "berlin,beta", "berlin,alpha")
    planned = Planned((prices(paris=250.0, berlin=0.0),), (route("paris", "beta", 0.5), route("paris", "alpha", 0.5)))
    rows = [row for row in found(tiny.write(tmp_path, unknown), NOTHING_IS_STALE_S, planned) if row.region == "berlin"]
    # Both sites are open and very likely near enough: the second is only of use where the first proves too far.
    assert [row.site for row in rows] == ["beta", "alpha"]
    km = {"alpha": 878.1, "beta": 423.7}
    beyond = {site: 0.05 * (2 * (24 + 1.74 * km[site] / 100) / 150) ** 2 for site in km}
    saves = 6 * 3600 * 730 / 1000 - (0.6 * 231.90 / 2 + 26.28 + 6 * 3600 * 730 * 10 / 1e6 * 0.05)
    assert rows[0].score == pytest.approx(saves * (1 - beyond["beta"]), rel=1e-4)
    assert rows[1].score == pytest.approx(saves * (1 - beyond["alpha"]) * beyond["beta"], rel=1e-3)


def test_a_plan_that_was_made_says_what_it_carries_and_what_classes_cost(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "scenario")
    made = CliRunner().invoke(main, ["plan", str(folder), "-o", str(tmp_path / "plan")])
    assert made.exit_code == 0
    planned = read_planned(tmp_path / "plan")
    paris, berlin = ("paris", "m8", "chat"), ("berlin", "m8", "chat")
    assert planned.share() == {paris: {"beta": 1.0}, berlin: {"beta": 1.0}}
    with np.load(tmp_path / "plan" / "certificate.npz") as arrays:
        paid = dict(zip(arrays["p0_demand_region"].tolist(), arrays["p0_demand_usd"].tolist(), strict=True))
    assert planned.prices[0].class_usd == pytest.approx({(*paris, ""): paid["paris"], (*berlin, ""): paid["berlin"]})
    assert min(paid.values()) > 0


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_plain_loops_over_a_generated_world(tmp_path: Path, seed: int) -> None:
    arguments = ["--from", "edge", "--sites", "14", "--regions", "9", "--models", "3"]
    made = CliRunner().invoke(main, ["init", str(tmp_path / "edge"), *arguments])
    assert made.exit_code == 0, made.output
    rewrite(tmp_path / "edge" / "services.csv", "kbyte_in", [6, 60, 600])  # two of three need a bandwidth
    rewrite(tmp_path / "edge" / "demand.csv", "residency", "")
    scenario = load(tmp_path / "edge")
    topology = shaken(build_pairs(scenario), seed)
    wanted = needs(scenario, topology.pairs, NEW_YEAR_S)
    score, decisive = plain_loops(scenario, topology, NEW_YEAR_S)
    rows = wanted.rows(wanted.order, NEW_YEAR_S)
    assert len({row.reason for row in rows}) == 4
    assert {(row.region, row.site): row.score for row in rows} == pytest.approx(score, rel=1e-4, abs=1e-9)
    assert {(row.region, row.site) for row in rows if row.decisive} == decisive
    assert 0 < len(decisive) < len(rows)
    assert [row.decisive for row in rows] == sorted((row.decisive for row in rows), reverse=True)


def rewrite(path: Path, column: str, values: object) -> None:
    """A column of a CSV file anew."""
    pd.read_csv(path, keep_default_na=False).assign(**{column: values}).to_csv(path, index=False)


def shaken(topology: Topology, seed: int) -> Topology:
    """The topology with states, intervals, ages and bandwidths drawn anew."""
    draw = np.random.default_rng(seed)
    shape = topology.pairs.rtt_state.shape
    state = draw.choice([State.UNKNOWN, State.INFERRED, State.MEASURED], shape)
    low = draw.uniform(5, 250, shape)
    high = np.where(state == State.INFERRED, low * draw.uniform(1, 3, shape), low)
    known = state != State.UNKNOWN
    figures = {
        "rtt_base_ms": np.where(state == State.MEASURED, low * draw.uniform(0.5, 1, shape), np.nan),
        "rtt_p95_ms": np.where(state == State.MEASURED, low, np.nan),
        "rtt_lower_ms": np.where(known, low, np.nan),
        "rtt_mid_ms": np.where(known, np.sqrt(low * high), np.nan),
        "rtt_upper_ms": np.where(known, high, np.nan),
        "mbps": np.where(draw.random(shape) < 0.5, draw.uniform(1, 100, shape), np.nan),
        "observed_at_s": np.where(known, NEW_YEAR_S + draw.uniform(-1e6, 1e6, shape), np.nan),
    }
    pairs = replace(topology.pairs, rtt_state=state.astype(np.int8), **figures)
    return replace(topology, pairs=pairs)


def plain_loops(scenario, topology, oldest_s):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Scores and decisive pairs by (region, site), straight from the text of the rule, where anyone may be served
    anywhere, all day long.
    """
    pairs = topology.pairs
    places = {row["region"]: row for row in topology.regions.to_dict("records")}
    homes = {row["site"]: row for row in topology.sites.to_dict("records")}
    services = {row["service"]: row for row in scenario.table("services").to_dict("records")}
    gpus = set(scenario.table("servers")["gpu"])
    score: dict[tuple[str, str], float] = {}
    decisive = set()
    for ask in scenario.table("demand").to_dict("records"):
        service = services[ask["service"]]
        ttft = [
            row["ttft_p95_ms"]
            for row in scenario.table("shapes").to_dict("records")
            if row["model"] == ask["model"] and row["profile"] == service["profile"] and row["gpu"] in gpus
        ]
        views = {}
        r = pairs.regions.index(ask["region"])
        for p, site in enumerate(pairs.sites):
            mbps = pairs.mbps[r, p]
            transfer = 0.0 if np.isnan(mbps) else 8 * service["kbyte_in"] / mbps
            short = np.isnan(mbps) and service["kbyte_in"] > scenario.document.limits.bandwidth_free_kbyte
            bearable = (service["latency_budget_ms"] - min(ttft) - transfer) / service["round_trips"]
            a, b = places[ask["region"]], homes[site]
            angle = math.acos(
                min(
                    1.0,
                    math.sin(math.radians(a["latitude"])) * math.sin(math.radians(b["latitude"]))
                    + math.cos(math.radians(a["latitude"]))
                    * math.cos(math.radians(b["latitude"]))
                    * math.cos(math.radians(a["longitude"] - b["longitude"])),
                )
            )
            km = 6371.0088 * angle
            state, p95 = pairs.rtt_state[r, p], pairs.rtt_p95_ms[r, p]
            stale = state == State.MEASURED and not pairs.observed_at_s[r, p] >= oldest_s
            if stale:
                low, mid, high = p95 / 1.1, p95, p95 * 1.1
            elif state == State.UNKNOWN:
                low, mid, high = km / 100, 24 + 1.74 * km / 100, 2 * (24 + 1.74 * km / 100)
            else:
                low, mid, high = pairs.rtt_lower_ms[r, p], pairs.rtt_mid_ms[r, p], pairs.rtt_upper_ms[r, p]
            low = max(low, 0.01)
            mid = max(mid, low)
            high = max(high, mid)
            serves = state != State.UNKNOWN and pairs.rtt_upper_ms[r, p] <= bearable and not short
            if bearable < km / 100:
                continue
            could = low <= bearable
            short = short and could
            if state == State.MEASURED and not stale:
                within = float(high <= bearable)
            elif bearable < low:
                within = 0.05 * max(bearable, 0.0) / low
            elif bearable >= high:
                within = 1 - 0.05 * (high / bearable) ** 2
            elif bearable >= mid:
                within = 0.5 + 0.45 * math.log(bearable / mid) / math.log(high / mid)
            else:
                within = 0.05 + 0.45 * math.log(bearable / low) / math.log(mid / low)
            asks = stale or state != State.MEASURED or short
            sure = state != State.UNKNOWN and high <= bearable and not short
            views[site] = asks, serves, within, could and not sure
        n = sum(serves for _, serves, _, _ in views.values())
        for site, (asks, serves, chance, decides) in views.items():
            if asks:
                key = ask["region"], site
                stake = (1 - chance) / n if serves else chance / (1 + n)
                score[key] = score.get(key, 0.0) + ask["requests_per_s"] * stake
                if decides:
                    decisive.add(key)
    return score, decisive
